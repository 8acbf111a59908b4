"""Requirements files, as pip reads them: https://pip.pypa.io/en/stable/reference/requirements-file-format/ ."""

from __future__ import annotations

import itertools
import os
import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hashdist.errors import ConflictError, InvalidError
from hashdist.stack.lock import Lock
from hashdist.workflow.adding import add_to
from hashdist.workflow.commit import edit
from hashdist.workflow.profile import lock_of
from hashdist.workflow.reading import read_text
from hashdist.workflow.recording import Recorded
from hashdist.workflow.resolving import Resolved
from hashdist.workflow.session import Session

_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(r"\s(--hash|--config-settings|--global-option)[= ]")
#: Options that say where packages come from, which pip's own configuration says here.
_OF_PLACES = {
    "-i", "--index-url", "--extra-index-url", "--no-index", "-f", "--find-links", "--trusted-host", "--use-feature",
    "--prefer-binary", "--only-binary",
}  # fmt: skip
_NESTED = 20


class UnlistedHashError(ConflictError):
    """A release whose hash is none of those that a requirements file lists."""

    code = "unlisted_hash"


@dataclass(slots=True)
class Requirements:
    """What a requirements file asks for."""

    wanted: list[Requirement] = field(default_factory=list)
    """The requirements; those whose markers do not apply here included."""
    constraints: list[Requirement] = field(default_factory=list)
    """What holds of packages only if they come in at all."""
    hashes: dict[str, set[str]] = field(default_factory=dict)
    """SHA-256 hashes by project, in its normal form; none for what lists none."""
    all_hashed: bool = False
    """Whether each package must have a hash that is listed, whoever requires it."""
    passed_over: list[str] = field(default_factory=list)
    """Lines that mean nothing here: pip's configuration says where packages come from."""


def read_requirements(path: str) -> Requirements:
    """Read a file and those it includes; raises `InvalidError` with a line for every fault, `NotFoundError`."""
    found = Requirements()
    problems: list[str] = []
    _read(path, found, problems, constraint=False, above=())
    if problems:
        raise InvalidError(*problems)
    if not found.wanted:
        raise InvalidError(f"'{path}' asks for nothing")
    return found


def import_requirements(
    session: Session, path: str, *, message: str, profile: str | None = None
) -> tuple[Recorded, list[Resolved], Requirements]:
    """Add what a requirements file asks for, and all that needs, to a profile, which begins if there is none.

    Raises as `read_requirements` and `add_to` do, and `UnlistedHashError`.
    """
    read = read_requirements(path)
    added: list[Resolved] = []

    def change(text: str) -> str:
        text, found = add_to(session, text, lock_of(session.store, profile), read.wanted, constraints=read.constraints)
        added.extend(found)
        return text

    def check(lock: Lock) -> None:
        _check_hashes(lock, read, {one.name for one in added})

    return edit(session, change, message=message, profile=profile, begin=True, check=check), added, read


def _check_hashes(lock: Lock, read: Requirements, added: Collection[str]) -> None:
    """As pip has it: where one has hashes, all that come in must have them."""
    if not read.hashes and not read.all_hashed:
        return
    wrong = []
    for of in lock.sources.values():
        for pin in of.values():
            project = canonicalize_name(str(pin.declaration.get("pypi", "")))
            listed = read.hashes.get(project)
            if project in added and pin.sha256 not in (listed or ()):
                wrong.append(f"{project}: the hash of {os.path.basename(pin.url or '')} is not listed: {pin.sha256}")
    if wrong:
        raise UnlistedHashError("; ".join(wrong), hint="compile the requirements file anew, for wheels")


def _read(path: str, found: Requirements, problems: list[str], *, constraint: bool, above: tuple[str, ...]) -> None:
    if len(above) > _NESTED or path in above:
        problems.append(f"{above[-1]}: includes '{path}' again and again")
        return
    for number, line in _lines(read_text(path, "requirements file")):
        problem = _take(line, path, found, problems, constraint=constraint, above=above)
        if problem:
            problems.append(f"{path}:{number}: {problem}")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, with those that go on put together; each with the number of its first."""
    pending, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        first = first if pending else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            pending += line[:-1] + " "
            continue
        whole = _COMMENT.sub("", pending + line).strip()
        pending = ""
        if whole:
            yield first, whole
    if whole := _COMMENT.sub("", pending).strip():
        yield first, whole


def _take(
    line: str, path: str, found: Requirements, problems: list[str], *, constraint: bool, above: tuple[str, ...]
) -> str | None:
    """Take a line; what is wrong with it, or None."""
    if line.startswith("-"):
        return _take_option(line, path, found, problems, constraint=constraint, above=above)
    try:
        text, hashes = _split_options(line)
    except ValueError as error:
        return f"'{line[:60]}': {error}"
    if any(not one.startswith("sha256:") for one in hashes):
        return f"'{text[:60]}' lists hashes of another kind than sha256"
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return f"'{text[:60]}' is no requirement such as 'numpy>=1.23'"
    if requirement.url is not None:
        return f"'{text[:60]}' names a URL: hdist add NAME==VERSION --url URL"
    (found.constraints if constraint else found.wanted).append(requirement)
    if hashes:
        found.hashes.setdefault(canonicalize_name(requirement.name), set()).update(
            one.removeprefix("sha256:") for one in hashes
        )
    return None


def _split_options(line: str) -> tuple[str, set[str]]:
    match = _OPTION.search(line)
    if match is None:
        return line, set()
    words = shlex.split(line[match.start() :].replace("--hash=", "--hash "))
    hashes = {word for option, word in itertools.pairwise(words) if option == "--hash"}
    return line[: match.start()].strip(), hashes


def _take_option(
    line: str, path: str, found: Requirements, problems: list[str], *, constraint: bool, above: tuple[str, ...]
) -> str | None:
    name, _, value = line.replace("=", " ", 1).partition(" ")
    if name[:2] in {"-r", "-c", "-e", "-i", "-f"} and not name.startswith("--"):
        name, value = name[:2], line[2:]
    if name in {"-r", "--requirement", "-c", "--constraint"}:
        value = value.strip().strip("\"'")
        if "://" in value:
            return f"'{value}' is on a network: fetch it first"
        place = os.path.normpath(os.path.join(os.path.dirname(path), value))
        if not os.path.isfile(place):
            return f"includes '{value}', which is not there"
        _read(place, found, problems, constraint=constraint or name in {"-c", "--constraint"}, above=(*above, path))
        return None
    if name in {"-e", "--editable"}:
        return f"an editable '{value.strip()}': hdist add NAME==VERSION --path DIR --builder python"
    if name == "--require-hashes":
        found.all_hashed = True
        return None
    if name in _OF_PLACES:
        found.passed_over.append(line)
        return None
    return f"option '{name}' means nothing here: leave it out, and choose versions by ==, or by constraints"
