"""Tar and zip archives become trees in one pass, without a file ever being unpacked to disk.

What an archive says is data: absolute names, ``..``, entries below links, hard links outside, devices and
pipes, two entries of one name, and ``.git`` are refused; memory and depth are bounded. One thing is left
out in silence: the file ``.git`` with a line ``gitdir: …`` that packagers' submodules leave behind.
"""

from __future__ import annotations

import bz2
import errno
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import zstandard
from isal import igzip, isal_zlib

from hashdist.errors import InvalidError
from hashdist.progress import SILENT, Progress

from . import tree
from .database import ObjectDatabase
from .ids import TreeId
from .importing import LARGE_FILE, Importer, Limits

if TYPE_CHECKING:
    from typing import BinaryIO

_MAGIC = 262
_CHUNK = 1 << 18
#: Padding after the last file; tar itself writes at most a record of some kilobytes.
_TRAILER = 64 << 20
#: Bytes of one extended header: names and a few numbers.
_HEADER = 1 << 20
_ISAL_ERROR = cast("type[Exception]", isal_zlib.error)  # its stub says that it is an instance
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    lzma.LZMAError,
    zlib.error,
    zstandard.ZstdError,
    igzip.BadGzipFile,
    NotImplementedError,
    _ISAL_ERROR,
    UnicodeError,
)


class BadArchiveError(InvalidError):
    """Bytes that are no archive, a broken one, or one that must not be unpacked."""


@dataclass(frozen=True, slots=True)
class ImportedArchive:
    """What an archive became."""

    tree: TreeId
    """The tree of its files."""
    stripped: str | None
    """The one common leading directory that was left off, if there was one."""


def is_archive(path: str) -> bool:
    """Whether the file begins like a tar (compressed or not) or zip archive."""
    with open(path, "rb") as file:
        head = file.read(_MAGIC)
    return _kind(head) is not None


def _kind(head: bytes) -> str | None:
    for magic, kind in (
        (b"PK\3\4", "zip"),
        (b"PK\5\6", "zip"),
        (b"\x1f\x8b", "gz"),
        (b"BZh", "bz2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zst"),
    ):
        if head.startswith(magic):
            return kind
    return "tar" if head[257:262] == b"ustar" else None


def import_archive(
    database: ObjectDatabase,
    path: str,
    *,
    strip: bool = True,
    limits: Limits | None = None,
    progress: Progress = SILENT,
    label: str = "",
) -> ImportedArchive:
    """Write the tree of the archive at `path`; with `strip`, without one common leading directory.

    Raises `BadArchiveError`, `InvalidTreeError` or `LimitError`, and then the store is as it was.
    """
    with open(path, "rb") as file:
        kind = _kind(file.read(_MAGIC))
        file.seek(0)
        if kind is None:
            raise BadArchiveError(f"'{label or path}' is not an archive that can be read (tar, zip)")
        try:
            with Importer(database, limits=limits or Limits(), progress=progress, label=label) as importer:
                if kind == "zip":
                    _add_zip(importer, file)
                else:
                    stream = _decompress(kind, file)
                    _add_tar(importer, stream)
                    _drain(stream)
                return ImportedArchive(*importer.finish(strip=strip))
        except _BROKEN as error:
            raise BadArchiveError(f"archive '{label or path}' is broken: {error}") from error
        except OSError as error:
            if error.errno not in {None, errno.EINVAL}:
                raise
            # bz2 has no error of its own, and zipfile seeks to wherever a broken archive says
            raise BadArchiveError(f"archive '{label or path}' is broken: {error}") from error


def _decompress(kind: str, file: BinaryIO) -> BinaryIO:
    if kind == "gz":
        stream: object = igzip.IGzipFile(fileobj=file, mode="rb")  # type: ignore[no-untyped-call]
    elif kind == "bz2":
        stream = bz2.BZ2File(file)
    elif kind == "xz":
        stream = lzma.LZMAFile(file)  # noqa: SIM115 - closed with the file below it
    elif kind == "zst":
        stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    else:
        return file
    return io.BufferedReader(stream, _CHUNK)  # type: ignore[type-var]


_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _Member(tarfile.TarInfo):
    """An entry whose extended headers are bounded: tarfile reads them whole into memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > _HEADER:
            raise BadArchiveError(f"an extended header has more than {_HEADER} bytes (limit: header)")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


def _add_tar(importer: Importer, stream: BinaryIO) -> None:
    with tarfile.open(
        fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape", bufsize=_CHUNK, tarinfo=_Member
    ) as archive:
        for member in archive:
            path = _split(_tar_bytes(member.name))
            if member.isdir():
                if path:
                    importer.add_directory(path)
            elif not path:
                raise BadArchiveError("archive has a file without a name")
            elif member.issym():
                importer.add_link(path, _tar_bytes(member.linkname))
            elif member.islnk():
                if not importer.add_copy(path, _split(_tar_bytes(member.linkname))):
                    raise BadArchiveError(f"'{_show(path)}' is a hard link to something outside the archive")
            elif member.isfile():
                _add_member(importer, archive, member, path)
            else:
                raise BadArchiveError(f"'{_show(path)}' is a device or a pipe")
            archive.members.clear()  # type: ignore[attr-defined]  # or tarfile keeps every header


def _drain(stream: BinaryIO) -> None:
    """Read what follows the last file: only at its end does a compressed stream tell whether it was whole."""
    left = _TRAILER
    while chunk := stream.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise BadArchiveError(f"archive goes on for more than {_TRAILER} bytes after its end (limit: trailer)")


def _add_member(importer: Importer, archive: tarfile.TarFile, member: tarfile.TarInfo, path: list[bytes]) -> None:
    stream = archive.extractfile(member)
    assert stream is not None, "isfile() was true"
    executable = bool(member.mode & 0o100)
    if member.size > LARGE_FILE:
        importer.add_stream(path, stream, member.size, executable=executable)  # type: ignore[arg-type]
        return
    data = stream.read()
    if len(data) != member.size:
        raise BadArchiveError(f"archive ends in the middle of '{_show(path)}'")
    _add_small(importer, path, data, executable=executable)


def _add_zip(importer: Importer, file: BinaryIO) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            path = _split(_zip_bytes(member))
            mode = member.external_attr >> 16 if member.create_system == 3 else 0  # noqa: PLR2004 - 3 is Unix
            if member.flag_bits & 1:
                raise BadArchiveError(f"'{_show(path)}' is encrypted")
            if member.is_dir():
                if path:
                    importer.add_directory(path)
                continue
            if not path:
                raise BadArchiveError("archive has a file without a name")
            if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFLNK}:
                raise BadArchiveError(f"'{_show(path)}' is a device or a pipe")
            with archive.open(member) as stream:
                if stat.S_ISLNK(mode):
                    importer.add_link(path, stream.read(4096))
                elif member.file_size > LARGE_FILE:
                    importer.add_stream(path, stream, member.file_size, executable=bool(mode & 0o100))  # type: ignore[arg-type]
                else:
                    _add_small(importer, path, stream.read(LARGE_FILE + 1), executable=bool(mode & 0o100))


def _add_small(importer: Importer, path: list[bytes], data: bytes, *, executable: bool) -> None:
    if path[-1] == b".git" and data.startswith(b"gitdir: "):
        return  # what a submodule leaves in an archive: it says where the packager's clone was
    importer.add_file(path, lambda: data, len(data), executable=executable)


def _tar_bytes(name: str) -> bytes:
    return name.encode("utf-8", errors="surrogateescape")


def _zip_bytes(member: zipfile.ZipInfo) -> bytes:
    """The name's bytes as they stand in the archive: zipfile decodes those without the UTF-8 flag as cp437."""
    return member.orig_filename.encode("utf-8" if member.flag_bits & 0x800 else "cp437", errors="surrogateescape")


def _split(name: bytes) -> list[bytes]:
    """The parts of a relative path; ``.`` and doubled slashes do not count."""
    if name.startswith(b"/"):
        raise BadArchiveError(f"'{tree.show_name(name[:200])}' is an absolute name")
    parts = [part for part in name.split(b"/") if part not in {b"", b"."}]
    if b".." in parts:
        raise BadArchiveError(f"'{tree.show_name(name[:200])}' leads out of the archive")
    return parts


def _show(path: list[bytes]) -> str:
    return tree.show_name(b"/".join(path)[:200])
