"""Write a source's files where somebody wants them."""

from __future__ import annotations

import errno
import os
import re
import shutil
from typing import TYPE_CHECKING

from hashdist.errors import ConflictError, InvalidError, NotFoundError
from hashdist.fsutil.atomic import unique_suffix
from hashdist.fsutil.modes import make_directories
from hashdist.fsutil.removal import discard, remove_tree
from hashdist.fsutil.staging import staged_directory
from hashdist.objects import tree
from hashdist.objects.exporting import Modes, export_tree
from hashdist.objects.ids import SourceId, TreeId
from hashdist.progress import SILENT, Progress

from .downloads import cached
from .settings import FetchSettings

if TYPE_CHECKING:
    from hashdist.store.store import Store

#: Read-only, since each file is one with those of all others who have links to it.
_SEALED = Modes(file=0o444, executable=0o555)
#: The time of all files of an unpacked source: 1980, the first that zip files can have.
_TIME = 315532800
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES}


_SHA256 = re.compile("[0-9a-f]{64}")


class ArchiveAbsentError(NotFoundError):
    """An archive that is not kept."""

    code = "archive_absent"


def get_source(
    store: Store, id: SourceId, place: str, *, link: bool = False, mtime: int = _TIME, progress: Progress = SILENT
) -> None:
    """Write the files of a source into the new directory `place`, wholly or not at all.

    With `link` they are read-only hard links to one unpacked copy in the store, which takes no further room; where
    that cannot be, they are copied. Raises `SourceAbsentError`, and `ConflictError` if there is something.
    """
    store.sources.check(id)
    place = _room(place)
    with staged_directory(place, mode=0o755) as staging:
        os.rmdir(staging)
        if link:
            os.mkdir(staging, 0o755)
            if _link_all(store, id, staging, progress):
                return
            remove_tree(staging)
            progress.note(f"'{place}' cannot have hard links into the store: copied")
        export_tree(store.objects, id, staging, mtime=mtime, progress=progress, label=id[:12])


def get_archive(store: Store, id: SourceId, place: str, settings: FetchSettings) -> str:
    """Copy the archive that a source came as to the new file `place`, if it is kept; returns its SHA-256.

    Raises `ArchiveAbsentError`, and `ConflictError` if there is something.
    """
    store.sources.check(id)
    place = _room(place)
    for seen in store.sources.seen(id):
        sha256 = seen.provenance.sha256
        path = cached(store, sha256, settings) if sha256 else None
        if sha256 and path:
            _copy(path, place)
            return sha256
    raise ArchiveAbsentError(
        f"the archive of source {id} is not kept",
        hint="fetch it again with hdist source add, or get the files: hdist source get ID --to DIR",
    )


def get_download(store: Store, sha256: str, place: str, settings: FetchSettings) -> None:
    """Copy a file that was downloaded, by its hash, to the new file `place`; raises as `get_archive` does."""
    place = _room(place)
    path = cached(store, sha256, settings) if _SHA256.fullmatch(sha256) else None
    if path is None:
        raise ArchiveAbsentError(f"no file with the hash {sha256[:12]} is kept", hint="hdist source add brings it")
    _copy(path, place)


def _copy(path: str, place: str) -> None:
    """Copy a file to a new one, wholly or not at all."""
    temporary = f"{place}.tmp-{unique_suffix()}"
    try:
        shutil.copyfile(path, temporary)
        os.link(temporary, place)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _room(place: str) -> str:
    if not place:
        raise InvalidError("an empty text names no place", hint="is a variable of a script not set?")
    place = os.path.abspath(place)
    if os.path.lexists(place):
        raise ConflictError(f"there is a '{place}' already", hint="choose another name")
    if not os.path.isdir(os.path.dirname(place)):
        raise InvalidError(f"no directory '{os.path.dirname(place)}'")
    return place


def _unpacked(store: Store, id: SourceId, progress: Progress) -> str:
    """The directory of a source's read-only files, made when it is first wanted."""
    path = store.inside("unpacked", id)
    if not os.path.isdir(path):
        make_directories(os.path.dirname(path))
        with staged_directory(path, mode=0o755, durable=store.durable) as staging:
            os.rmdir(staging)
            export_tree(store.objects, id, staging, mtime=_TIME, modes=_SEALED, progress=progress, label=id[:12])
    return path


def _link_all(store: Store, id: SourceId, place: str, progress: Progress) -> bool:
    """Fill `place` with links into the store; False where that cannot be."""
    try:
        unpacked = _unpacked(store, id, progress)
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise
        return False
    if _link(store, id, unpacked, place):
        return True
    if _is_whole(store, id, unpacked):
        return False
    # somebody wrote through a link, or removed what is there: it is made anew, and others keep what they have
    try:
        discard(unpacked, store.inside("trash"))
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise
        return False
    progress.note(f"the unpacked copy of {id} was changed: made anew")
    remove_tree(place)
    os.mkdir(place, 0o755)
    return _link(store, id, _unpacked(store, id, progress), place)


def _is_whole(store: Store, id: SourceId, unpacked: str) -> bool:
    """Whether every file of a source is in `unpacked` as it was written there."""
    pending: list[tuple[str, TreeId]] = [(unpacked, id)]
    while pending:
        here, folder = pending.pop()
        for entry in store.objects.tree(folder):
            path = os.path.join(here, os.fsdecode(entry.name))
            if entry.mode is tree.Mode.DIRECTORY:
                pending.append((path, TreeId(entry.id)))
            elif entry.mode is not tree.Mode.SYMLINK and not _is_sealed(path, store.objects.size(entry.id)):
                return False
    return True


def _link(store: Store, id: SourceId, unpacked: str, place: str) -> bool:
    """Fill `place` with links to the files in `unpacked`; False where that cannot be, or they were changed."""
    pending: list[tuple[str, str, TreeId]] = [(unpacked, place, id)]
    while pending:
        source, target, folder = pending.pop()
        for entry in store.objects.tree(folder):
            name = os.fsdecode(entry.name)
            here, there = os.path.join(source, name), os.path.join(target, name)
            if entry.mode is tree.Mode.DIRECTORY:
                os.mkdir(there, 0o755)
                pending.append((here, there, TreeId(entry.id)))
                continue
            if entry.mode is tree.Mode.SYMLINK:
                os.symlink(store.objects.blob(entry.id), os.fsencode(there))
                continue
            try:
                if not _is_sealed(here, store.objects.size(entry.id)):
                    return False
                os.link(here, there, follow_symlinks=False)
            except OSError as error:
                if error.errno in _NO_LINKS or isinstance(error, FileNotFoundError):
                    return False
                raise
    return True


def _is_sealed(path: str, size: int) -> bool:
    """Whether a file is as it was unpacked: whoever wrote to it left another time."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return status.st_mtime == _TIME and status.st_size == size and not status.st_mode & 0o222
