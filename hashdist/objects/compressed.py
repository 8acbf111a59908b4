"""Decompress streams, each format by its quickest library; none with more memory than it is given, none cut short."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol, cast

from hashdist.errors import InvalidError

from .importing import LimitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_CHUNK = 1 << 18
_ZSTD_FRAME, _ZSTD_SKIPPABLE = 0xFD2FB528, 0x184D2A50


class BrokenStreamError(InvalidError):
    """A compressed stream that is cut short, or has something behind its end."""


def decompressed(kind: str, file: BinaryIO, *, memory: int) -> BinaryIO:
    """The content of `file`, which is 'gz', 'bz2', 'xz', 'zst', or 'tar' (not compressed).

    Reading raises `BrokenStreamError`, what the library raises (see `errors_of`), and `LimitError` where it would
    need more than `memory` bytes.
    """
    if kind == "gz":
        from isal import igzip  # noqa: PLC0415 - each library only where it is needed: they take long to load

        stream: object = igzip.IGzipFile(fileobj=file, mode="rb")  # type: ignore[no-untyped-call]
    elif kind == "bz2":
        import bz2  # noqa: PLC0415 - see above

        stream = _Streams(file, bz2.BZ2Decompressor, padding=1, memory=memory)
    elif kind == "xz":
        import lzma  # noqa: PLC0415 - see above

        def fresh() -> lzma.LZMADecompressor:
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory)

        stream = _Streams(file, fresh, padding=4, memory=memory)
    elif kind == "zst":
        _check_zstd_frames(file)
        stream = _Zstd(file, memory)
    else:
        return file
    return io.BufferedReader(stream, _CHUNK)  # type: ignore[type-var]


def errors_of(kind: str) -> tuple[type[Exception], ...]:
    """What reading a broken stream of a kind raises, besides `BrokenStreamError`, `EOFError` and `OSError`."""
    if kind == "gz":
        from isal import igzip, isal_zlib  # noqa: PLC0415 - see above

        # its stub says that it is an instance
        return (igzip.BadGzipFile, cast("type[Exception]", isal_zlib.error))
    if kind == "xz":
        import lzma  # noqa: PLC0415 - see above

        return (lzma.LZMAError,)
    if kind == "zst":
        import zstandard  # noqa: PLC0415 - see above

        return (zstandard.ZstdError,)
    if kind == "zip":
        import zlib  # noqa: PLC0415 - see above

        return (zlib.error,)
    return ()


def _too_much(memory: int) -> LimitError:
    return LimitError(
        f"it takes more than {memory} bytes of memory to decompress (limit: memory)",
        hint="for a source that is what it should be: --limit memory=NUMBER",
    )


class _Decompressor(Protocol):
    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Streams(io.RawIOBase):
    """One stream after another, to the end of the file; between them at most zeros, in multiples of `padding`.

    The standard library's files take what they cannot read behind the first stream for rubbish, and leave it out.
    """

    def __init__(self, file: BinaryIO, fresh: Callable[[], object], *, padding: int, memory: int) -> None:
        super().__init__()
        self._file = file
        self._fresh = cast("Callable[[], _Decompressor]", fresh)
        self._padding = padding
        self._memory = memory
        self._decompressor = self._fresh()
        self._input = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while True:
            if self._decompressor.eof:
                self._input = self._next_stream(self._decompressor.unused_data)
                if not self._input:
                    return 0
                self._decompressor = self._fresh()
            elif self._decompressor.needs_input and not self._input:
                self._input = self._file.read(_CHUNK)
                if not self._input:
                    raise BrokenStreamError("it ends in the middle")
            data = self._decompress(len(view))
            if data:
                view[: len(data)] = data
                return len(data)

    def _next_stream(self, rest: bytes) -> bytes:
        """The beginning of what follows, after zeros; nothing at the end of the file."""
        zeros = 0
        while True:
            stripped = rest.lstrip(b"\0")
            zeros += len(rest) - len(stripped)
            if stripped or not (rest := self._file.read(_CHUNK)):
                if zeros % self._padding:
                    raise BrokenStreamError("it has padding of an odd length")
                return stripped

    def _decompress(self, size: int) -> bytes:
        given, self._input = self._input, b""
        try:
            return self._decompressor.decompress(given, size)
        except Exception as error:
            if "memory usage limit" in str(error).lower():
                raise _too_much(self._memory) from error
            raise


class _Zstd(io.RawIOBase):
    """Frames of zstd; one whose window is larger than `memory` is refused."""

    def __init__(self, file: BinaryIO, memory: int) -> None:
        import zstandard  # noqa: PLC0415 - see above

        super().__init__()
        self._memory = memory
        self._error = zstandard.ZstdError
        # the library takes powers of two, and no less than a kibibyte
        window = 1 << max(10, memory.bit_length() - 1)
        decompressor = zstandard.ZstdDecompressor(max_window_size=window)
        self._stream = decompressor.stream_reader(file, read_across_frames=True)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        try:
            return self._stream.readinto(buffer)
        except self._error as error:
            if "memory" in str(error):
                raise _too_much(self._memory) from error
            raise


def _check_zstd_frames(file: BinaryIO) -> None:
    """Go over frames and blocks to the end: the library does not tell a stream that is cut short from a whole one.

    Format: RFC 8878.
    """
    start, size = file.tell(), file.seek(0, io.SEEK_END)
    position = start
    while position < size:
        position = _zstd_frame_end(file, position, size)
    if position != size:
        raise BrokenStreamError("it ends in the middle")
    file.seek(start)


def _zstd_frame_end(file: BinaryIO, position: int, size: int) -> int:
    file.seek(position)
    head = file.read(18).ljust(18, b"\0")
    magic = int.from_bytes(head[:4], "little")
    if magic & ~0xF == _ZSTD_SKIPPABLE:
        return position + 8 + int.from_bytes(head[4:8], "little")
    if magic != _ZSTD_FRAME:
        raise BrokenStreamError("it has something behind its end")
    flags = head[4]
    single = flags >> 5 & 1
    content = (single, 2, 4, 8)[flags >> 6]
    position += 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + content
    while True:
        file.seek(position)
        block = file.read(3)
        if len(block) < 3 or position > size:  # noqa: PLR2004 - the length of a block's header
            raise BrokenStreamError("it ends in the middle")
        number = int.from_bytes(block, "little")
        kind, length = number >> 1 & 3, number >> 3
        position += 3 + (1 if kind == 1 else length)
        if number & 1:
            return position + 4 * (flags >> 2 & 1)
