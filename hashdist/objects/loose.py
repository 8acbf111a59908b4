"""Objects in files of their own, read and written without libgit2, which takes longer to load than a small command.

Format: git's ``gitrepository-layout`` (``objects/[0-9a-f][0-9a-f]``) and ``gitformat-loose``.
"""

from __future__ import annotations

import hashlib
import os
from typing import cast

from isal import isal_zlib

from hashdist.fsutil.atomic import unique_suffix, write_file
from hashdist.fsutil.modes import make_directories

from .ids import ObjectId

_ISAL_ERROR = cast("type[Exception]", isal_zlib.error)  # its stub says that it is an instance
_KINDS = frozenset({b"blob", b"tree", b"commit", b"tag"})
#: Beyond this it is for libgit2.
_LARGE = 16 << 20


class LooseObjects:
    """The loose objects in the directory `folder`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __contains__(self, id: ObjectId) -> bool:
        """Whether there is a file for the object."""
        return os.path.exists(self._path(id))

    def read(self, id: ObjectId) -> tuple[str, bytes] | None:
        """The type and bytes of an object; None if it is not here, large, or not what its name says."""
        try:
            with open(self._path(id), "rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size > _LARGE:
                    return None
                packed = file.readall()
            whole = isal_zlib.decompress(packed)
        except (OSError, _ISAL_ERROR):
            return None
        head, _, data = whole.partition(b"\0")
        kind, _, _ = head.partition(b" ")
        if kind not in _KINDS or hashlib.sha1(whole, usedforsecurity=False).hexdigest() != id:
            return None
        return kind.decode(), data

    def write(self, kind: str, data: bytes) -> ObjectId:
        """Write an object and return its id; one that is here and whole is made as young as a new one."""
        whole = b"%b %d\0" % (kind.encode(), len(data)) + data
        id = ObjectId.trusted(hashlib.sha1(whole, usedforsecurity=False).hexdigest())
        path = self._path(id)
        here = self.read(id) is not None
        if here and _made_young(path):
            return id
        try:
            self._write(path, whole)
        except FileNotFoundError:
            self._write(path, whole)  # git prune took the directory away
        except PermissionError:
            if not here:
                raise
        return id

    def _write(self, path: str, whole: bytes) -> None:
        folder = os.path.dirname(path)
        make_directories(folder)
        temporary = os.path.join(folder, f"tmp_obj_{unique_suffix()}")  # git's own prune knows such names
        # all that was written is made durable together, before a ref names it
        write_file(path, isal_zlib.compress(whole, 1), mode=0o444, durable=False, temporary=temporary)

    def _path(self, id: str) -> str:
        return os.path.join(self._folder, id[:2], id[2:])


def _made_young(path: str) -> bool:
    """Give a file today's time, by which git prune goes; False if it has gone, or is another's."""
    try:
        os.utime(path)
    except (FileNotFoundError, PermissionError):
        return False
    return True
