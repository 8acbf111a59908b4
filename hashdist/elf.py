"""What an ELF file needs to run, and where the loader would find it; read with pyelftools, nothing executed."""

from __future__ import annotations

import functools
import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

_MAGIC = b"\x7fELF"
_STANDARD = ("/lib", "/usr/lib", "/lib64", "/usr/lib64")


@dataclass(frozen=True, slots=True)
class Dynamic:
    """The dynamic section of an executable or shared library."""

    needed: tuple[str, ...]
    """Names of libraries it needs."""
    runpath: tuple[str, ...]
    """Directories it asks the loader to look in; ``$ORIGIN`` is its own directory."""
    interpreter: str | None
    """The loader; None for libraries."""
    machine: str
    """Such as 'EM_X86_64'; libraries must be of the same."""


def read_dynamic(path: str | bytes) -> Dynamic | None:
    """The dynamic section of a file; None if it is no ELF file, is linked statically, or cannot be read as one."""
    with open(path, "rb") as file:
        if file.read(4) != _MAGIC:
            return None
        file.seek(0)
        try:
            elf = ELFFile(file)
            section = elf.get_section_by_name(".dynamic")
            if not isinstance(section, DynamicSection):
                return None
            needed, runpath = [], ""
            tag: Any
            for tag in section.iter_tags():
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(tag.needed)
                elif tag.entry.d_tag == "DT_RUNPATH" or (tag.entry.d_tag == "DT_RPATH" and not runpath):
                    runpath = tag.runpath if tag.entry.d_tag == "DT_RUNPATH" else tag.rpath
            segments = (segment for segment in elf.iter_segments() if isinstance(segment, InterpSegment))
            interpreter = next((segment.get_interp_name() for segment in segments), None)
            machine = str(elf["e_machine"])
        except (ELFError, OSError, ValueError, KeyError, OverflowError, AttributeError, TypeError, IndexError):
            return None
    return Dynamic(tuple(needed), tuple(part for part in runpath.split(":") if part), interpreter, machine)


def find_library(name: str, directories: Iterable[str], machine: str) -> str | None:
    """The first file of that name and machine in `directories`."""
    for directory in directories:
        path = os.path.join(directory, name)
        if os.path.isfile(path) and _machine(path) == machine:
            return path
    return None


def origin(directories: Sequence[str], path: str) -> list[str]:
    """The directories with ``$ORIGIN`` replaced by that of the file at `path`."""
    here = os.path.dirname(path)
    return [os.path.normpath(one.replace("${ORIGIN}", here).replace("$ORIGIN", here)) for one in directories]


@functools.cache
def system_directories() -> tuple[str, ...]:
    """Where the loader looks without being asked: ``/etc/ld.so.conf`` with what it includes, and its defaults."""
    found: list[str] = []
    pending = ["/etc/ld.so.conf"]
    while pending:
        try:
            with open(pending.pop(0), encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        for line in lines:
            words = line.partition("#")[0].split()
            if words[:1] == ["include"]:
                for pattern in words[1:]:
                    pending += sorted(glob.glob(os.path.join("/etc", pattern)))
            else:
                found += words
    return tuple(dict.fromkeys([*found, *_STANDARD]))


def closure(path: str) -> set[str]:
    """All libraries of the system that a program or library of the system loads, by canonical path."""
    found: set[str] = set()
    pending = [os.path.realpath(path)]
    while pending:
        file = pending.pop()
        dynamic = read_dynamic(file)
        if dynamic is None:
            continue
        for name in dynamic.needed:
            directories = [*origin(dynamic.runpath, file), *system_directories()]
            library = find_library(name, directories, dynamic.machine)
            if library and os.path.realpath(library) not in found:
                found.add(os.path.realpath(library))
                pending.append(os.path.realpath(library))
    return found


@functools.lru_cache(maxsize=4096)
def _machine(path: str) -> str | None:
    dynamic = read_dynamic(path)
    return dynamic.machine if dynamic else None
