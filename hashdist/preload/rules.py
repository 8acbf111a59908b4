"""Rules: which paths may be used; made before a command runs, so that order and parallel jobs change nothing.

A rule grants a path itself, a whole tree, or a tree with the right to change it. The directories above what is
granted, and the links on the way to it, may be looked at but not into. Compiled, the rules are one file that every
process maps: a hash table of paths. Its format is between this module and ``hdistjail.c``.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Mapping
from typing import Literal

Mode = Literal["report", "enforce"]

_EXACT, _TREE, _WRITE = 1, 2, 4
_MAGIC = 0x314A4448
_HEADER = struct.Struct("=8I")
_SLOT = struct.Struct("=QIHH")
_MODES: Mapping[str, int] = {"report": 0, "enforce": 1}
_MASK = (1 << 64) - 1
#: What `hdistjail.c` can hold of a path.
_LONGEST = 4095


class Rules:
    """What a command may use; paths are absolute, and may lead through links."""

    def __init__(self) -> None:
        self._grants: dict[bytes, int] = {b"": _EXACT}
        self._links: dict[str, tuple[str, str] | None] = {"": None}

    def copy(self) -> Rules:
        """The same rules, to be added to."""
        other = Rules()
        other._grants = dict(self._grants)
        other._links = dict(self._links)
        return other

    def add(self, other: Rules) -> None:
        """Grant all that other rules grant."""
        for path, bits in other._grants.items():
            self._grants[path] = self._grants.get(path, 0) | bits

    def allow(self, *paths: str) -> None:
        """Let each of these paths be read, but nothing below them."""
        for path in paths:
            self._grant(path, _EXACT)

    def allow_tree(self, *paths: str) -> None:
        """Let these and all below them be read."""
        for path in paths:
            self._grant(path, _TREE)
            self._grant(os.path.realpath(path), _TREE)

    def allow_writing(self, *paths: str) -> None:
        """Let these and all below them be read and changed."""
        for path in paths:
            self._grant(path, _WRITE)
            if not path.startswith("/proc/"):  # /proc/self is another directory for every process
                self._grant(os.path.realpath(path), _WRITE)

    def granted(self, kind: Literal["exact", "tree", "write"]) -> list[str]:
        """The paths that are granted in this way, shortest first."""
        bit = {"exact": _EXACT, "tree": _TREE, "write": _WRITE}[kind]
        return sorted((os.fsdecode(path) or "/" for path, bits in self._grants.items() if bits & bit), key=len)

    def allows(self, path: str, *, write: bool = False) -> bool:
        """What the library would say of a canonical path."""
        plain = os.fsencode(path).rstrip(b"/")
        above = [plain[:end] for end in range(len(plain)) if plain[end : end + 1] == b"/"]
        inherited = functools.reduce(int.__or__, (self._grants.get(one, 0) for one in above), 0) & (_TREE | _WRITE)
        found = inherited | self._grants.get(plain, 0)
        return bool(found & _WRITE) if write else bool(found)

    def _grant(self, path: str, bit: int) -> None:
        """Grant a path as written and as the system has it; what leads there may be looked at."""
        written = os.path.normpath(os.path.abspath(path)).rstrip("/")
        folder, name = os.path.split(written)
        place = f"{self._canonical(folder, 0)}/{name}".rstrip("/")
        for one in {written, place}:
            self._add(one, bit)

    def _canonical(self, folder: str, depth: int) -> str:
        """A directory without links; the links on the way may be looked at."""
        if folder in {"", "/"}:
            return ""
        if folder not in self._links:
            above, name = os.path.split(folder)
            place = f"{self._canonical(above, depth)}/{name}"
            try:
                target = os.readlink(place)
            except OSError:
                self._links[folder] = (place, place)
            else:
                self._add(place, _EXACT)
                goal = os.path.normpath(os.path.join(os.path.dirname(place), target))
                self._links[folder] = (place, self._canonical(goal, depth + 1) if depth < 40 else place)  # noqa: PLR2004
        found = self._links[folder]
        assert found is not None, "the root is no link"
        return found[1]

    def _add(self, path: str, bit: int) -> None:
        plain = os.fsencode(path)
        self._grants[plain] = self._grants.get(plain, 0) | bit
        while plain:
            plain = plain[: plain.rindex(b"/")]
            if plain in self._grants:
                return  # and so are those above it
            self._grants[plain] = _EXACT

    def encode(self, *, mode: Mode, library: str, setting: str, log: str) -> bytes:
        """The file of the rules, with what processes need to know besides.

        `library` is the path of hdistjail.so, `setting` the variable with its value that names the file itself,
        `log` the path of the log. Paths that are longer than a path can be are left out.
        """
        grants = self._with_aliases()
        slots = 1 << (2 * len(grants)).bit_length()
        table, taken = bytearray(slots * _SLOT.size), bytearray(slots)
        texts: list[bytes] = []
        at = first = _HEADER.size + len(table)
        for path, bits in grants.items():
            digest = path_hash(path)
            slot = digest & (slots - 1)
            while taken[slot]:
                slot = (slot + 1) & (slots - 1)
            taken[slot] = 1
            _SLOT.pack_into(table, slot * _SLOT.size, digest, at, len(path), bits)
            texts.append(path)
            at += len(path) + 1
        places = []
        for text in map(os.fsencode, (library, setting, log)):
            places.append(at)
            texts.append(text)
            at += len(text) + 1
        words = b"\0".join([*texts, b""])
        words += b"\0" * (-len(words) % 8)
        header = _HEADER.pack(_MAGIC, first + len(words), _MODES[mode], slots, _HEADER.size, *places)
        return header + bytes(table) + words

    def _with_aliases(self) -> dict[bytes, int]:
        """The grants, also as programs write them where /lib is a link to /usr/lib: so most are found at once."""
        found = {path: bits for path, bits in self._grants.items() if len(path) <= _LONGEST}
        for path, bits in self._grants.items():
            for alias in _aliases(path):
                found[alias] = found.get(alias, 0) | bits
        return found


@functools.lru_cache(maxsize=1 << 17)
def _aliases(path: bytes) -> tuple[bytes, ...]:
    """Other spellings of a path, by links in the root directory."""
    links = ((real, link + path[len(real) :]) for real, link in _root_links() if path.startswith(real + b"/"))
    return tuple(alias for _, alias in links if len(alias) <= _LONGEST)


@functools.cache
def _root_links() -> tuple[tuple[bytes, bytes], ...]:
    """Links in the root directory to directories: where they lead, and their paths."""
    links = (b"/" + name for name in os.listdir(b"/") if os.path.islink(b"/" + name))
    return tuple((os.path.realpath(link), link) for link in links if os.path.isdir(link))


@functools.lru_cache(maxsize=1 << 17)
def path_hash(path: bytes) -> int:
    """FNV-1a of 64 bits, see http://www.isthe.com/chongo/tech/comp/fnv/."""
    if not path:
        return 0xCBF29CE484222325
    cut = path.rindex(b"/") if b"/" in path else 0
    found = path_hash(path[:cut])
    for byte in path[cut:]:
        found = ((found ^ byte) * 0x100000001B3) & _MASK
    return found
