"""A prefix with its closure as a tar archive, to be unpacked at the root, or as a squashfs image, to be mounted."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

import zstandard
from isal import igzip

from hashdist.build.environment import EPOCH
from hashdist.errors import ConflictError, InvalidError, NotFoundError
from hashdist.fsutil.atomic import publish, sync_directory, unique_suffix
from hashdist.objects.tree import Mode
from hashdist.process import ProgramFailedError
from hashdist.progress import Progress
from hashdist.store.roots import in_use
from hashdist.workflow.session import Session

from .closure import Closure, closure_of
from .contents import HostChangedError, HostFiles, Item, contents, root_of, with_parents

_LEVEL = 9
_ENDINGS = (".tar.zst", ".tar.gz", ".tgz", ".tar")
_PROGRAM = "mksquashfs"


@dataclass(frozen=True, slots=True)
class Exported:
    """An archive or image that was written."""

    closure: Closure
    """What is in it."""
    path: str
    """Where it is."""
    size: int
    """Its bytes."""
    files: int
    """How many files, directories and links are in it."""
    root: str
    """Where it is to be unpacked or mounted."""


def export_tar(session: Session, revision: str | None, path: str, *, host: HostFiles) -> Exported:
    """Write a tar archive, to be unpacked at ``/``, compressed as the ending of `path` says (zst, gz, none).

    It is there wholly or not at all, and the same bytes for the same. Raises as `closure_of` does, `ConflictError`
    where there is such a file, `HostChangedError`.
    """
    if not path.endswith(_ENDINGS):
        raise InvalidError(
            f"'{path}' has an ending that says nothing of compression", hint=f"choose one of: {' '.join(_ENDINGS)}"
        )
    with _exporting(session, revision, path, host) as (closure, items, temporary):
        with open(temporary, "xb") as raw:
            with _compressed(path, raw, threads=session.jobs) as stream:
                _write(stream, items, "/", session.progress)
            raw.flush()
            os.fsync(raw.fileno())
        publish(temporary, path, durable=False)
    sync_directory(os.path.dirname(path))
    return Exported(closure, path, os.stat(path).st_size, len(items), "/")


def export_squashfs(session: Session, revision: str | None, path: str, *, host: HostFiles) -> Exported:
    """Write a squashfs image by ``mksquashfs``, to be mounted at the directory that all of it lies below.

    Raises as `export_tar` does, and `NotFoundError` where there is no such program.
    """
    program = shutil.which(_PROGRAM, path=session.env.get("PATH", os.defpath))
    if program is None:
        raise NotFoundError(f"no '{_PROGRAM}' here", hint="install squashfs-tools, or: hdist export tar")
    with _exporting(session, revision, path, host) as (closure, items, temporary):
        root = root_of(items) if host != "all" else "/"
        if host != "all" and not any(f"{root}/".startswith(f"{store.config.path}/") for store in session.store.chain):
            raise ConflictError(
                f"not all of it lies in one store, but below {root}, where nothing can be mounted",
                hint="hdist export tar; or without files of the host: --host none; or as a root of its own: --host all",
            )
        arguments = [program, "-", temporary, "-tar", "-quiet", "-no-progress", "-all-root", "-noappend"]
        arguments += ["-mkfs-time", str(EPOCH), "-root-time", str(EPOCH), "-root-mode", "0755", "-comp", "zstd"]
        arguments += ["-processors", str(session.jobs)]
        _piped(arguments, session, with_parents(items, root), root)
        with open(temporary, "rb") as raw:
            os.fsync(raw.fileno())
        publish(temporary, path, durable=False)
    sync_directory(os.path.dirname(path))
    return Exported(closure, path, os.stat(path).st_size, len(items), root)


@contextlib.contextmanager
def _exporting(
    session: Session, revision: str | None, path: str, host: HostFiles
) -> Iterator[tuple[Closure, list[Item], str]]:
    """What to write, and where, with gc kept away; what was begun there is removed again."""
    check_free(path)
    temporary = f"{path}.tmp-{unique_suffix()}"
    with in_use(session.store, purpose="export"):
        closure = closure_of(session, revision)
        try:
            yield closure, contents(session, closure, host), temporary
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


def check_free(path: str) -> None:
    """Raise `ConflictError` where there is something, `NotFoundError` where there is no directory for it."""
    if os.path.lexists(path):
        raise ConflictError(f"there is a '{path}' already", hint="choose another name: -o PATH")
    if not os.path.isdir(os.path.dirname(path)):
        raise NotFoundError(f"no directory '{os.path.dirname(path)}'", hint="make it first")


def _piped(arguments: Sequence[str], session: Session, items: Sequence[Item], root: str) -> None:
    """Have a program read the tar archive."""
    program = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(session.env)
    )
    assert program.stdin is not None, "it is a pipe"
    assert program.stderr is not None, "it is a pipe"
    try:
        with contextlib.suppress(BrokenPipeError), program.stdin:  # it says itself why it has ended
            _write(program.stdin, items, root, session.progress)
        said = program.stderr.read().decode(errors="replace")
    except BaseException:
        program.kill()
        raise
    finally:
        program.wait()
        program.stderr.close()
    if program.returncode:
        raise ProgramFailedError(arguments, program.returncode, said)


@contextlib.contextmanager
def _compressed(path: str, raw: BinaryIO, *, threads: int) -> Iterator[IO[bytes]]:
    if path.endswith(".zst"):
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, threads=threads)
        with compressor.stream_writer(raw, closefd=False) as stream:
            yield stream
    elif path.endswith((".gz", ".tgz")):
        kind: Any = igzip.IGzipFile
        zipped = kind(filename="", mode="wb", fileobj=raw, mtime=0)
        with zipped:
            yield zipped
    else:
        yield raw


def _write(stream: IO[bytes], items: Sequence[Item], root: str, progress: Progress) -> None:
    with (
        progress.task("export", len(items), "file") as task,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar,
    ):
        for item in items:
            _add(tar, item, os.path.relpath(item.path, root))
            task.advance()


def _add(tar: tarfile.TarFile, item: Item, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.mtime = EPOCH
    if item.mode is Mode.DIRECTORY:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
    elif item.mode is Mode.SYMLINK:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, item.target or "", 0o777
        tar.addfile(info)
    else:
        info.size, info.mode = item.size, 0o555 if item.mode is Mode.EXECUTABLE else 0o444
        with _opened(item) as file:
            tar.addfile(info, file)


@contextlib.contextmanager
def _opened(item: Item) -> Iterator[BinaryIO]:
    """A file to read; one of the host only if it still is what was captured."""
    if item.sha256 is None:
        with open(item.path, "rb") as file:
            yield file
        return
    try:
        with open(item.path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        data = None
    if data is None or hashlib.sha256(data).hexdigest() != item.sha256:
        raise HostChangedError(f"'{item.path}' is not as it was when this host was captured", hint="hdist host check")
    yield io.BytesIO(data)
