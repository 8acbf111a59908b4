"""Read zip archives strictly: what two programs could read in two ways is refused.

A zip tells everything twice, in a directory at its end and before each file; programs that unpack while they
read believe the one, all others the other. The standard library compares little of it, keeps all of the
directory, and decompresses without bounds; so tables are read here. Format: PKWARE's APPNOTE 6.3.
"""

from __future__ import annotations

import bz2
import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from . import tree
from .tar import BadArchiveError, Kind

if TYPE_CHECKING:
    from typing import BinaryIO

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 0x1, 0x8, 0x800
_UNIX = 3
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_SENTINEL16, _SENTINEL32 = 0xFFFF, 0xFFFFFFFF
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
#: The longest target that a link can have.
_TARGET = 4096
_CHUNK = 1 << 16


class _Member(NamedTuple):
    """A file as the directory tells of it."""

    raw_name: bytes
    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One entry of an archive."""

    name: bytes
    """As it stands there."""
    kind: Kind
    """What it is."""
    size: int
    """Bytes of its content."""
    executable: bool
    """Whether its owner may execute it."""
    data: BinaryIO
    """The content; read beyond its end it is checked. Good until the next entry is asked for."""


def read_zip(file: BinaryIO, *, entries_limit: int) -> Iterator[ZipEntry]:
    """Give the entries one by one; raises `BadArchiveError`."""
    size = file.seek(0, os.SEEK_END)
    total, start, end = _read_end(file, size)
    if total > entries_limit:
        raise BadArchiveError(f"more than {entries_limit} entries (limit: entries)")
    members = _read_directory(file, total, start, end)
    begins = _check_all(file, members, start)
    for member in members:
        yield _entry(file, member, begins[member.offset])


def few_names(file: BinaryIO, most: int) -> list[bytes]:
    """The names of all entries of an archive that has no more than so many; else none. Raises `BadArchiveError`."""
    size = file.seek(0, os.SEEK_END)
    total, start, end = _read_end(file, size)
    return [member.name for member in _read_directory(file, total, start, end)] if total <= most else []


def _read_end(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """The number of entries, and where their directory begins and ends; there must be one end, and nothing after it."""
    base = max(0, size - _END.size - 0xFFFF - _LOCATOR.size)
    file.seek(base)
    tail = file.read()
    place = tail.find(b"PK\5\6")
    while place >= 0:  # the signature may stand in a file; the record must end with the archive
        if len(tail) - place >= _END.size and place + _END.size + _END.unpack_from(tail, place)[7] == len(tail):
            break
        place = tail.find(b"PK\5\6", place + 1)
    if place < 0:
        raise BadArchiveError("no directory at the end of the archive")
    if tail.find(b"PK\5\6", place + 1) >= 0:
        raise BadArchiveError("archive has two ends")
    _, disk, directory_disk, here, total, length, offset, _ = _END.unpack_from(tail, place)
    end = base + place
    if place >= _LOCATOR.size and tail[place - _LOCATOR.size :].startswith(b"PK\6\7"):
        end = end - _LOCATOR.size - _END64.size
        told = _LOCATOR.unpack_from(tail, place - _LOCATOR.size)
        if end < 0 or told[2] != end or told[1] or told[3] > 1:
            raise BadArchiveError("archive tells of a directory that is not there")
        file.seek(end)
        large = _END64.unpack(file.read(_END64.size))
        if large[0] != b"PK\6\6" or large[1] != _END64.size - 12:
            raise BadArchiveError("archive tells of a directory that is not there")
        plain = ((here, _SENTINEL16), (total, _SENTINEL16), (length, _SENTINEL32), (offset, _SENTINEL32))
        if any(small not in {sentinel, number} for (small, sentinel), number in zip(plain, large[6:], strict=True)):
            raise BadArchiveError("archive tells two things of its directory")
        disk, directory_disk, here, total, length, offset = large[4:]
    if disk or directory_disk or here != total:
        raise BadArchiveError("archive is one of several parts")
    if offset + length != end:
        raise BadArchiveError("archive has bytes before its first file, or after its directory")
    return total, offset, end


def _read_directory(file: BinaryIO, total: int, start: int, end: int) -> list[_Member]:
    """The files, in the order of the directory."""
    file.seek(start)
    members: list[_Member] = []
    position = start
    for _ in range(total):
        head = file.read(_CENTRAL.size)
        if len(head) < _CENTRAL.size or head[:4] != b"PK\1\2":
            raise BadArchiveError(f"archive tells of {total} entries and has {len(members)}")
        (_, made, _, flags, method, _, _, crc, packed, length, name_size, extra_size, comment_size, disk, _, attributes,
         offset) = _CENTRAL.unpack(head)  # fmt: skip
        name, extra, comment = file.read(name_size), file.read(extra_size), file.read(comment_size)
        position += _CENTRAL.size + len(name) + len(extra) + len(comment)
        if len(comment) < comment_size or disk:
            raise BadArchiveError("the archive's directory is cut short, or of several parts")
        length, packed, offset = _zip64(extra, length, packed, offset)
        mode = attributes >> 16 if made >> 8 == _UNIX else 0
        members.append(
            _Member(name, _unicode_name(name, flags, extra), flags, method, crc, packed, length, offset, mode)
        )
    if position != end:
        raise BadArchiveError("archive has bytes in its directory that belong to no file")
    return members


def _check_all(file: BinaryIO, members: list[_Member], start_of_directory: int) -> dict[int, int]:
    """Compare what stands before and after each file with the directory; where the content of each begins."""
    begins: dict[int, int] = {}
    order = sorted(members, key=lambda member: member.offset)
    position = 0
    for number, member in enumerate(order):
        if member.offset != position:
            raise BadArchiveError(
                f"archive has bytes before '{_show(member)}' that belong to no file, or files in one another"
            )
        begin = _check_local(file, member)
        end = begin + member.packed
        following = order[number + 1].offset if number + 1 < len(order) else start_of_directory
        if following - end:
            _check_descriptor(file, member, end, following - end)
        begins[member.offset] = begin
        position = following
    if position != start_of_directory:
        raise BadArchiveError("archive has bytes that belong to no file")
    return begins


def _check_local(file: BinaryIO, member: _Member) -> int:
    """Compare what stands before a file with what the directory tells; returns where its content begins."""
    file.seek(member.offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\3\4":
        raise BadArchiveError(f"'{_show(member)}' is not where the archive tells")
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack(header)
    name, extra = file.read(name_size), file.read(extra_size)
    if (flags | member.flags) & _ENCRYPTED:
        raise BadArchiveError(f"'{_show(member)}' is encrypted")
    if member.method not in {_STORED, _DEFLATED, _BZIP2}:
        raise BadArchiveError(f"'{_show(member)}' is packed by a method that is not known: {member.method}")
    size, packed, _ = _zip64(extra, size, packed, 0)
    told = (name, method, flags & _UTF8, flags & _DESCRIPTOR)
    same = told == (member.raw_name, member.method, member.flags & _UTF8, member.flags & _DESCRIPTOR)
    # with a descriptor numbers may be left out here; those that are told must be true
    zero = {0} if flags & _DESCRIPTOR else set()
    same = same and size in zero | {member.size} and packed in zero | {member.packed} and crc in zero | {member.crc}
    if not same or _unicode_name(name, flags, extra) != member.name:
        raise BadArchiveError(f"archive tells two things of '{_show(member)}'")
    begin: int = member.offset + _LOCAL.size + name_size + extra_size
    return begin


def _check_descriptor(file: BinaryIO, member: _Member, end: int, gap: int) -> None:
    """What stands after a file must be its descriptor, and tell the truth."""
    formats = {12: "<III", 16: "<4sIII", 20: "<IQQ", 24: "<4sIQQ"}
    if not member.flags & _DESCRIPTOR or gap not in formats:
        raise BadArchiveError(f"archive has bytes after '{_show(member)}' that belong to no file")
    file.seek(end)
    told = struct.unpack(formats[gap], file.read(gap))
    wanted = (member.crc, member.packed, member.size)
    if told not in {wanted, (b"PK\7\x08", *wanted)}:
        raise BadArchiveError(f"archive tells two things of '{_show(member)}'")


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, position)
        yield kind, extra[position + 4 : position + 4 + size]
        position += 4 + size


def _zip64(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """The numbers that were too large for their places."""
    numbers = [size, packed, offset]
    for kind, data in _fields(extra):
        if kind == _ZIP64:
            large = iter(struct.unpack_from(f"<{len(data) // 8}Q", data))
            numbers = [next(large, number) if number == _SENTINEL32 else number for number in numbers]
            break
    return numbers[0], numbers[1], numbers[2]


def _unicode_name(name: bytes, flags: int, extra: bytes) -> bytes:
    """The name, or what an extra field tells it is in Unicode, where programs of Windows wrote it in another code."""
    told = next((data for kind, data in _fields(extra) if kind == _UNICODE_PATH), None)
    if told is None or told[5:] == name:
        return name
    if name.isascii() or flags & _UTF8 or struct.unpack_from("<I", told.ljust(5, b"\0"), 1)[0] != zlib.crc32(name):
        raise BadArchiveError(f"'{tree.show_name(name[:200])}' has a second name")
    return told[5:]


def _entry(file: BinaryIO, member: _Member, begin: int) -> ZipEntry:
    shown, mode = _show(member), member.mode
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR}:
        raise BadArchiveError(f"'{shown}' is a device or a pipe")
    if member.name.endswith(b"/"):
        if member.size:
            raise BadArchiveError(f"directory '{shown}' has content")
        kind = Kind.DIRECTORY
    elif stat.S_ISDIR(mode):
        raise BadArchiveError(f"'{shown}' is a directory by its mode and a file by its name")
    elif stat.S_ISLNK(mode):
        if member.size > _TARGET:
            raise BadArchiveError(f"link '{shown}' has a target of more than {_TARGET} bytes")
        kind = Kind.SYMLINK
    else:
        kind = Kind.FILE
    file.seek(begin)
    data = io.BufferedReader(_Content(file, member), _CHUNK)
    return ZipEntry(member.name, kind, member.size, bool(mode & 0o100), data)


def _show(member: _Member) -> str:
    return tree.show_name(member.name[:200])


class _Content(io.RawIOBase):
    """The content of one file: as long as was told, with its checksum, and nothing left over."""

    def __init__(self, file: BinaryIO, member: _Member) -> None:
        super().__init__()
        self._file = file
        self._member = member
        self._packed = member.packed
        self._left = member.size
        self._crc = 0
        self._input = b""
        self._inflate = zlib.decompressobj(-15) if member.method == _DEFLATED else None
        self._bunzip = bz2.BZ2Decompressor() if member.method == _BZIP2 else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while True:
            # one byte more than should be there, to see that it is not
            data = self._decompress(min(len(view), self._left + 1))
            if data is None:
                self._finish()
                return 0
            if len(data) > self._left:
                raise self._broken("has more content than is told")
            if data:
                self._left -= len(data)
                self._crc = zlib.crc32(data, self._crc)
                view[: len(data)] = data
                return len(data)

    def _decompress(self, size: int) -> bytes | None:
        """Up to `size` bytes; None at the end."""
        if self._inflate is not None:
            if self._inflate.eof:
                return None
            data = self._inflate.decompress(self._inflate.unconsumed_tail or self._more(), size)
            if not (data or self._packed or self._inflate.eof or self._inflate.unconsumed_tail):  # type: ignore[redundant-expr]  # eof has moved
                raise self._broken("ends in the middle")
            return data
        if self._bunzip is not None:
            if self._bunzip.eof:
                return None
            data = self._bunzip.decompress(self._more() if self._bunzip.needs_input else b"", size)
            if self._bunzip.needs_input and not (data or self._packed or self._bunzip.eof):
                raise self._broken("ends in the middle")
            return data
        return self._more(size) or None

    def _more(self, size: int = _CHUNK) -> bytes:
        data = self._file.read(min(size, self._packed))
        if not data and self._packed:
            raise self._broken("ends in the middle")
        self._packed -= len(data)
        return data

    def _finish(self) -> None:
        unused = any(one.unused_data for one in (self._inflate, self._bunzip) if one is not None)
        if self._left:
            raise self._broken("has less content than is told")
        if unused or self._packed:
            raise self._broken("has bytes after its content")
        if self._crc != self._member.crc:
            raise self._broken("has a wrong checksum: the archive is broken")

    def _broken(self, what: str) -> BadArchiveError:
        return BadArchiveError(f"'{_show(self._member)}' {what}")
