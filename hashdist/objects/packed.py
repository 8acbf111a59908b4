"""Read objects in packs, at several times libgit2's speed: isal inflates and OpenSSL hashes.

Packs are listed once, and only the newest are looked into. What it does not find here (loose objects, large deltas,
what came later) the database has. Formats: git's ``gitformat-pack`` (pack version 2, index version 2).
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
from typing import NamedTuple, cast

from isal import isal_zlib

from .deltas import apply_delta
from .ids import HEX_DIGITS, ObjectId, RawId

_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_OFFSET_DELTA, _ID_DELTA = 6, 7
#: git makes chains of 50, of 250 when it is told to, and never longer ones than this.
_LONGEST_CHAIN = 4095
#: Bytes of what was made of deltas that are kept for each pack.
_KEPT = 8 << 20
_ID = 20
_NAMES = 8 + 256 * 4
_LARGE_OFFSET = 1 << 31
#: Among so many names one is looked for byte by byte.
_FEW = 64
#: The longest type and size, and what an incompressible stream adds to its content.
_HEADER, _OVERHEAD = 16, 64
#: Packs that are looked into: each takes two file descriptors.
_MOST_OPEN = 64
#: Bytes to begin with: a damaged size may be anything.
_BUFFER = 16 << 20
#: A pack that has just gone, or is damaged; the database knows better, or says so.
_UNREADABLE = (OSError, ValueError, IndexError, struct.error)
_ISAL_ERROR = cast("type[Exception]", isal_zlib.error)  # its stub says that it is an instance


class Whole(NamedTuple):
    """Where an object lies whole."""

    id: ObjectId
    """Its name."""
    kind: str
    """'blob', 'tree', 'commit' or 'tag'."""
    size: int
    """Its bytes."""
    pack: mmap.mmap
    """The pack."""
    position: int
    """Where its stream begins there."""

    def read(self) -> bytes | None:
        """Its bytes; None if they are not what its id says."""
        data = _inflate(self.pack, self.position, self.size)
        return data if data is not None and _is(self.id, self.kind, data) else None


class _Pack:
    def __init__(self, index: str) -> None:
        self.index = _map(index)
        self._path = index[: -len(".idx")] + ".pack"
        self._pack: mmap.mmap | None = None
        self._made: dict[int, tuple[str, bytes]] = {}
        self._made_bytes = 0
        if self.index[:8] != b"\377tOc\0\0\0\2":
            raise ValueError("not an index of version 2")
        self._fanout = (0, *struct.unpack_from(">256I", self.index, 8))
        self.count = self._fanout[256]
        with open(self._path, "rb") as file:  # an index says nothing if its pack has gone, or was cut short
            file.seek(-_ID, os.SEEK_END)
            if file.read() != self.index[-2 * _ID : -_ID]:
                raise ValueError("not the index of its pack")

    @property
    def pack(self) -> mmap.mmap:
        if self._pack is None:
            self._pack = _map(self._path)
        return self._pack

    def made(self, offset: int) -> tuple[str, bytes] | None:
        """An object of a chain of deltas that was read a short while ago, by where it begins."""
        return self._made.get(offset)

    def keep_made(self, offset: int, kind: str, data: bytes) -> None:
        """Keep it for those that are based on it."""
        if self._made_bytes > _KEPT:
            self._made.clear()
            self._made_bytes = 0
        if offset not in self._made:
            self._made[offset] = kind, data
            self._made_bytes += len(data)

    def number(self, raw: RawId) -> int | None:
        """The place of an object among the others, which are sorted; None if it is not there."""
        index, first = self.index, raw[0]
        low, high = self._fanout[first], self._fanout[first + 1]
        while high - low > _FEW:
            middle = (low + high) // 2
            place = _NAMES + _ID * middle
            if raw < index[place : place + _ID]:
                high = middle
            else:
                low = middle
        start, end = _NAMES + _ID * low, _NAMES + _ID * high
        # quicker than to go on halving; it may find the bytes across two names
        while (found := index.find(raw, start, end)) >= 0:
            number, across = divmod(found - _NAMES, _ID)
            if not across:
                return number
            start = found + 1
        return None

    def offset(self, number: int) -> int:
        """Where an object begins in the pack."""
        offsets = _NAMES + (_ID + 4) * self.count
        found: int = struct.unpack_from(">I", self.index, offsets + 4 * number)[0]
        if found < _LARGE_OFFSET:
            return found
        large: int = struct.unpack_from(">Q", self.index, offsets + 4 * self.count + 8 * (found - _LARGE_OFFSET))[0]
        return large

    def offsets(self) -> list[int]:
        """Where each object begins in the pack, in the order of their names."""
        found = struct.unpack_from(f">{self.count}I", self.index, _NAMES + (_ID + 4) * self.count)
        return [at if at < _LARGE_OFFSET else self.offset(number) for number, at in enumerate(found)]


class Pack:
    """One pack, for whoever looks at all that is in it."""

    def __init__(self, index: str) -> None:
        """Open the pack with this index; raises `OSError` or `ValueError` if they are not whole."""
        try:
            self._pack = _Pack(index)
        except (IndexError, struct.error) as error:
            raise ValueError(f"a damaged index: {error}") from error

    def entries(self) -> list[tuple[int, ObjectId]]:
        """Where each object begins, and its id; in the order of the pack."""
        index, count = self._pack.index, self._pack.count
        digits = index[_NAMES : _NAMES + _ID * count].hex()
        names = (ObjectId.trusted(digits[place : place + HEX_DIGITS]) for place in range(0, len(digits), HEX_DIGITS))
        return sorted(zip(self._pack.offsets(), names, strict=True))

    def checksums(self) -> dict[int, int]:
        """The CRC-32 of each object's bytes in the pack, by where it begins."""
        found = struct.unpack_from(f">{self._pack.count}I", self._pack.index, _NAMES + _ID * self._pack.count)
        return dict(zip(self._pack.offsets(), found, strict=True))

    def is_whole(self, offset: int) -> bool:
        """Whether the object that begins somewhere is no delta."""
        return (self._pack.pack[offset] >> 4) & 7 in _KINDS

    def whole(self, offset: int, id: ObjectId) -> Whole | None:
        """The object that begins somewhere; None for a delta. Raises `ValueError` where none begins."""
        try:
            return _whole(id, self._pack.pack, offset)
        except (IndexError, struct.error) as error:
            raise ValueError("no object begins there") from error


class PackedReader:
    """The newest packs in the directory `folder`, as they were at first; older ones are left to the database."""

    def __init__(self, folder: str) -> None:
        indexes = pack_indexes(folder)
        self._packs = [pack for index in indexes[:_MOST_OPEN] if (pack := _open(index)) is not None]
        self._rest = indexes[_MOST_OPEN:]

    def __len__(self) -> int:
        """How many packs are looked into."""
        return len(self._packs)

    def has(self, id: RawId) -> bool:
        """Whether an object is in one of these packs, whole or not."""
        return any(pack.number(id) is not None for pack in self._packs)

    def bring(self, id: ObjectId) -> None:
        """Look into the pack that has an object from now on, if it is an older one: much else of it is wanted, too."""
        raw = id.raw
        if not self._rest or self.has(raw):
            return
        for index in self._rest:
            pack = _open(index)
            if pack is not None and pack.number(raw) is not None:
                self._packs.insert(0, pack)
                return

    def find(self, id: ObjectId) -> Whole | None:
        """Where an object lies whole; None if it does not, or nothing is known of it."""
        try:
            return self._find(id)
        except _UNREADABLE:
            return None

    def read(self, id: ObjectId) -> tuple[str, bytes] | None:
        """An object's type and bytes, whole or not; None if nothing is known of it, it is damaged, or a large delta."""
        try:
            found = self._locate(id)
            made = found and _made(*found)
        except _UNREADABLE:
            return None
        return made if made and _is(id, *made) else None

    def _find(self, id: ObjectId) -> Whole | None:
        found = self._locate(id)
        return _whole(id, found[0].pack, found[1]) if found is not None else None

    def _locate(self, id: ObjectId) -> tuple[_Pack, int] | None:
        """The pack that has an object, and where it begins there."""
        raw = id.raw
        for place, one in enumerate(self._packs):
            number = one.number(raw)
            if number is not None:
                if place:  # most of what is read together was written together
                    self._packs.insert(0, self._packs.pop(place))
                return one, one.offset(number)
        return None


def pack_indexes(folder: str) -> list[str]:
    """The paths of all indexes of packs in a directory, the newest first; none if it is not there."""
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("pack-") and entry.name.endswith(".idx"):
                with contextlib.suppress(FileNotFoundError):  # git repack took it
                    found.append((-entry.stat().st_mtime_ns, entry.path))
    return [path for _, path in sorted(found)]


def _open(index: str) -> _Pack | None:
    """A pack; None if it is not whole, which libgit2 says in better words."""
    try:
        return _Pack(index)
    except (FileNotFoundError, PermissionError, ValueError, IndexError, struct.error):
        return None


def _whole(id: ObjectId, pack: mmap.mmap, offset: int) -> Whole | None:
    kind, size, position = _header(pack, offset)
    return Whole(id, _KINDS[kind], size, pack, position) if kind in _KINDS else None


def _header(pack: mmap.mmap, offset: int) -> tuple[int, int, int]:
    """The type of what begins somewhere, its size, and where what follows begins."""
    header = pack[offset : offset + _HEADER]
    kind, size, shift, position = (header[0] >> 4) & 7, header[0] & 15, 4, 0
    while header[position] & 0x80:
        position += 1
        size |= (header[position] & 0x7F) << shift
        shift += 7
    return kind, size, offset + position + 1


def _made(pack: _Pack, offset: int) -> tuple[str, bytes] | None:
    """The type and bytes of the object that begins somewhere, made by its deltas; None if it is too large."""
    chain: list[tuple[int, int, int]] = []
    kind, size, position = _header(pack.pack, offset)
    while kind in {_OFFSET_DELTA, _ID_DELTA} and pack.made(offset) is None:
        if kind == _OFFSET_DELTA:
            back, position = _distance(pack.pack, position)
            base = offset - back
        else:
            number = pack.number(RawId(pack.pack[position : position + _ID]))
            if number is None:
                return None
            base, position = pack.offset(number), position + _ID
        if size > _BUFFER or base < 0 or len(chain) > _LONGEST_CHAIN:
            return None
        chain.append((offset, position, size))
        offset = base
        kind, size, position = _header(pack.pack, offset)
    made = pack.made(offset)
    if made is None:
        data = _inflate(pack.pack, position, size) if kind in _KINDS and (not chain or size <= _BUFFER) else None
        made = (_KINDS[kind], data) if data is not None else None
    if made is None or not chain:
        return made
    pack.keep_made(offset, *made)
    for offset, position, size in reversed(chain):
        delta = _inflate(pack.pack, position, size)
        if delta is None:
            return None
        made = made[0], apply_delta(made[1], delta, limit=_BUFFER)
        pack.keep_made(offset, *made)
    return made


def _distance(pack: mmap.mmap, position: int) -> tuple[int, int]:
    """How far before a delta its base begins, and where the delta's stream does."""
    byte = pack[position]
    distance = byte & 0x7F
    while byte & 0x80:
        position += 1
        byte = pack[position]
        distance = (distance + 1) << 7 | byte & 0x7F
    return distance, position + 1


def _inflate(pack: mmap.mmap, position: int, size: int) -> bytes | None:
    """The `size` bytes of a stream; None if it is damaged."""
    end = position + size + size // 1000 + _OVERHEAD
    try:
        packed = memoryview(pack)[position:end]
        data: bytes = isal_zlib.decompress(packed, bufsize=min(max(1, size), _BUFFER))
    except (_ISAL_ERROR, MemoryError, OverflowError):
        return None
    return data if len(data) == size else None


def _is(id: ObjectId, kind: str, data: bytes) -> bool:
    """Whether these are the bytes that an id says."""
    digest = hashlib.sha1(b"%b %d\0" % (kind.encode(), len(data)), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest() == id


def _map(path: str) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
