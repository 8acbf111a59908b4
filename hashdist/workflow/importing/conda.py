"""Explicit lists of conda: ``conda list --explicit``, a URL a line, with MD5 or SHA-256 behind ``#``.

See https://docs.conda.io/projects/conda/en/stable/dev-guide/specs/urls-explicit.html . What a package depends on stands
in the package, so that all are fetched to make the stack file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from hashdist.errors import HashdistError, InvalidError
from hashdist.objects.ids import SourceId
from hashdist.sources.declaration import UrlSource
from hashdist.sources.download import HashMismatchError
from hashdist.sources.downloads import md5_of
from hashdist.sources.pin import Pin
from hashdist.sources.request import Request
from hashdist.stack.editing import declare, put_package
from hashdist.stack.presets import INSTALLER
from hashdist.workflow.commit import edit
from hashdist.workflow.reading import read_text
from hashdist.workflow.recording import Recorded
from hashdist.workflow.session import Session

_NAME = re.compile(r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)-(?P<version>[^-]+)-(?P<build>[^-]+)\.(?:conda|tar\.bz2)\Z")
_DEPENDS = re.compile(r"[A-Za-z0-9_.-]+")
_MARK = "@EXPLICIT"
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_SHA256 = re.compile(r"(?:sha256:)?(?P<digits>[0-9a-f]{64})\Z")


@dataclass(frozen=True, slots=True)
class CondaPackage:
    """A line of an explicit list."""

    url: str
    """Of the archive."""
    name: str
    """The package."""
    version: str
    """Its version."""
    build: str
    """What conda tells its builds apart by."""
    md5: str | None = None
    """Of the archive."""
    sha256: str | None = None
    """Of the archive."""


def read_explicit(path: str) -> list[CondaPackage]:
    """Read an explicit list; raises `InvalidError` with a line for every fault, `NotFoundError`."""
    text = read_text(path, "explicit list")
    found: dict[str, CondaPackage] = {}
    problems = []
    marked = False
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        marked = marked or line == _MARK
        if not line or line.startswith("#") or line == _MARK:
            continue
        one = _read_line(line)
        if isinstance(one, str):
            problems.append(f"{path}:{number}: {one}")
        elif stack_name(one.name) in found:
            problems.append(f"{path}:{number}: '{one.name}' a second time")
        else:
            found[stack_name(one.name)] = one
    if not marked:
        problems = [f"{path}: no line {_MARK}: it is not what 'conda list --explicit' prints"]
    if problems:
        raise InvalidError(*problems)
    return list(found.values())


def _read_line(line: str) -> CondaPackage | str:
    """The package of a line, or what is wrong with it."""
    url, _, digest = line.partition("#")
    match = _NAME.match(unquote(os.path.basename(urlsplit(url).path)))
    if "://" not in url or match is None:
        return f"'{line[:80]}' is not the URL of a conda package"
    sha256 = _SHA256.match(digest)
    if digest and sha256 is None and not _MD5.match(digest):
        return f"'{digest[:80]}' is neither an MD5 nor a SHA-256 hash"
    fields = match.groupdict()
    return CondaPackage(
        url, fields["name"], fields["version"], fields["build"],
        md5=digest if digest and sha256 is None else None, sha256=sha256["digits"] if sha256 else None,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Imported:
    """What an explicit list came to."""

    packages: tuple[CondaPackage, ...]
    """All of it."""
    missing: tuple[tuple[str, str], ...]
    """Package and what it depends on, where that is not in the list."""


def import_explicit(
    session: Session, path: str, *, message: str, profile: str | None = None
) -> tuple[Recorded, Imported]:
    """Have a profile, which begins if there is none, hold the packages of an explicit list, at their versions.

    Raises as `read_explicit` and fetching do, and `HashMismatchError` for an archive with another MD5.
    """
    packages = read_explicit(path)
    pins = _fetch(session, packages)
    names = {one.name for one in packages}
    depends = {one.name: _depends(session, pins[one.name].tree) for one in packages}
    missing = [(name, other) for name in sorted(depends) for other in depends[name] if other not in names]
    inside = {name: [other for other in of if other in names and other != name] for name, of in depends.items()}
    inputs = without_cycles(inside)

    def change(text: str) -> str:
        text = declare(text, {INSTALLER: "path:python3"}, {})
        for one in packages:
            fields: dict[str, object] = {
                "version": one.version,
                "source": {"url": one.url, "sha256": pins[one.name].sha256 or ""},
                "builder": "conda",
                "inputs": list(map(stack_name, inputs[one.name])),
                "requires": list(map(stack_name, inside[one.name])),
            }
            text = put_package(text, stack_name(one.name), fields)
        return text

    recorded = edit(session, change, message=message, profile=profile, begin=True)
    return recorded, Imported(tuple(packages), tuple(missing))


def stack_name(name: str) -> str:
    """What a package is called in a stack: names there begin with a letter or digit."""
    return f"conda{name}" if name.startswith("_") else name


def without_cycles(depends: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The same without what leads back to where one came from; names go in the order of the alphabet."""
    found: dict[str, list[str]] = {name: [] for name in depends}
    done: set[str] = set()
    for root in sorted(depends):
        above: list[tuple[str, list[str]]] = [] if root in done else [(root, sorted(depends[root]))]
        while above:
            name, left = above[-1]
            if not left:
                done.add(name)
                above.pop()
                continue
            other = left.pop(0)
            if other not in {one for one, _ in above}:
                found[name].append(other)
                if other not in done:
                    above.append((other, sorted(depends[other])))
    return found


def _fetch(session: Session, packages: Sequence[CondaPackage]) -> dict[str, Pin]:
    requests = {one.name: Request(UrlSource(one.url, sha256=one.sha256)) for one in packages}
    found = session.fetcher.pin_all(requests)
    failed = [error for error in found.values() if isinstance(error, HashdistError)]
    if failed:
        raise failed[0]
    pins = {name: pin for name, pin in found.items() if isinstance(pin, Pin)}
    for one in packages:
        digest = md5_of(session.store, pins[one.name].sha256 or "", session.fetching) if one.md5 else None
        if digest is not None and digest != one.md5:
            raise HashMismatchError(
                f"'{one.url}' has the MD5 {digest} instead of {one.md5}", hint="look at who made the list, and when"
            )
    return pins


def _depends(session: Session, tree: SourceId) -> list[str]:
    """The names that a package depends on, without those that stand for properties of a machine."""
    objects = session.store.objects
    # a package of nothing but metadata loses its only directory when it is unpacked
    entry = objects.find(tree, "info/index.json") or objects.find(tree, "index.json")
    try:
        if entry is None:
            raise InvalidError("no info/index.json")
        depends = json.loads(objects.blob(entry.id))["depends"]
        names = [match[0] for text in depends if (match := _DEPENDS.match(str(text)))]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidError(f"source {tree} is not a conda package: {error}") from error
    return [name for name in dict.fromkeys(names) if not name.startswith("__")]
