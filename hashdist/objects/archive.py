"""Tar and zip archives become trees in one pass, without a file ever being unpacked to disk.

What an archive says is data: absolute names, ``..``, entries below links, hard links outside, devices and
pipes, two entries of one name that differ, and ``.git`` are refused; memory, size and depth are bounded. One
thing is left out in silence: the file ``.git`` with a line ``gitdir: …`` that packagers' submodules leave behind.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from hashdist.progress import SILENT, Progress

from . import tree
from .compressed import BrokenStreamError, decompressed, errors_of
from .database import ObjectDatabase
from .ids import TreeId
from .importing import Importer, LimitError, Limits
from .packing import LARGE_FILE
from .tar import BLOCK, BadArchiveError, Kind, is_tar_header, read_tar

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["BadArchiveError", "ImportedArchive", "import_archive", "is_archive"]

#: Archives smaller than this, unpacked, cannot hurt by being large.
_RATIO_FLOOR = 256 << 20
#: Archives within archives are kept in memory up to this.
_IN_MEMORY = 64 << 20


@dataclass(frozen=True, slots=True)
class ImportedArchive:
    """What an archive became."""

    tree: TreeId
    """The tree of its files."""
    stripped: str | None
    """The one common leading directory that was left off, if there was one."""


def is_archive(path: str) -> bool:
    """Whether the file is a tar (compressed or not) or zip archive, by how it begins."""
    with open(path, "rb") as file:
        kind = _kind(file)
        if kind in {None, "zip"}:
            return kind is not None
        file.seek(0)
        broken: tuple[type[BaseException], ...] = (
            *errors_of(kind or ""),
            BrokenStreamError,
            EOFError,
            OSError,
            LimitError,
        )
        try:
            block = decompressed(kind or "", file, memory=Limits().memory).read(BLOCK)
        except broken:
            return True  # a broken one
        return is_tar_header(block) or block == b"\0" * BLOCK


def _kind(file: BinaryIO) -> str | None:
    head = file.read(BLOCK)
    for magic, kind in (
        (b"PK\3\4", "zip"),
        (b"PK\5\6", "zip"),
        (b"\x1f\x8b", "gz"),
        (b"BZh", "bz2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zst"),
        *((b"%c\x2a\x4d\x18" % first, "zst") for first in range(0x50, 0x60)),  # a frame to be passed over
    ):
        if head.startswith(magic):
            return kind
    return "tar" if is_tar_header(head) else None


def import_archive(
    database: ObjectDatabase,
    path: str,
    *,
    strip: bool = True,
    limits: Limits | None = None,
    progress: Progress = SILENT,
    label: str = "",
    hash_only: bool = False,
) -> ImportedArchive:
    """Write the tree of the archive at `path`; with `strip`, without one common leading directory.

    With `hash_only` nothing is written: the id is what is wanted. Raises `BadArchiveError`, `InvalidTreeError`
    or `LimitError`, and then the store is as it was.
    """
    limits = limits or Limits()
    shown = label or os.path.basename(path)
    with open(path, "rb") as file:
        kind = _kind(file)
        file.seek(0)
        if kind is None:
            raise BadArchiveError(f"'{shown}' is not an archive that can be read (tar, zip)")
        broken: tuple[type[BaseException], ...] = (*errors_of(kind), BrokenStreamError, EOFError)
        try:
            with Importer(database, limits=limits, progress=progress, label=shown, hash_only=hash_only) as importer:
                if kind == "zip":
                    _add_zip(importer, file, limits)
                else:
                    _add_tar(importer, _stream(kind, file, limits), limits)
                return ImportedArchive(*importer.finish(strip=strip))
        except BadArchiveError as error:
            raise BadArchiveError(f"archive '{shown}': {error}", hint=error.hint) from error
        except LimitError as error:
            raise LimitError(f"archive '{shown}': {error}", hint=error.hint) from error
        except broken as error:
            raise BadArchiveError(f"archive '{shown}' is broken: {error}") from error
        except OSError as error:
            if error.errno not in {None, errno.EINVAL}:
                raise
            # bz2 has no error of its own, and zipfile seeks to wherever a broken archive says
            raise BadArchiveError(f"archive '{shown}' is broken: {error}") from error


def _stream(kind: str, file: BinaryIO, limits: Limits) -> BinaryIO:
    if kind == "tar":
        return file
    packed = os.fstat(file.fileno()).st_size
    stream = decompressed(kind, file, memory=limits.memory)
    return io.BufferedReader(_Bounded(stream, packed, limits.ratio), 1 << 18)


class _Bounded(io.RawIOBase):
    """A decompressed stream that must not become many times as large as it was."""

    def __init__(self, stream: BinaryIO, packed: int, ratio: int) -> None:
        super().__init__()
        self._stream = stream
        self._ratio = ratio
        self._left = max(_RATIO_FLOOR, packed * ratio)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        read: int = self._stream.readinto(buffer)  # type: ignore[attr-defined]
        self._left -= read
        if self._left < 0:
            raise LimitError(
                f"its files have more than {self._ratio} times its bytes (limit: ratio)",
                hint="for a source that is what it should be: --limit ratio=NUMBER",
            )
        return read


def _add_tar(importer: Importer, stream: BinaryIO, limits: Limits) -> None:
    for entry in read_tar(stream, header_limit=limits.header):
        path = _split(entry.name)
        if entry.kind is Kind.DIRECTORY:
            importer.add_directory(path)
        elif entry.kind is Kind.SYMLINK:
            importer.add_link(_named(path, entry.name), entry.target)
        elif entry.kind is Kind.HARD_LINK:
            if not importer.add_copy(_named(path, entry.name), _split(entry.target)):
                raise BadArchiveError(f"'{_show(path)}' is a hard link to something outside the archive")
        else:
            _add_file(importer, _named(path, entry.name), entry.data, entry.size, executable=entry.executable)


def _is_conda(names: Sequence[bytes]) -> bool:
    """Whether these are all the members of a conda package of format 2: files in one archive, metadata in another.

    https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html
    """
    return sorted(name.partition(b"-")[0] for name in names) == [b"info", b"metadata.json", b"pkg"]


def _add_conda(importer: Importer, file: BinaryIO, limits: Limits) -> None:
    from .zip import read_zip  # noqa: PLC0415 - see below

    most = max(_RATIO_FLOOR, os.fstat(file.fileno()).st_size * limits.ratio)
    for entry in read_zip(file, entries_limit=limits.entries):
        if entry.name.endswith(b".tar.zst"):
            with tempfile.SpooledTemporaryFile(_IN_MEMORY) as inner:
                packed = _Bounded(entry.data, most // limits.ratio, limits.ratio)
                shutil.copyfileobj(io.BufferedReader(packed), inner)
                size = inner.tell()
                inner.seek(0)
                stream = decompressed("zst", cast("BinaryIO", inner), memory=limits.memory)
                bounded = _Bounded(stream, size, limits.ratio)
                try:
                    _add_tar(importer, io.BufferedReader(bounded, 1 << 18), limits)
                except errors_of("zst") as error:
                    raise BrokenStreamError(str(error)) from error


def _add_zip(importer: Importer, file: BinaryIO, limits: Limits) -> None:
    from .zip import few_names, read_zip  # noqa: PLC0415 - what it needs takes long to load

    if _is_conda(few_names(file, 3)):
        _add_conda(importer, file, limits)
        return

    most = max(_RATIO_FLOOR, os.fstat(file.fileno()).st_size * limits.ratio)
    for entry in read_zip(file, entries_limit=limits.entries):
        path = _split(entry.name)
        if importer.size + entry.size > most:
            raise LimitError(f"its files have more than {limits.ratio} times its bytes (limit: ratio)")
        if entry.kind is Kind.DIRECTORY:
            importer.add_directory(path)
            entry.data.read(1)  # that there is none
        elif entry.kind is Kind.SYMLINK:
            importer.add_link(_named(path, entry.name), entry.data.read())
        else:
            _add_file(importer, _named(path, entry.name), entry.data, entry.size, executable=entry.executable)


def _add_file(importer: Importer, path: list[bytes], stream: BinaryIO, size: int, *, executable: bool) -> None:
    if size > LARGE_FILE:
        importer.add_stream(path, stream, size, executable=executable)
        return
    data = stream.read(size + 1)
    if len(data) != size:
        raise BadArchiveError(f"'{_show(path)}' is not as long as the archive tells")
    if path[-1] == b".git" and data.startswith(b"gitdir: "):
        return  # what a submodule leaves in an archive: it says where the packager's clone was
    importer.add_file(path, data, executable=executable)


def _split(name: bytes) -> list[bytes]:
    """The parts of a relative path; ``.`` and doubled slashes do not count."""
    if name.startswith(b"/"):
        raise BadArchiveError(f"'{tree.show_name(name[:200])}' is an absolute name")
    parts = [part for part in name.split(b"/") if part not in {b"", b"."}]
    if b".." in parts:
        raise BadArchiveError(f"'{tree.show_name(name[:200])}' leads out of the archive")
    return parts


def _named(path: list[bytes], name: bytes) -> list[bytes]:
    """The path of what is no directory: it must end in a name, and not in a dot or slash."""
    if not path or path[-1] != name.rpartition(b"/")[2]:
        raise BadArchiveError(f"'{tree.show_name(name[:200])}' is not a directory and has no name")
    return path


def _show(path: list[bytes]) -> str:
    return tree.show_name(b"/".join(path)[:200])
