"""Write one pack for all objects of an import, instead of thousands of loose files.

Formats: git's ``gitformat-pack`` (pack version 2, index version 2). Objects are stored whole, compressed
with isal at its fastest levels, which git reads like any zlib stream and ``git repack -a -d -F`` makes smaller.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import io
import os
import pickle
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple, cast

from isal import isal_zlib

from hashdist.errors import HashdistError
from hashdist.fsutil.atomic import publish, unique_suffix
from hashdist.fsutil.modes import make_directories

from .ids import RawId
from .snapshot import Known

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

_KINDS = {b"commit": 1, b"tree": 2, b"blob": 3, b"tag": 4}
_CHUNK = 1 << 20
_LARGE_OFFSET = 1 << 31
#: Objects below this are stored as they are: there is little to gain.
_TINY = 400
#: Objects below this are as quick by the level that makes them smaller.
_SMALL = 1000


class FileChangedError(HashdistError):
    """A file that grew or shrank while it was read."""

    code = "changed"


class PackedBatch(NamedTuple):
    """Objects ready to be written."""

    objects: list[tuple[RawId, int, int]]
    """Of each its name, and the size and CRC-32 of its bytes as they stand in a pack; 0 if it is known already."""
    data: bytes | pickle.PickleBuffer
    """Those bytes, one object's after the other's."""


def pack_objects(kind: bytes, contents: Iterable[bytes], known: Known) -> PackedBatch:
    """Hash objects, and compress what is not `known`."""
    objects, parts = [], []
    for data in contents:
        digest = hashlib.sha1(b"%b %d\0" % (kind, len(data)), usedforsecurity=False)
        digest.update(data)
        id = RawId(digest.digest())
        if known(id):
            objects.append((id, 0, 0))
            continue
        packed = _header(kind, len(data)) + _compress(data)
        objects.append((id, len(packed), zlib.crc32(packed)))
        parts.append(packed)
    return PackedBatch(objects, b"".join(parts))


def pack_object(kind: str, id: RawId, data: bytes) -> PackedBatch:
    """One object whose id is known."""
    packed = _header(kind.encode(), len(data)) + _compress(data)
    return PackedBatch([(id, len(packed), zlib.crc32(packed))], packed)


def hash_stream(stream: BinaryIO, size: int) -> RawId:
    """The id of a blob of `size` bytes, without storing it; raises `FileChangedError`."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    left = size
    while left and (chunk := stream.read(min(_CHUNK, left))):
        left -= len(chunk)
        digest.update(chunk)
    if left or stream.read(1):
        raise FileChangedError("a file changed while it was read", hint="try again when nobody writes to it")
    return RawId(digest.digest())


def _compress(data: bytes) -> bytes:
    """A zlib stream of `data`: by the quicker level where the data are many, and are text."""
    if len(data) < _TINY:
        return zlib.compress(data, 0)
    if len(data) >= _SMALL:
        packed: bytes = isal_zlib.compress(data, 0)
        if len(packed) < len(data) * 3 // 4:
            return packed
    return isal_zlib.compress(data, 1)


def _header(kind: bytes, size: int) -> bytes:
    """The type and size that begin an entry: four bits, then seven a byte."""
    first, size = (_KINDS[kind] << 4) | (size & 15), size >> 4
    header = bytearray()
    while size:
        header.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    header.append(first)
    return bytes(header)


class PackWriter:
    """Collects objects into one pack in the ``objects/pack`` directory `folder`; nothing shows before `publish`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        make_directories(folder)
        # git's own prune knows tmp_* and removes what a crash left
        self._path = os.path.join(folder, f"tmp_pack_{unique_suffix()}")
        # lives as long as the writer
        self._file = cast("io.BufferedRandom", open(self._path, "xb+", buffering=_CHUNK))  # noqa: SIM115
        self._file.write(b"PACK" + struct.pack(">II", 2, 0))
        self._entries: dict[RawId, tuple[int, int]] = {}
        self._offset = 12

    def __contains__(self, id: RawId) -> bool:
        """Whether the object is in this pack already."""
        return id in self._entries

    def write(self, batch: PackedBatch) -> None:
        """Append objects, each once, unless they were known."""
        entries, data = self._entries, memoryview(batch.data)
        # what was copied so far, up to where we are, and what that is ahead of the place in the pack
        copied, position, ahead = 0, 0, self._offset
        for id, size, checksum in batch.objects:
            if id in entries or not size:
                self._file.write(data[copied:position])
                copied = position + size
                ahead -= size
            else:
                entries[id] = (ahead + position, checksum)
            position += size
        self._file.write(data[copied:position])
        self._offset = ahead + position

    def write_stream(self, stream: BinaryIO, size: int, known: Known) -> RawId:
        """Append a blob of `size` bytes, unless it is `known`, without holding it in memory.

        Raises `FileChangedError`.
        """
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        compressor = isal_zlib.compressobj(1)
        header = _header(b"blob", size)
        self._file.write(header)
        checksum, written, left = zlib.crc32(header), len(header), size
        while left:
            chunk = stream.read(min(_CHUNK, left))
            if not chunk:
                break
            left -= len(chunk)
            digest.update(chunk)
            data = compressor.compress(chunk)
            checksum, written = zlib.crc32(data, checksum), written + len(data)
            self._file.write(data)
        if left or stream.read(1):
            raise FileChangedError("a file changed while it was read", hint="try again when nobody writes to it")
        data = compressor.flush()
        self._file.write(data)
        checksum, written = zlib.crc32(data, checksum), written + len(data)
        id = RawId(digest.digest())
        if id in self._entries or known(id):
            self._file.seek(self._offset)
            self._file.truncate()
        else:
            self._entries[id] = (self._offset, checksum)
            self._offset += written
        return id

    def publish(self) -> str | None:
        """Finish the pack and its index, make them durable and give them their names.

        Returns the path of the index; None where there is nothing in it.
        """
        if not self._entries:
            self.abandon()
            return None
        trailer = self._finish_pack()
        index = f"{self._path}.idx"
        with open(index, "xb") as file:
            file.write(_index(self._entries, trailer))
            file.flush()
            os.fsync(file.fileno())
        stem = os.path.join(self._folder, f"pack-{trailer.hex()}")
        for path in (self._path, index):
            os.chmod(path, 0o444)
        publish(self._path, f"{stem}.pack", durable=False)
        publish(index, f"{stem}.idx")
        return f"{stem}.idx"

    def _finish_pack(self) -> bytes:
        """Put the count into the header and the checksum at the end; return the checksum."""
        self._file.seek(8)
        self._file.write(struct.pack(">I", len(self._entries)))
        self._file.seek(0)
        digest = hashlib.sha1(usedforsecurity=False)
        while chunk := self._file.read(_CHUNK):
            digest.update(chunk)
        self._file.write(digest.digest())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return digest.digest()

    def abandon(self) -> None:
        """Forget everything, also on a full disk."""
        for path in (self._path, f"{self._path}.idx"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self._file.raw.close()  # or it would write what it still holds


def _index(entries: dict[RawId, tuple[int, int]], trailer: bytes) -> bytes:
    """The version 2 index of a pack: fan-out, names, checksums, offsets, and offsets beyond 2 GiB."""
    names = sorted(entries)
    counts = [0] * 256
    for first, count in collections.Counter([name[0] for name in names]).items():
        counts[first] = count
    total, fanout = 0, []
    for count in counts:
        total += count
        fanout.append(total)
    offsets: list[int] = []
    large: list[int] = []
    for name in names:
        offset = entries[name][0]
        if offset >= _LARGE_OFFSET:
            offsets.append(_LARGE_OFFSET | len(large))
            large.append(offset)
        else:
            offsets.append(offset)
    body = b"".join(
        (
            b"\377tOc",
            struct.pack(">I256I", 2, *fanout),
            b"".join(names),
            struct.pack(f">{total}I", *(entries[name][1] for name in names)),
            struct.pack(f">{total}I", *offsets),
            struct.pack(f">{len(large)}Q", *large),
            trailer,
        )
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()
