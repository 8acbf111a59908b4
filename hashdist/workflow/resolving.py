"""Ask uv's resolver which wheels requirements come to, beside what is there already. No package's code is run."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hashdist import process
from hashdist.errors import ConflictError, HashdistError, InvalidError, NetworkError
from hashdist.sources.pip_settings import read_pip_settings
from hashdist.sources.pypi import ReleaseNotFoundError, all_indexes

from .session import Session

_LINE = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)[^#]*(?:#\s*via\s+(.*))?$")
#: Resolvers can say much.
_LONGEST = 1200


class UnresolvableError(ConflictError):
    """Requirements that no set of wheels meets; the lines are the resolver's."""

    code = "unresolvable"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A project that is wanted."""

    name: str
    """In its normal form."""
    version: str
    """The version that was chosen."""
    requires: tuple[str, ...]
    """Those of the others that it requires."""


@dataclass(frozen=True, slots=True)
class Provided:
    """A project that is there from somewhere else than an index."""

    name: str
    """In its normal form."""
    version: str
    """As its metadata has it."""
    requires: tuple[str, ...]
    """What it requires."""


def parse_requirements(texts: Sequence[str]) -> list[Requirement]:
    """Requirements as pip takes them (PEP 508); raises `InvalidError` with all that are none, or name a URL."""
    found, problems = [], []
    for text in texts:
        try:
            found.append(Requirement(text))
        except InvalidRequirement:
            problems.append(f"'{text[:60]}' is no requirement such as 'matplotlib==3.9'")
            continue
        if found[-1].url is not None:
            problems.append(f"'{text[:60]}' names a URL: hdist add NAME==VERSION --url URL")
    if problems:
        raise InvalidError(*problems)
    return found


def resolve(
    session: Session,
    requirements: Sequence[Requirement],
    *,
    python: str,
    there: Mapping[str, str],
    local: Sequence[Provided] = (),
    constraints: Sequence[Requirement] = (),
) -> list[Resolved]:
    """The projects that meet `requirements` under Python `python` ('3.11'), all they need included, wheels only.

    `there` are projects with versions that must stay as they are, `local` those that no index has;
    `constraints` hold of what comes in. Raises
    `UnresolvableError`, `NetworkError`, or `ReleaseNotFoundError` for a project that no index has.
    """
    uv = _program()
    wanted = "".join(f"{requirement}\n" for requirement in requirements)
    with tempfile.TemporaryDirectory(prefix="hdist-resolve-") as folder:
        fixed = os.path.join(folder, "constraints.txt")
        with open(fixed, "w", encoding="utf-8") as file:
            file.writelines(f"{constraint}\n" for constraint in constraints)
            file.writelines(f"{name}=={version}\n" for name, version in there.items())
            file.writelines(f"{one.name}=={one.version}\n" for one in local)
        _write_wheels(folder, local)
        command = [uv, "pip", "compile", "-", "--constraints", fixed, "--python-version", python]
        command += ["--only-binary", ":all:", "--no-header", "--annotation-style", "line", "--no-config", "--quiet"]
        command += ["--no-python-downloads", "--color", "never", *_indexes(session)]
        command += ["--find-links", folder] if local else []
        if session.fetching.offline:
            command.append("--offline")
        env = {name: value for name, value in session.env.items() if not name.startswith("UV_")}
        settings = read_pip_settings(session.env)
        if settings.certificates:
            env["SSL_CERT_FILE"] = settings.certificates
        with session.progress.task("resolve", None, "project") as task:
            task.tell(", ".join(map(str, requirements))[:60])
            try:
                output = process.run(command, env=env, stdin=wanted.encode(), cwd=folder)
            except process.ProgramFailedError as error:
                raise _refused(error) from error
    return _read(output.decode(), [canonicalize_name(one.name) for one in requirements])


def _write_wheels(folder: str, local: Sequence[Provided]) -> None:
    """Wheels with nothing but the metadata of what the stack has, for a resolver to find."""
    for one in local:
        label = f"{one.name.replace('-', '_')}-{one.version}"
        lines = ["Metadata-Version: 2.1", f"Name: {one.name}", f"Version: {one.version}"]
        lines += [f"Requires-Dist: {text}" for text in one.requires]
        with zipfile.ZipFile(os.path.join(folder, f"{label}-py3-none-any.whl"), "w") as wheel:
            wheel.writestr(f"{label}.dist-info/METADATA", "\n".join(lines) + "\n")
            wheel.writestr(f"{label}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{label}.dist-info/RECORD", "")


def _program() -> str:
    """The uv that was installed beside us, or the user's."""
    beside = os.path.join(os.path.dirname(sys.executable), "uv")
    return beside if os.access(beside, os.X_OK) else "uv"


def _indexes(session: Session) -> list[str]:
    """Where pip looks, said to uv: every index counts, as for pip."""
    settings = read_pip_settings(session.env)
    first, *more = all_indexes(settings) or ("",)
    words = ["--index-strategy", "unsafe-best-match"]
    words += ["--default-index", first] if first else ["--no-index"]
    for index in more:
        words += ["--index", index]
    for place in settings.find_links:
        words += ["--find-links", place]
    return words


def _read(text: str, asked: Sequence[str]) -> list[Resolved]:
    versions: dict[str, str] = {}
    requires: dict[str, list[str]] = {}
    for line in text.splitlines():
        found = _LINE.match(line.strip())
        if found is None:
            continue
        name = canonicalize_name(found[1])
        versions[name] = found[2]
        for by in (found[3] or "").split(","):
            owner = canonicalize_name(by.strip().partition("[")[0])
            if owner and not by.strip().startswith("-"):
                requires.setdefault(owner, []).append(name)
    order = sorted(versions, key=lambda name: (name not in asked, name))
    return [Resolved(name, versions[name], tuple(sorted(requires.get(name, ())))) for name in order]


def _refused(error: process.ProgramFailedError) -> HashdistError:
    """The resolver's words, which it spreads over lines, as one; by their kind."""
    words = " ".join(line.strip(" │╰─▶×├╭\t") for line in error.stderr.splitlines())
    parts = [part.strip() for part in re.split(r"\b(?:error|cause|hint|Caused by): ", words) if part.strip()]
    text = ": ".join(part[0].lower() + part[1:] for part in parts).removesuffix(".")[:_LONGEST] or error.message
    if re.search(r"error sending request|dns error|failed to fetch|timed out|connection|network", text, re.IGNORECASE):
        return NetworkError(text, hint="is the package index that pip is configured with reachable?")
    unknown = re.search(r"because (\S+) was not found in the (?:package registry|provided|cache)", text)
    if unknown:
        return ReleaseNotFoundError(
            f"no index has a project '{unknown[1]}'", hint="the index is pip's: pip config list"
        )
    return UnresolvableError(text, hint="loosen the requirement, or what the stack has")
