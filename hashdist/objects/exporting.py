"""A tree becomes a directory, byte for byte, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from hashdist.progress import SILENT, Progress

from . import tree
from .database import ObjectDatabase
from .ids import ObjectId, TreeId
from .packing import LARGE_FILE
from .workers import Workers

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: Files for one process at a time.
_BATCH = 32
#: Bytes of a path that every file system takes at once.
_PATH_LIMIT = 3500


class _Part(NamedTuple):
    """Files of one directory."""

    folder: bytes
    """Relative to the top; empty for itself."""
    entries: list[tree.Entry]


class Modes(NamedTuple):
    """Permissions of what is written."""

    file: int = 0o644
    executable: int = 0o755


_PLAIN = Modes()


def export_tree(
    database: ObjectDatabase,
    id: TreeId,
    path: str,
    *,
    mtime: int,
    modes: Modes = _PLAIN,
    progress: Progress = SILENT,
    label: str = "",
) -> None:
    """Write the tree to the new directory `path`, everything with the time `mtime` (seconds since 1970).

    Names are checked again; nothing is written through a link. Raises `FileExistsError`, and whatever
    reading a damaged tree raises.
    """
    database.packed.bring(id)
    top_entries = database.tree(id)
    os.mkdir(path, 0o755)
    top = os.open(path, _DIRECTORY)
    try:
        writer = _Writer(database, top, mtime, modes)
        folders: list[bytes] = []
        with progress.task(label or os.path.basename(path), None, "file") as task:
            _write_all(writer, _parts(database, top, top_entries, folders), task.advance)
        for folder in reversed(folders):  # what is in them no longer changes
            fd = _open_folder(top, folder)
            try:
                os.utime(fd, (mtime, mtime))
            finally:
                os.close(fd)
    finally:
        os.close(top)


def _write_all(writer: _Writer, parts: Iterable[_Part], advance: Callable[[int], None]) -> None:
    batch: list[_Part] = []
    count = 0
    workers: Workers[list[_Part], int] | None = None
    try:
        for part in parts:
            batch.append(part)
            count += len(part.entries)
            if count < _BATCH:
                continue
            if workers is None:
                workers = Workers(writer.write)
            workers.results()
            if not workers.give(batch):
                writer.write(batch)
            advance(count)
            batch, count = [], 0
        writer.write(batch)
        if workers is not None:
            workers.results(all=True)
    except BaseException as error:
        if workers is not None:
            workers.__exit__(type(error), error, None)
        raise
    if workers is not None:
        workers.__exit__(None, None, None)


def _parts(
    database: ObjectDatabase, top: int, top_entries: tuple[tree.Entry, ...], folders: list[bytes]
) -> Iterator[_Part]:
    """Make all directories, told in `folders`, and give the files that belong into them."""
    pending: list[tuple[bytes, tuple[tree.Entry, ...]]] = [(b"", top_entries)]
    while pending:
        folder, entries = pending.pop()
        folders.append(folder)
        files = [entry for entry in entries if entry.mode is not tree.Mode.DIRECTORY]
        below = [entry for entry in entries if entry.mode is tree.Mode.DIRECTORY]
        if below:
            fd = _open_folder(top, folder)
            try:
                for entry in below:
                    os.mkdir(entry.name, 0o755, dir_fd=fd)
                    inside = folder + b"/" + entry.name if folder else entry.name
                    pending.append((inside, database.tree(TreeId(entry.id))))
            finally:
                os.close(fd)
        for start in range(0, len(files), _BATCH):
            yield _Part(folder, files[start : start + _BATCH])


class _Writer:
    """Writes files below `top`; works in any process."""

    def __init__(self, database: ObjectDatabase, top: int, mtime: int, modes: Modes) -> None:
        self._database = database
        self._top = top
        self._times = (mtime, mtime)
        self._modes = modes

    def write(self, parts: list[_Part]) -> int:
        """Write all of them; returns how many."""
        for part in parts:
            folder = _open_folder(self._top, part.folder)
            try:
                for entry in part.entries:
                    self._write_entry(entry, folder)
            finally:
                os.close(folder)
        return sum(len(part.entries) for part in parts)

    def _write_entry(self, entry: tree.Entry, folder: int) -> None:
        if entry.mode is tree.Mode.SYMLINK:
            os.symlink(self._database.blob(entry.id), entry.name, dir_fd=folder)
            os.utime(entry.name, self._times, dir_fd=folder, follow_symlinks=False)
            return
        mode = self._modes.executable if entry.mode is tree.Mode.EXECUTABLE else self._modes.file
        chunks = self._read(entry.id)
        fd = os.open(entry.name, _NEW_FILE, mode, dir_fd=folder)
        try:
            for chunk in chunks:
                written = os.write(fd, chunk)
                while written < len(chunk):
                    written += os.write(fd, chunk[written:])
            os.utime(fd, self._times)
        finally:
            os.close(fd)

    def _read(self, id: ObjectId) -> Iterable[bytes]:
        whole = self._database.packed.find(id)
        if whole is not None and whole.size <= LARGE_FILE:
            data = whole.read()
            if data is not None:
                return (data,)
        # what is large or damaged, and what does not lie whole in a pack
        if self._database.size(id) <= LARGE_FILE:
            return (self._database.blob(id),)
        return self._database.blob_chunks(id)


def _open_folder(top: int, path: bytes) -> int:
    """Open a directory below `top`, however long its path is."""
    if not path:
        return os.dup(top)
    fd, at = -1, top
    try:
        while True:
            head, rest = path, b""
            if len(path) > _PATH_LIMIT:
                cut = path.rindex(b"/", 0, _PATH_LIMIT)
                head, rest = path[:cut], path[cut + 1 :]
            below = os.open(head, _DIRECTORY, dir_fd=at)
            if fd >= 0:
                os.close(fd)
            fd = at = below
            if not rest:
                return fd
            path = rest
    except BaseException:
        if fd >= 0:
            os.close(fd)
        raise
