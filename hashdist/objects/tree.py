"""Trees of git: encoder and validator, used on write and on read.

libgit2's own builder takes no names outside UTF-8 and its raw writer takes anything, ``..`` and ``a/b``
included; and what a fetch brings was written by others. So both directions go through here.
Format: git's ``Documentation/gitformat-pack`` and ``fsck-msgs``.
"""

from __future__ import annotations

import itertools
import re
import stat
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from hashdist.errors import InvalidError

from .ids import BlobId, ObjectId, TreeId

NAME_LIMIT = 255
#: Directories nested deeper than this are refused; newer git stops at 2,048 and older ones crash.
DEPTH_LIMIT = 1024


class Mode(Enum):
    """What an entry is; the values are git's."""

    FILE = 0o100644
    EXECUTABLE = 0o100755
    SYMLINK = 0o120000
    DIRECTORY = 0o040000


_MODES = {b"%o" % mode.value: mode for mode in Mode}
_ENCODED = {mode: b"%o " % mode.value for mode in Mode}


class InvalidTreeError(InvalidError):
    """A tree that git or we would refuse."""


class Entry(NamedTuple):
    """One name in a directory."""

    name: bytes
    """The file name: bytes, since that is what file systems have."""
    mode: Mode
    """What it is."""
    id: ObjectId
    """A `BlobId` (for links: of the target) or a `TreeId`."""

    @property
    def sort_key(self) -> bytes:
        """Git sorts directories as if their names ended in a slash."""
        return self.name + b"/" if self.mode is Mode.DIRECTORY else self.name


def encode(entries: Iterable[Entry]) -> bytes:
    """Give the bytes of the tree with these entries, in any order; raises `InvalidTreeError`."""
    ordered = list(entries)
    _check_unique(ordered)
    for entry in ordered:
        check_entry_name(entry.name)
    return encode_checked((entry.name, entry.mode, entry.id.raw) for entry in ordered)


def encode_checked(entries: Iterable[tuple[bytes, Mode, bytes]]) -> bytes:
    """Likewise, for names that were checked one by one and differ."""
    lines = [
        (name + b"/" if mode is Mode.DIRECTORY else name, b"%b%b\0%b" % (_ENCODED[mode], name, id))
        for name, mode, id in entries
    ]
    lines.sort()
    return b"".join([line for _, line in lines])


def decode(data: bytes) -> tuple[Entry, ...]:
    """Read the bytes of a tree that anybody may have made; raises `InvalidTreeError`."""
    entries = []
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 8)
        end = data.find(b"\0", space, space + NAME_LIMIT + 2) if space >= 0 else -1
        if end < 0 or end + 21 > len(data):
            raise InvalidTreeError("tree is malformed")
        mode = _MODES.get(data[position:space])
        if mode is None:
            raise InvalidTreeError(f"tree has an entry of mode {data[position:space].decode(errors='replace')}")
        name = data[space + 1 : end]
        check_entry_name(name)
        raw = data[end + 1 : end + 21].hex()
        entries.append(Entry(name, mode, TreeId(raw) if mode is Mode.DIRECTORY else BlobId(raw)))
        position = end + 21
    if any(one.sort_key >= two.sort_key for one, two in itertools.pairwise(entries)):
        raise InvalidTreeError("tree is not sorted")
    _check_unique(entries)
    return tuple(entries)


_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0/]+)\0(.{20})", re.DOTALL)


def ids_by_name(data: bytes) -> dict[bytes, bytes]:
    """The raw ids in the bytes of a tree of ours, by name: ten times as quick as `decode`, which checks all.

    Raises `InvalidTreeError` where it is no tree, or has a name twice.
    """
    found = _ENTRY.findall(data)
    ids = {name: id for _, name, id in found}
    if len(ids) != len(found) or sum(len(mode) + len(name) + 22 for mode, name, _ in found) != len(data):
        raise InvalidTreeError("tree is malformed")
    return ids


def decode_foreign(data: bytes) -> tuple[list[Entry], list[tuple[bytes, ObjectId]]]:
    """Read a tree of somebody's project: its entries, and its submodules with their commits.

    Modes that old versions of git wrote are taken for what they mean; raises `InvalidTreeError`.
    """
    entries: list[Entry] = []
    submodules: list[tuple[bytes, ObjectId]] = []
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 8)
        end = data.find(b"\0", space)
        if space < 0 or end < 0 or end + 21 > len(data):
            raise InvalidTreeError("tree is malformed")
        mode, name, id = data[position:space], data[space + 1 : end], ObjectId(data[end + 1 : end + 21].hex())
        check_entry_name(name)
        if mode == b"160000":
            submodules.append((name, id))
        else:
            entries.append(Entry(name, _foreign_mode(mode), id))
        position = end + 21
    _check_unique(entries)
    return entries, submodules


def _foreign_mode(mode: bytes) -> Mode:
    number = int(mode, 8) if mode.isdigit() else 0
    if stat.S_ISREG(number):
        return Mode.EXECUTABLE if number & 0o100 else Mode.FILE
    for known in (Mode.DIRECTORY, Mode.SYMLINK):
        if number == known.value:
            return known
    raise InvalidTreeError(f"tree has an entry of mode {mode.decode(errors='replace')}")


def _check_unique(entries: list[Entry]) -> None:
    names = {entry.name for entry in entries}
    if len(names) != len(entries):
        seen: set[bytes] = set()
        twice = next(entry.name for entry in entries if entry.name in seen or seen.add(entry.name))  # type: ignore[func-returns-value]
        raise InvalidTreeError(f"tree has two entries named '{show_name(twice)}'")


def check_entry_name(name: bytes) -> None:
    """Refuse what is no file name, what git refuses, and ``.git`` in all its disguises."""
    if not name or name in {b".", b".."} or b"/" in name or b"\0" in name:
        raise InvalidTreeError(f"'{show_name(name)}' is not a file name")
    if len(name) > NAME_LIMIT:
        raise InvalidTreeError(f"file name '{show_name(name[:40])}…' is longer than {NAME_LIMIT} bytes")
    if is_dot_git(name):
        raise InvalidTreeError(f"file name '{show_name(name)}' is one that git keeps for itself")


#: Code points that HFS+ ignores in names (git's ``utf8.c``, next_hfs_char).
_HFS_IGNORED = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])


def is_dot_git(name: bytes) -> bool:
    """Whether some file system would take `name` for ``.git`` (NTFS short names and streams, HFS+ folding)."""
    if name.isascii() and b"git" not in name.lower():
        return False
    for part in name.split(b"\\"):
        lower = part.lower().split(b":")[0].rstrip(b" .")
        if lower in {b".git", b"git~1"}:
            return True
    folded = name.decode("utf-8", errors="surrogateescape").translate(_HFS_IGNORED)
    return folded.lower() == ".git"


def show_name(name: bytes) -> str:
    """Give a name for messages: control characters and bytes outside UTF-8 escaped."""
    text = name.decode("utf-8", errors="backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
