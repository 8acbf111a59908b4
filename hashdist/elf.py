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
from elftools.elf.enums import ENUM_E_MACHINE
from elftools.elf.gnuversions import GNUVerDefSection
from elftools.elf.segments import InterpSegment

_MAGIC = b"\x7fELF"
_UNREADABLE = (ELFError, OSError, ValueError, KeyError, OverflowError, AttributeError, TypeError, IndexError)
_MACHINES: dict[int, str] = {number: name for name, number in ENUM_E_MACHINE.items() if name != "_default_"}
#: In the sixth byte: numbers have their highest byte first.
_BIG_ENDIAN = 2
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
    soname: str | None = None
    """What a library calls itself."""


def read_dynamic(path: str | bytes) -> Dynamic | None:
    """The dynamic section of a file; None if it is no ELF file, is linked statically, or cannot be read as one."""
    with open(path, "rb") as file:
        if file.read(4) != _MAGIC:
            return None
        file.seek(0)
        try:
            elf = ELFFile(file)
            section = _dynamic_section(elf)
            if section is None:
                return None
            needed, runpath, name = [], "", None
            tag: Any
            for tag in section.iter_tags():
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(tag.needed)
                elif tag.entry.d_tag == "DT_SONAME":
                    name = tag.soname
                elif tag.entry.d_tag == "DT_RUNPATH" or (tag.entry.d_tag == "DT_RPATH" and not runpath):
                    runpath = tag.runpath if tag.entry.d_tag == "DT_RUNPATH" else tag.rpath
            # patchelf puts it behind what is loaded
            segments = (segment for segment in elf.iter_segments() if isinstance(segment, InterpSegment))
            interpreter = next((segment.get_interp_name() for segment in segments), None)
            machine = str(elf["e_machine"])
        except _UNREADABLE:
            return None
    return Dynamic(tuple(needed), tuple(part for part in runpath.split(":") if part), interpreter, machine, name)


def _dynamic_section(elf: ELFFile) -> DynamicSection | None:
    """It is one of the last, and to read what comes before takes longer than all else."""
    for number in reversed(range(elf.num_sections())):
        section = elf.get_section(number)
        if isinstance(section, DynamicSection):
            return section
    return None


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


def soname(path: str) -> str | None:
    """What a shared library calls itself; None for anything else."""
    dynamic = read_dynamic(path)
    return dynamic.soname if dynamic else None


def newest_version(path: str, prefix: str) -> str | None:
    """The highest version that a library defines for its symbols, such as '2.36' of ``GLIBC_2.36``; None if none."""
    found: list[tuple[int, ...]] = []
    with open(path, "rb") as file:
        try:
            section = ELFFile(file).get_section_by_name(".gnu.version_d")
            if not isinstance(section, GNUVerDefSection):
                return None
            for _, names in section.iter_versions():
                text = next(iter(names)).name
                if text.startswith(prefix) and text[len(prefix) :].replace(".", "").isdigit():
                    found.append(tuple(map(int, text[len(prefix) :].split("."))))
        except _UNREADABLE:
            return None
    return ".".join(map(str, max(found))) if found else None


@functools.lru_cache(maxsize=4096)
def _machine(path: str) -> str | None:
    """The machine of an ELF file: a number in its first 20 bytes."""
    with open(path, "rb") as file:
        head = file.read(20)
    if len(head) < 20 or not head.startswith(_MAGIC):  # noqa: PLR2004 - see above
        return None
    number = int.from_bytes(head[18:20], "big" if head[5] == _BIG_ENDIAN else "little")
    return _MACHINES.get(number)
