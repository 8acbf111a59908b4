"""What built artifacts take from the host when they run: libraries of the system, interpreters of scripts.

An artifact never changes, so what it needs is found once and kept; whether it is there is asked each time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hashdist import elf
from hashdist.store import index

if TYPE_CHECKING:
    from hashdist.objects.artifact_id import ArtifactId
    from hashdist.store.store import Store

_SHEBANG = 256
_SEPARATOR = "\t"


def needs(store: Store, artifact: ArtifactId) -> dict[str, str | None]:
    """What a sealed artifact needs of the host, names of libraries and paths of programs; and where each is found."""
    return {name: _place(name, machine) for name, machine in _needs(store, artifact)}


def _place(name: str, machine: str) -> str | None:
    if os.path.isabs(name):
        return name if os.path.exists(name) else None
    return elf.find_library(name, elf.system_directories(), machine)


def _needs(store: Store, artifact: ArtifactId) -> list[tuple[str, str]]:
    record = store.artifacts.record_commit(artifact.spec)
    assert record is not None, "sealed artifacts have one"
    known = index.read(store, index.NEEDS, record)
    if known is None or not known.endswith(".\n"):
        found = sorted(_find(store.artifacts.path(artifact), store.inside("artifacts")))
        known = "".join(f"{_SEPARATOR.join(one)}\n" for one in found) + ".\n"
        index.write(store, index.NEEDS, record, known)
    return [(one, machine) for one, _, machine in (line.partition(_SEPARATOR) for line in known.splitlines()[:-1])]


def _find(path: str, artifacts: str) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            if os.path.islink(file):
                continue
            dynamic = elf.read_dynamic(file)
            if dynamic is not None:
                found |= _libraries(file, dynamic, artifacts)
            elif os.access(file, os.X_OK) and (interpreter := script_interpreter(file)):
                found.add((interpreter, ""))
    return {(name, machine) for name, machine in found if not name.startswith(f"{artifacts}/") and "\n" not in name}


def _libraries(file: str, dynamic: elf.Dynamic, artifacts: str) -> set[tuple[str, str]]:
    found = set()
    own = elf.origin(dynamic.runpath, os.path.realpath(file))
    for name in dynamic.needed:
        place = elf.find_library(name, own, dynamic.machine)
        if place is None:
            found.add((name, dynamic.machine))
        elif not os.path.realpath(place).startswith(f"{os.path.realpath(artifacts)}/"):
            found.add((place, ""))
    return found


def script_interpreter(file: str) -> str | None:
    """The program that a script's first line names, by its whole path; None for anything else."""
    with open(file, "rb") as opened:
        head = opened.read(_SHEBANG)
    words = head[2:].split(b"\n")[0].split() if head.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words and words[0].startswith(b"/") else None
