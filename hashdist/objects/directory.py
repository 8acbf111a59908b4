"""A directory becomes a tree, and a tree a directory, byte for byte.

No filter of git (line ends, ignore rules, attributes) has a say. Kept: bytes, the exec bit, link targets,
empty directories, any name. Not kept: owner, times, set-id bits, extended attributes, hard links.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from functools import partial

from hashdist.errors import InvalidError
from hashdist.progress import SILENT, Progress

from . import tree
from .database import ObjectDatabase
from .ids import TreeId
from .importing import LARGE_FILE, Importer, Limits
from .pack import FileChangedError


def import_directory(
    database: ObjectDatabase,
    path: str,
    *,
    names: Iterable[bytes] | None = None,
    limits: Limits | None = None,
    progress: Progress = SILENT,
) -> TreeId:
    """Write the tree of the directory `path` and return its id.

    With `names`, only those files and links (paths relative to `path`) are taken. What git keeps for itself
    (``.git`` in any disguise) is left out. Raises `InvalidError` for sockets, devices and pipes,
    `LimitError`, and `FileChangedError` when a file changes while it is read.
    """
    root = os.fsencode(path)
    with Importer(database, limits=limits or Limits(), progress=progress, label=os.path.basename(path)) as importer:
        if names is None:
            _walk(importer, root)
        else:
            for name in sorted(names):
                _add(importer, os.path.join(root, name), name.split(b"/"))
        return importer.finish()[0]


def _walk(importer: Importer, root: bytes) -> None:
    pending: list[tuple[bytes, tuple[bytes, ...]]] = [(root, ())]
    while pending:
        folder, parts = pending.pop()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if tree.is_dot_git(entry.name):
                    continue
                below = (*parts, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    importer.add_directory(below)
                    pending.append((entry.path, below))
                else:
                    _add(importer, entry.path, below)


def _add(importer: Importer, file: bytes, parts: tuple[bytes, ...] | list[bytes]) -> None:
    status = os.lstat(file)
    if stat.S_ISLNK(status.st_mode):
        importer.add_link(parts, os.readlink(file))
    elif stat.S_ISDIR(status.st_mode):
        importer.add_directory(parts)
    elif not stat.S_ISREG(status.st_mode):
        raise InvalidError(f"'{tree.show_name(file)}' is not a file, a link or a directory")
    else:
        executable = bool(status.st_mode & 0o100)
        if status.st_size <= LARGE_FILE:
            importer.add_file(parts, partial(_read, file, status.st_size), status.st_size, executable=executable)
        else:
            with open(file, "rb") as stream:
                importer.add_stream(parts, stream, status.st_size, executable=executable)


def _read(path: bytes, size: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        data = os.read(fd, size + 1)
        while 0 < len(data) < size:
            more = os.read(fd, size + 1 - len(data))
            if not more:
                break
            data += more
    finally:
        os.close(fd)
    if len(data) != size:
        raise FileChangedError(f"'{tree.show_name(path)}' changed while it was read", hint="try again")
    return data


def export_tree(database: ObjectDatabase, id: TreeId, path: str, *, mtime: int) -> None:
    """Write the tree to the new directory `path`, every file with the time `mtime` (seconds since 1970).

    Names are checked again; nothing is written through a link. Raises `FileExistsError`, and whatever
    reading a damaged tree raises.
    """
    entries = iter(database.tree(id))
    os.mkdir(path, 0o755)
    # a directory's descriptor is open only while we are in it or below it
    stack = [(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), entries)]
    try:
        while stack:
            folder, entries = stack[-1]
            for entry in entries:
                if entry.mode is tree.Mode.DIRECTORY:
                    os.mkdir(entry.name, 0o755, dir_fd=folder)
                    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                    below = iter(database.tree(entry.id))
                    stack.append((os.open(entry.name, flags, dir_fd=folder), below))
                    break
                _export_entry(database, entry, folder, mtime)
            else:
                os.utime(folder, (mtime, mtime))
                os.close(stack.pop()[0])
    finally:
        for folder, _ in stack:
            os.close(folder)


def _export_entry(database: ObjectDatabase, entry: tree.Entry, folder: int, mtime: int) -> None:
    if entry.mode is tree.Mode.SYMLINK:
        os.symlink(database.blob(entry.id), entry.name, dir_fd=folder)
        os.utime(entry.name, (mtime, mtime), dir_fd=folder, follow_symlinks=False)
        return
    mode = 0o755 if entry.mode is tree.Mode.EXECUTABLE else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(entry.name, flags, mode, dir_fd=folder)
    with open(fd, "wb") as file:
        file.write(database.blob(entry.id))
        file.flush()
        os.utime(fd, (mtime, mtime))
