"""Look a prefix over: links, libraries, interpreters, and what Python packages require."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hashdist import elf
from hashdist.checkout.links import Member
from hashdist.checkout.prefix import DOCUMENT
from hashdist.errors import NotFoundError
from hashdist.hostscan.needs import script_interpreter
from hashdist.objects import manifest
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.spec import read_spec
from hashdist.stack.linking import Rule
from hashdist.store.artifacts import NotBuiltError

from .requirements import interpreter_of, missing_requirements
from .session import Session


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a prefix that will not work, or works by luck."""

    kind: str
    """``dangling``, ``library``, ``uncaptured``, ``interpreter`` or ``requires``."""
    path: str
    """The file it is about."""
    words: str
    """What is the matter."""


@dataclass(slots=True)
class Health:
    """What was found."""

    artifacts: int = 0
    """How many are in it."""
    entries: int = 0
    """Files, links and directories that the prefix itself takes: what counts for a quota."""
    programs: int = 0
    """ELF files that were looked at."""
    problems: list[Problem] = field(default_factory=list)
    """All that is the matter."""


def look(session: Session, prefix: str) -> Health:
    """Look a prefix over; nothing in it is run. Raises `NotFoundError` when it is none."""
    try:
        with open(os.path.join(prefix, DOCUMENT), encoding="utf-8") as file:
            document = json.load(file)
        artifacts = [ArtifactId.parse(text) for text in document["artifacts"]]
        rules = [Rule(kind, glob, owner) for kind, glob, owner in document.get("rules", [])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotFoundError(f"'{prefix}' is no prefix", hint="hdist doctor $(hdist env --path)") from error
    members = [Member(one, session.store.artifacts.path(one)) for one in artifacts]
    health = Health(len(artifacts))
    health.problems += _links(prefix, health)
    captured = _captured(session, artifacts)
    with session.progress.task("doctor", len(artifacts), "artifact") as task:
        for artifact in artifacts:
            if read_spec(session.store.objects, artifact.spec).host is None:
                health.problems += _libraries(session, artifact, captured, health)
            task.advance()
    health.problems += [
        Problem("requires", one.by, f"{one.by} needs {one.requirement}{f', not {one.found}' if one.found else ''}")
        for one in missing_requirements(session, members, rules)
    ]
    health.problems += _python(session, prefix, members, rules)
    return health


def _links(prefix: str, health: Health) -> Iterator[Problem]:
    """Links that lead nowhere, and scripts in ``bin`` whose interpreter is not there."""
    for folder, directories, files in os.walk(prefix):
        health.entries += 1
        for name in [*directories, *files]:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                continue
            health.entries += name in directories
            target = os.path.join(folder, os.readlink(path))
            # what it leads to may be a link of an artifact that leads nowhere: that is told with the artifact
            if not os.path.exists(path) and not os.path.lexists(target):
                yield Problem("dangling", path, f"leads to '{os.readlink(path)}', which is not there")
        health.entries += len(files)
    bin_folder = os.path.join(prefix, "bin")
    for name in sorted(os.listdir(bin_folder)):
        path = os.path.join(bin_folder, name)
        interpreter = script_interpreter(path) if os.path.isfile(path) else None
        if interpreter is not None and not os.path.exists(interpreter):
            yield Problem("interpreter", path, f"is for '{interpreter}', which is not there")


def _python(session: Session, prefix: str, members: Sequence[Member], rules: Sequence[Rule]) -> Iterator[Problem]:
    """A Python that is gone, or has become another version than the packages are for."""
    path = os.path.join(prefix, "bin", "python3")
    if os.path.lexists(path):
        python = interpreter_of(session, members, rules)
        if python is None:
            yield Problem("interpreter", path, "does not run: hdist update --host")
        elif not os.path.isdir(os.path.join(prefix, python.site_packages)):
            yield Problem("interpreter", path, f"is {python.version} now, its packages are not: hdist update --host")


def _captured(session: Session, artifacts: Sequence[ArtifactId]) -> set[str]:
    """The files of the host that some capture in the stack names."""
    store = session.store
    specs = {artifact.spec for artifact in artifacts}
    for artifact in artifacts:
        specs |= set(read_spec(store.objects, artifact.spec).inputs.values())
    found: set[str] = set()
    for spec in specs:
        if read_spec(store.objects, spec).host is None or store.artifacts.record_commit(spec) is None:
            continue
        for entry in manifest.decode(store.artifacts.record(spec).manifest):
            found |= {os.fsdecode(name) for name in (entry.path, entry.target) if name and name.startswith(b"/")}
    return found | {os.path.realpath(path) for path in found}


def _libraries(session: Session, artifact: ArtifactId, captured: set[str], health: Health) -> Iterator[Problem]:
    """What the loader would not find, or would take from the host though nothing captured it."""
    store = session.store
    root = store.artifacts.path(artifact)
    if not os.path.isdir(root):
        raise NotBuiltError(f"not built: {artifact}", hint="hdist build")
    inside = os.path.realpath(store.config.path) + "/"
    told: set[str] = set()
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                if not os.path.exists(path):
                    yield Problem("dangling", path, f"leads to '{os.readlink(path)}', which is not there")
                continue
            dynamic = elf.read_dynamic(path)
            if dynamic is None:
                continue
            health.programs += 1
            if dynamic.interpreter is not None and not os.path.exists(dynamic.interpreter):
                yield Problem("interpreter", path, f"is started by '{dynamic.interpreter}', which is not there")
            own = elf.origin(dynamic.runpath, os.path.realpath(path))
            for library in dynamic.needed:
                place = elf.find_library(library, [*own, *elf.system_directories()], dynamic.machine)
                if place is None:
                    yield Problem("library", path, f"needs {library}, which is not found")
                    continue
                real = os.path.realpath(place)
                if not real.startswith(inside) and not {real, place} & captured and real not in told:
                    told.add(real)
                    yield Problem("uncaptured", path, f"uses {place} of the host, which nothing in the stack captured")
