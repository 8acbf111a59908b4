"""Read objects that lie whole in packs, at several times libgit2's speed: isal inflates and OpenSSL hashes.

It is for reading many: packs are listed once. What it does not find here (loose objects, deltas, what came
later) the database has. Formats: git's ``gitformat-pack`` (pack version 2, index version 2).
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
from typing import NamedTuple, cast

from isal import isal_zlib

from .ids import ObjectId

_BLOB = 3
_ID = 20
_NAMES = 8 + 256 * 4
_LARGE_OFFSET = 1 << 31
#: The longest type and size, and what an incompressible stream adds to its content.
_HEADER, _OVERHEAD = 16, 64
#: A pack that has just gone, or is damaged; the database knows better, or says so.
_UNREADABLE = (OSError, ValueError, IndexError, struct.error)
_ISAL_ERROR = cast("type[Exception]", isal_zlib.error)  # its stub says that it is an instance


class WholeBlob(NamedTuple):
    """Where a blob lies."""

    id: ObjectId
    """Its name."""
    size: int
    """Its bytes."""
    pack: mmap.mmap
    """The pack."""
    position: int
    """Where its stream begins there."""


class _Pack:
    def __init__(self, index: str) -> None:
        self.index = _map(index)
        self._path = index[: -len(".idx")] + ".pack"
        self._pack: mmap.mmap | None = None
        if self.index[:8] != b"\377tOc\0\0\0\2":
            raise ValueError("not an index of version 2")
        self._fanout = struct.unpack_from(">256I", self.index, 8)
        self._count = self._fanout[255]

    @property
    def pack(self) -> mmap.mmap:
        if self._pack is None:
            self._pack = _map(self._path)
        return self._pack

    def offset(self, raw: bytes) -> int | None:
        first = raw[0]
        low, high = self._fanout[first - 1] if first else 0, self._fanout[first]
        index = self.index
        while low < high:
            middle = (low + high) // 2
            place = _NAMES + _ID * middle
            name = index[place : place + _ID]
            if name == raw:
                return self._offset_of(middle)
            if name < raw:
                low = middle + 1
            else:
                high = middle
        return None

    def _offset_of(self, number: int) -> int:
        offsets = _NAMES + (_ID + 4) * self._count
        found: int = struct.unpack_from(">I", self.index, offsets + 4 * number)[0]
        if found < _LARGE_OFFSET:
            return found
        large: int = struct.unpack_from(">Q", self.index, offsets + 4 * self._count + 8 * (found - _LARGE_OFFSET))[0]
        return large


class PackedReader:
    """The packs of the repository at `path`, as they are now."""

    def __init__(self, path: str) -> None:
        folder = os.path.join(path, "objects", "pack")
        self._packs = []
        for name in sorted(os.listdir(folder)):
            if name.startswith("pack-") and name.endswith(".idx"):
                with contextlib.suppress(*_UNREADABLE):
                    self._packs.append(_Pack(os.path.join(folder, name)))

    def find(self, id: ObjectId) -> WholeBlob | None:
        """Where a blob lies whole; None if it does not, or nothing is known of it."""
        try:
            return self._find(id)
        except _UNREADABLE:
            return None

    def _find(self, id: ObjectId) -> WholeBlob | None:
        raw = id.raw
        for number, one in enumerate(self._packs):
            offset = one.offset(raw)
            if offset is not None:
                if number:  # most of what is read together was written together
                    self._packs.insert(0, self._packs.pop(number))
                return _whole(id, one.pack, offset)
        return None


def read_blob(blob: WholeBlob) -> bytes | None:
    """The bytes of a blob; None if they are not what its id says."""
    end = blob.position + blob.size + blob.size // 1000 + _OVERHEAD
    try:
        data = isal_zlib.decompress(memoryview(blob.pack)[blob.position : end], bufsize=max(1, blob.size))
    except _ISAL_ERROR:
        return None
    digest = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return data if digest.hexdigest() == blob.id else None


def _whole(id: ObjectId, pack: mmap.mmap, offset: int) -> WholeBlob | None:
    header = pack[offset : offset + _HEADER]
    kind, size, shift, position = (header[0] >> 4) & 7, header[0] & 15, 4, 0
    while header[position] & 0x80:
        position += 1
        size |= (header[position] & 0x7F) << shift
        shift += 7
    return WholeBlob(id, size, pack, offset + position + 1) if kind == _BLOB else None


def _map(path: str) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
