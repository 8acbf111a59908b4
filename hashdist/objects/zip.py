"""Read zip archives strictly: what two programs could read in two ways is refused.

A zip tells everything twice, in a directory at its end and before each file; programs that unpack while they
read believe the one, all others the other. Format: PKWARE's APPNOTE 6.3.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import tree
from .tar import BadArchiveError, Kind

if TYPE_CHECKING:
    from typing import BinaryIO

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_END = struct.Struct("<4sHHHHIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_DESCRIPTOR_SIZES = (0, 12, 16, 20, 24)
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 0x1, 0x8, 0x800
_UNIX = 3
_UNICODE_PATH = 0x7075
_ZIP64 = 1
_SENTINEL = 0xFFFFFFFF
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
#: The longest target that a link can have.
_TARGET = 4096


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
    archive: zipfile.ZipFile
    """Where it is."""
    member: zipfile.ZipInfo
    """And as what."""

    def open(self) -> BinaryIO:
        """The content."""
        return self.archive.open(self.member)  # type: ignore[return-value]


def read_zip(file: BinaryIO, *, entries_limit: int) -> Iterator[ZipEntry]:
    """Give the entries one by one; raises `BadArchiveError`."""
    told, start_of_directory = _check_end(file)
    if told > entries_limit:
        raise BadArchiveError(f"more than {entries_limit} entries (limit: entries)")
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) != told:
            raise BadArchiveError(f"archive tells of {told} entries and has {len(members)}")
        position = 0
        for member in sorted(members, key=lambda member: member.header_offset):
            position = _check_local(file, member, position)
        gap = start_of_directory - position
        if gap and members and not (gap in _DESCRIPTOR_SIZES and members[-1].flag_bits & _DESCRIPTOR):
            raise BadArchiveError("archive has bytes between its last file and its directory")
        for member in members:
            yield _entry(archive, member)


def _check_end(file: BinaryIO) -> tuple[int, int]:
    """The number of entries and where their directory begins; there must be one end, and nothing after it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - 0xFFFF))
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
    end = size - len(tail) + place
    if tail[max(0, place - 20) : max(0, place - 20) + 4] == b"PK\6\7":
        file.seek(struct.unpack_from("<Q", tail, place - 20 + 8)[0])
        record = file.read(_END64.size)
        if len(record) < _END64.size or record[:4] != b"PK\6\6":
            raise BadArchiveError("archive tells of a directory that is not there")
        end = file.tell() - _END64.size
        _, _, _, _, disk, directory_disk, here, total, length, offset = _END64.unpack(record)
    if disk or directory_disk or here != total:
        raise BadArchiveError("archive is one of several parts")
    if offset + length != end:
        raise BadArchiveError("archive has bytes before its first file, or after its directory")
    return total, offset


def _check_local(file: BinaryIO, member: zipfile.ZipInfo, position: int) -> int:
    """Compare what stands before a file with what the directory tells; returns where the file ends."""
    name = tree.show_name(_name(member)[:200])
    file.seek(member.header_offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\3\4":
        raise BadArchiveError(f"'{name}' is not where the archive tells")
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack(header)
    local_name, extra = file.read(name_size), file.read(extra_size)
    gap = member.header_offset - position
    if gap and not (position and gap in _DESCRIPTOR_SIZES):
        raise BadArchiveError(f"archive has bytes before '{name}' that belong to no file, or files in one another")
    if flags & _ENCRYPTED or member.flag_bits & _ENCRYPTED:
        raise BadArchiveError(f"'{name}' is encrypted")
    if method not in _METHODS:
        raise BadArchiveError(f"'{name}' is packed by a method that is not known: {method}")
    same = local_name == _name(member) and method == member.compress_type
    same = same and (flags ^ member.flag_bits) & (_ENCRYPTED | _DESCRIPTOR | _UTF8) == 0
    if flags & _DESCRIPTOR:
        # sizes may be left out here; those that are told must be true
        same = same and size in {0, member.file_size, _SENTINEL} and packed in {0, member.compress_size, _SENTINEL}
    else:
        told = _zip64(extra, size, packed)
        same = same and told == (member.file_size, member.compress_size) and crc == member.CRC
    if not same:
        raise BadArchiveError(f"archive tells two things of '{name}'")
    for one in (extra, member.extra):
        if _unicode_path(one) not in {None, _name(member)}:
            raise BadArchiveError(f"'{name}' has a second name")
    end: int = member.header_offset + _LOCAL.size + name_size + extra_size + member.compress_size
    return end


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, position)
        yield kind, extra[position + 4 : position + 4 + size]
        position += 4 + size


def _zip64(extra: bytes, size: int, packed: int) -> tuple[int, int]:
    for kind, data in _fields(extra):
        if kind == _ZIP64 and _SENTINEL in {size, packed}:
            numbers = [struct.unpack_from("<Q", data, place)[0] for place in range(0, len(data) - 7, 8)]
            if size == _SENTINEL and numbers:
                size = numbers.pop(0)
            if packed == _SENTINEL and numbers:
                packed = numbers.pop(0)
    return size, packed


def _unicode_path(extra: bytes) -> bytes | None:
    return next((data[5:] for kind, data in _fields(extra) if kind == _UNICODE_PATH), None)


def _entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> ZipEntry:
    name = _name(member)
    mode = member.external_attr >> 16 if member.create_system == _UNIX else 0
    shown = tree.show_name(name[:200])
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR}:
        raise BadArchiveError(f"'{shown}' is a device or a pipe")
    if name.endswith(b"/"):
        if member.file_size:
            raise BadArchiveError(f"directory '{shown}' has content")
        kind = Kind.DIRECTORY
    elif stat.S_ISDIR(mode):
        raise BadArchiveError(f"'{shown}' is a directory by its mode and a file by its name")
    elif stat.S_ISLNK(mode):
        if member.file_size > _TARGET:
            raise BadArchiveError(f"link '{shown}' has a target of more than {_TARGET} bytes")
        kind = Kind.SYMLINK
    else:
        kind = Kind.FILE
    return ZipEntry(name, kind, member.file_size, bool(mode & 0o100), archive, member)


def _name(member: zipfile.ZipInfo) -> bytes:
    """The name's bytes as they stand in the archive: zipfile decodes those without the UTF-8 flag as cp437."""
    return member.orig_filename.encode("utf-8" if member.flag_bits & _UTF8 else "cp437", errors="surrogateescape")
