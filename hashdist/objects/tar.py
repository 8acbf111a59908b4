"""Read tar archives strictly: what two programs could read in two ways is refused.

Formats: POSIX.1-2017 'pax' (ustar and extended headers), GNU tar's manual, 'Basic Tar Format', and the headers
of Unix v7. The standard library's reader passes over malformed extended headers, believes a size that other
programs do not see, and keeps what it read; so this one reads the headers itself, in one pass and in bounded
memory.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from hashdist.errors import InvalidError

from . import tree

if TYPE_CHECKING:
    from typing import BinaryIO

BLOCK = 512
_ZEROS = b"\0" * BLOCK
_CHUNK = 1 << 18
#: Padding after the last file; tar itself writes at most a record of some kilobytes.
_TRAILER = 64 << 20
#: What headers say of a size that does not fit.
_NO_SIZES = {0, 0o77777777777}
#: Sizes from here on do not fit into a plain header, so that an extended one may differ from it.
_LARGE = 8 << 30


class BadArchiveError(InvalidError):
    """Bytes that are no archive, a broken one, or one that must not be unpacked."""


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "link"
    HARD_LINK = "hard link"


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One entry of an archive."""

    name: bytes
    """As it stands there."""
    kind: Kind
    """What it is."""
    size: int
    """Bytes that `data` gives."""
    executable: bool
    """Whether its owner may execute it."""
    target: bytes
    """Of links."""
    data: BinaryIO
    """The content; good until the next entry is asked for."""


@dataclass(slots=True)
class _Extended:
    """What headers before an entry say of it."""

    name: bytes | None = None
    target: bytes | None = None
    size: int | None = None
    pax: bool = False

    def set_name(self, name: bytes) -> None:
        if self.name not in {None, name}:
            raise BadArchiveError(f"two names for one entry: '{_show(name)}' and '{_show(self.name or b'')}'")
        self.name = name

    def set_target(self, target: bytes) -> None:
        if self.target not in {None, target}:
            raise BadArchiveError(f"two targets for one link: '{_show(target)}' and '{_show(self.target or b'')}'")
        self.target = target


def is_tar_header(block: bytes) -> bool:
    """Whether a block of 512 bytes begins an entry, by its checksum."""
    if len(block) < BLOCK or block == _ZEROS:
        return False
    try:
        told = _number(block[148:156])
    except BadArchiveError:
        return False
    rest = block[:148] + b"        " + block[156:]
    if told == sum(rest):
        return True
    # some old programs added signed bytes
    return told == sum(byte - 256 if byte > 127 else byte for byte in rest)  # noqa: PLR2004


def read_tar(stream: BinaryIO, *, header_limit: int) -> Iterator[TarEntry]:
    """Give the entries one by one, to the end of the stream.

    Raises `BadArchiveError`; extended headers have at most `header_limit` bytes.
    """
    extended = _Extended()
    empty = True
    while block := _read_block(stream):
        empty = False
        if block == _ZEROS:
            _check_trailer(stream)
            break
        if not is_tar_header(block):
            raise BadArchiveError("a header has a wrong checksum")
        kind, size = block[156:157], _number(block[124:136])
        if kind in b"xXgLK":
            _read_extended(stream, kind, size, header_limit, extended)
            continue
        yield from _entry(stream, block, kind, size, extended)
        extended = _Extended()
    if extended != _Extended():
        raise BadArchiveError("archive ends after an extended header")
    if empty:
        raise BadArchiveError("nothing is in it")


def _entry(stream: BinaryIO, block: bytes, kind: bytes, size: int, extended: _Extended) -> Iterator[TarEntry]:
    name = extended.name if extended.name is not None else _header_name(block)
    if kind == b"V" and not size:  # the label of a tape
        return
    if extended.size not in {None, size} and not (extended.size >= _LARGE and size in _NO_SIZES):
        raise BadArchiveError(f"'{_show(name)}' has two sizes: {size} and {extended.size}")
    size = extended.size if extended.size is not None else size
    what = _kind(kind, name, size)
    target = extended.target if extended.target is not None else _text(block[157:257])
    size = size if what is Kind.FILE else 0
    data = _Data(stream, size)
    executable = bool(_number(block[100:108]) & 0o100)
    yield TarEntry(name, what, size, executable, target, io.BufferedReader(data, _CHUNK) if size > _CHUNK else data)  # type: ignore[arg-type]
    _skip(stream, data.left, size)


def _kind(kind: bytes, name: bytes, size: int) -> Kind:
    if kind in b"0\0" + b"7":
        if not name.endswith(b"/"):
            return Kind.FILE
        kind = b"5"  # how Unix v7 wrote directories
    if kind == b"5":
        if size:
            raise BadArchiveError(f"directory '{_show(name)}' has content")
        return Kind.DIRECTORY
    if kind in b"12":
        if size:  # some programs would pass over as many bytes
            raise BadArchiveError(f"link '{_show(name)}' has content")
        return Kind.HARD_LINK if kind == b"1" else Kind.SYMLINK
    if kind in b"346":
        raise BadArchiveError(f"'{_show(name)}' is a device or a pipe")
    if kind == b"S":
        raise BadArchiveError(f"'{_show(name)}' is a sparse file, which is not read", hint="pack it without --sparse")
    raise BadArchiveError(f"'{_show(name)}' is of a kind that is not known: {kind!r}")


def _read_extended(stream: BinaryIO, kind: bytes, size: int, limit: int, extended: _Extended) -> None:
    if size > limit:
        raise BadArchiveError(f"an extended header has more than {limit} bytes (limit: header)")
    data = _read_exactly(stream, size)
    _skip(stream, 0, size)
    if kind in b"LK":
        text = _text(data)
        if data.rstrip(b"\0") != text:
            raise BadArchiveError(f"a long name has bytes after its end: '{_show(data[:100])}'")
        if kind == b"L":
            extended.set_name(text)
        else:
            extended.set_target(text)
    elif kind == b"g":
        for key in _pax_records(data):
            if key in {b"path", b"linkpath", b"size"} or key.startswith(b"GNU.sparse"):
                raise BadArchiveError(f"a header for all entries sets their {key.decode()}")
    else:
        if extended.pax:
            raise BadArchiveError("two extended headers for one entry")
        extended.pax = True
        _take_pax(_pax_records(data), extended)


def _take_pax(records: dict[bytes, bytes], extended: _Extended) -> None:
    if any(key.startswith(b"GNU.sparse") for key in records):
        raise BadArchiveError("archive has a sparse file, which is not read", hint="pack it without --sparse")
    if records.get(b"path", b"x") == b"" or records.get(b"linkpath", b"x") == b"":
        raise BadArchiveError("an extended header takes a name away")
    if b"path" in records:
        extended.set_name(records[b"path"])
    if b"linkpath" in records:
        extended.set_target(records[b"linkpath"])
    if b"size" in records:
        size = records[b"size"]
        if not size.isdigit() or len(size) > 20:  # noqa: PLR2004 - more than any file system has
            raise BadArchiveError(f"an extended header has a size that is no number: '{_show(size[:40])}'")
        extended.size = int(size)


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    """The records ``LENGTH KEY=VALUE``; each must end where its length says."""
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 12)
        length = data[position:space]
        end = position + int(length) if space > 0 and length.isdigit() else 0
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not space < end <= len(data) or data[end - 1 : end] != b"\n" or not equals or not key:
            raise BadArchiveError("an extended header is malformed")
        if records.get(key, value) != value:
            raise BadArchiveError(f"an extended header sets '{_show(key[:40])}' twice")
        records[key] = value
        position = end
    return records


def _header_name(block: bytes) -> bytes:
    name, magic, prefix = _text(block[:100]), block[257:265], _text(block[345:500])
    if magic == b"ustar\x0000" and prefix:
        return prefix + b"/" + name
    if magic not in {b"ustar\x0000", b"ustar  \0"} and magic.startswith(b"ustar") and prefix:
        raise BadArchiveError(f"'{_show(name)}' is of a kind of archive that is not known")
    return name


def _number(field: bytes) -> int:
    """Octal digits, or a binary number where the first bit is set."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise BadArchiveError("a header has a negative number")
        return int.from_bytes(bytes((field[0] & 0x3F,)) + field[1:], "big")
    digits = field.rstrip(b"\0 ").lstrip(b" ")
    if digits.strip(b"01234567"):
        raise BadArchiveError(f"a header has a number that is none: '{_show(field)}'")
    return int(digits or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _read_block(stream: BinaryIO) -> bytes:
    block = stream.read(BLOCK)
    while 0 < len(block) < BLOCK and (more := stream.read(BLOCK - len(block))):
        block += more
    if 0 < len(block) < BLOCK and block.strip(b"\0"):
        raise BadArchiveError("archive ends in the middle of a header")
    return block if len(block) == BLOCK else b""


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            raise BadArchiveError("archive ends in the middle of an entry")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _skip(stream: BinaryIO, left: int, size: int | None = None) -> None:
    """Pass over what is `left` of content, and the padding after content of `size` bytes."""
    left += -(left if size is None else size) % BLOCK
    while left:
        left -= len(_read_exactly(stream, min(left, _CHUNK)))


def _check_trailer(stream: BinaryIO) -> None:
    """Nothing that is an entry may follow the end: some programs would read on."""
    left = _TRAILER
    while chunk := stream.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise BadArchiveError(f"archive goes on for more than {_TRAILER} bytes after its end (limit: trailer)")
        if chunk.strip(b"\0") and any(
            is_tar_header(chunk[start : start + BLOCK]) for start in range(0, len(chunk), BLOCK)
        ):
            raise BadArchiveError("archive has entries after its end")


def _show(name: bytes) -> str:
    return tree.show_name(name[:200])


class _Data(io.RawIOBase):
    """The content of one entry."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        super().__init__()
        self._stream = stream
        self.left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        wanted = self.left if size < 0 else min(size, self.left)
        if not wanted:
            return b""
        data = _read_exactly(self._stream, wanted)
        self.left -= len(data)
        return data

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
