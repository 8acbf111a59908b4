"""Decompress streams, each format by its quickest library, none with more memory than it is given."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

from .importing import LimitError

if TYPE_CHECKING:
    import lzma
    from typing import BinaryIO

_CHUNK = 1 << 18


def decompressed(kind: str, file: BinaryIO, *, memory: int) -> BinaryIO:
    """The content of `file`, which is 'gz', 'bz2', 'xz', 'zst', or 'tar' (not compressed).

    Reading raises what the library raises, and `LimitError` where it would need more than `memory` bytes.
    """
    if kind == "gz":
        from isal import igzip  # noqa: PLC0415 - each library only where it is needed: they take long to load

        stream: object = igzip.IGzipFile(fileobj=file, mode="rb")  # type: ignore[no-untyped-call]
    elif kind == "bz2":
        import bz2  # noqa: PLC0415 - see above

        stream = bz2.BZ2File(file)
    elif kind == "xz":
        stream = _Xz(file, memory)
    elif kind == "zst":
        stream = _Zstd(file, memory)
    else:
        return file
    return io.BufferedReader(stream, _CHUNK)  # type: ignore[type-var]


def errors_of(kind: str) -> tuple[type[Exception], ...]:
    """What reading a broken stream of a kind raises, besides `EOFError` and `OSError`."""
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
        import lzma  # noqa: PLC0415 - see above
        import zipfile  # noqa: PLC0415
        import zlib  # noqa: PLC0415

        return (zipfile.BadZipFile, lzma.LZMAError, zlib.error, NotImplementedError)
    return ()


def _too_much(memory: int) -> LimitError:
    return LimitError(
        f"it takes more than {memory} bytes of memory to decompress (limit: memory)",
        hint="for a source that is what it should be: --limit memory=NUMBER",
    )


class _Xz(io.RawIOBase):
    """One xz stream after another, each with bounded memory, which the standard library's file has not."""

    def __init__(self, file: BinaryIO, memory: int) -> None:
        super().__init__()
        self._file = file
        self._memory = memory
        self._decompressor = self._fresh()
        self._input = b""

    def _fresh(self) -> lzma.LZMADecompressor:
        import lzma  # noqa: PLC0415 - see above

        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=self._memory)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while True:
            if self._decompressor.eof:
                rest = self._decompressor.unused_data.lstrip(b"\0") or self._file.read(_CHUNK).lstrip(b"\0")
                if not rest:
                    return 0
                self._decompressor, self._input = self._fresh(), rest
            elif self._decompressor.needs_input and not self._input:
                self._input = self._file.read(_CHUNK)
                if not self._input:
                    raise EOFError("it ends in the middle")
            data = self._decompress(len(view))
            if data:
                view[: len(data)] = data
                return len(data)

    def _decompress(self, size: int) -> bytes:
        import lzma  # noqa: PLC0415 - see above

        given, self._input = self._input, b""
        try:
            return self._decompressor.decompress(given, size)
        except lzma.LZMAError as error:
            if "limit" in str(error):
                raise _too_much(self._memory) from error
            raise


class _Zstd(io.RawIOBase):
    """Frames of zstd; one whose window is larger than `memory` is refused."""

    def __init__(self, file: BinaryIO, memory: int) -> None:
        super().__init__()
        import zstandard  # noqa: PLC0415 - see above

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
