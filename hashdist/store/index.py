"""Answers that can be computed again, kept so that having nothing to do is quick: one small file each.

What an entry rests on may be deleted only after the entry is.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from hashdist.fsutil.atomic import write_file

if TYPE_CHECKING:
    from .store import Store

#: Commit to the directory name of its prefix.
PREFIX = "prefix"
#: Commit to the paths of its artifacts, a line each, all sealed.
SEALED = "sealed"
#: Commit to the directory of the stack file it was made of, on this machine.
DIRECTORY = "directory"
#: SHA-256 of an archive to the tree that it became, and what was stripped of it.
ARCHIVE = "archive"
#: SHA-256 of a directory's path to the states of its files: see `hashdist.objects.statcache`.
STATES = "states"


def read(store: Store, kind: str, key: str) -> str | None:
    """The answer for a commit or hash; None if it is not known."""
    data = read_bytes(store, kind, key)
    return None if data is None else data.decode(errors="replace")


def read_bytes(store: Store, kind: str, key: str) -> bytes | None:
    """Likewise, as bytes."""
    try:
        with open(store.inside("index", kind, key), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(store: Store, kind: str, key: str, answer: str | bytes) -> None:
    """Keep the answer for a commit or hash; a store that we cannot write to, or is full, goes without."""
    folder = store.inside("index", kind)
    data = answer.encode() if isinstance(answer, str) else answer
    try:
        os.makedirs(folder, exist_ok=True)
        write_file(os.path.join(folder, key), data, durable=False)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}:
            raise
