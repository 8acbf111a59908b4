"""A directory becomes a tree, byte for byte.

No filter of git (line ends, ignore rules, attributes) has a say. Kept: bytes, the exec bit, link targets,
empty directories, any name. Not kept: owner, times, set-id bits, extended attributes, hard links.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hashdist.errors import InvalidError
from hashdist.progress import SILENT, Progress

from . import statcache, tree
from .database import ObjectDatabase
from .ids import RawId, TreeId
from .importing import Folder, Importer, Limits
from .packing import LARGE_FILE, Slot
from .statcache import StatCache, State


@dataclass(slots=True)
class _File:
    name: bytes
    path: bytes
    size: int
    mode: int
    state: State
    old: bool
    """Whether its state tells that it is unchanged."""


@dataclass(slots=True)
class _Listed:
    """A directory as it was when it was listed."""

    path: bytes
    """Relative to the root; empty for itself."""
    files: list[_File] = field(default_factory=list)
    below: list[tuple[bytes, _Listed]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ImportedDirectory:
    """What a directory became."""

    tree: TreeId
    """The tree of its files."""
    cache: StatCache | None
    """What makes the next import quick; None where nothing new was learnt, or nothing can be remembered."""


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
    return import_remembering(database, path, None, names=names, limits=limits, progress=progress).tree


def import_remembering(
    database: ObjectDatabase,
    path: str,
    before: StatCache | None,
    *,
    now: int | None = None,
    names: Iterable[bytes] | None = None,
    limits: Limits | None = None,
    progress: Progress = SILENT,
    hash_only: bool = False,
) -> ImportedDirectory:
    """Like `import_directory`, and files that are as they were in `before` are not read again.

    Every blob in `before` must be in the database. `now` is the time by the file system's own clock
    (nanoseconds, see `statcache.now_ns`) from before this call; without it nothing is remembered.
    """
    root, used = os.fsencode(path), limits or Limits()
    if now is None and before is not None:
        now = 0  # states are compared, though none is remembered
    walk = _walk(root, now) if names is None else _listed(root, names, now)
    if before is not None:
        walk = _bounded(walk, used)
        if before.digest and before.digest == _digest(walk):
            return ImportedDirectory(before.held_by, None)
    label = os.path.basename(path)
    with Importer(database, limits=used, progress=progress, label=label, hash_only=hash_only) as importer:
        done = _add(importer, walk, before)
        made = importer.finish()[0]
    return ImportedDirectory(made, _remember(made, done) if now else None)


def _bounded(walk: Iterable[_Listed], limits: Limits) -> list[_Listed]:
    """All that was listed, unless there is so much of it that the importer will refuse it."""
    return list(itertools.islice(walk, limits.entries + 1))


def _walk(root: bytes, now: int | None) -> Iterator[_Listed]:
    pending = [_Listed(b"")]
    device = os.stat(root).st_dev  # another's clock may be another
    while pending:
        here = pending.pop()
        folder = os.path.join(root, here.path) if here.path else root
        try:
            scanned = os.scandir(folder)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise InvalidError(f"'{tree.show_name(folder[:60])}…' is nested deeper than paths can be long") from error
        with scanned as entries:
            for entry in entries:
                if tree.is_dot_git(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below = _Listed(here.path + b"/" + entry.name if here.path else entry.name)
                    here.below.append((entry.name, below))
                    pending.append(below)
                else:
                    status = entry.stat(follow_symlinks=False)
                    here.files.append(_file(entry.name, entry.path, status, now, device))
        yield here


def _listed(root: bytes, names: Iterable[bytes], now: int | None) -> list[_Listed]:
    """The same for given names."""
    top = _Listed(b"")
    folders: dict[bytes, _Listed] = {b"": top}
    device = os.stat(root).st_dev
    for name in sorted(names):
        if any(tree.is_dot_git(part) for part in name.split(b"/")):
            continue
        path = os.path.join(root, name)
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode):
            _folder(folders, name)
        else:
            above, _, last = name.rpartition(b"/")
            _folder(folders, above).files.append(_file(last, path, status, now, device))
    return list(folders.values())


def _folder(folders: dict[bytes, _Listed], path: bytes) -> _Listed:
    found = folders.get(path)
    if found is None:
        above, _, name = path.rpartition(b"/")
        parent = _folder(folders, above)
        found = folders[path] = _Listed(path)
        parent.below.append((name, found))
    return found


def _file(name: bytes, path: bytes, status: os.stat_result, now: int | None, device: int) -> _File:
    return _File(
        name,
        path,
        status.st_size,
        status.st_mode,
        statcache.state(status) if now is not None else b"",
        now is not None and statcache.is_old(status, now) and status.st_dev == device,
    )


def _digest(listed: Iterable[_Listed]) -> bytes:
    """Of all names and states, in the order in which they were found."""
    digest = hashlib.sha256()
    for here in listed:
        parts = [here.path, b"\0\0"]
        for file in here.files:
            parts += (file.name, b"\0", file.state)
        digest.update(b"".join(parts))
    return digest.digest()


def _add(importer: Importer, walk: Iterable[_Listed], before: StatCache | None) -> list[tuple[_Listed, list[Slot]]]:
    """Give everything to the importer; directories with the slots of their files."""
    done = []
    folders: dict[bytes, Folder] = {b"": importer.root}
    for here in walk:
        folder = folders.pop(here.path)
        importer.check_depth(here.path.count(b"/") + 1)
        for name, below in here.below:
            importer.count(0)
            inside: Folder = {}
            folder[name] = folders[below.path] = inside
        done.append((here, [_add_file(importer, folder, here.path, file, before) for file in here.files]))
    return done


def _add_file(importer: Importer, folder: Folder, where: bytes, file: _File, before: StatCache | None) -> Slot:
    if stat.S_ISLNK(file.mode):
        mode = tree.Mode.SYMLINK
    elif not stat.S_ISREG(file.mode):
        raise InvalidError(f"'{tree.show_name(file.path)}' is not a file, a link or a directory")
    else:
        mode = tree.Mode.EXECUTABLE if file.mode & 0o100 else tree.Mode.FILE
    known: RawId | None = before.get(where, file.name, file.state) if before is not None else None
    if known is not None:
        return importer.add_known(folder, file.name, mode, known, file.size)
    if mode is tree.Mode.SYMLINK:
        return importer.add_leaf(folder, file.name, mode, os.readlink(file.path))
    if file.size <= LARGE_FILE:
        return importer.add_leaf(folder, file.name, mode, (file.path, file.size))
    with open(file.path, "rb") as stream:
        return importer.add_large(folder, file.name, mode, stream, file.size)


def _remember(made: TreeId, done: list[tuple[_Listed, list[Slot]]]) -> StatCache:
    folders: dict[bytes, dict[bytes, tuple[State, RawId]]] = {}
    all_old = True
    for here, slots in done:
        found = folders[here.path] = {}
        for file, slot in zip(here.files, slots, strict=True):
            if file.old and slot.id is not None:
                found[file.name] = (file.state, slot.id)
            else:
                all_old = False
    return StatCache(made, _digest(here for here, _ in done) if all_old else b"", folders)
