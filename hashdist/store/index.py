"""Answers that can be computed again, kept so that having nothing to do is quick: one small file each.

What an entry rests on may be deleted only after the entry is.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from hashdist.fsutil.atomic import write_file
from hashdist.fsutil.modes import make_directories

if TYPE_CHECKING:
    from .store import Store

#: Commit to the directory name of its prefix.
PREFIX = "prefix"
#: Artifact to what its Python says of itself, once a prefix with it was checked.
PYTHON = "python"
#: Artifact to the Python distributions in it: names, versions, what they require.
DISTRIBUTIONS = "distributions"
#: Commit to the paths of its artifacts, a line each, all sealed.
SEALED = "sealed"
#: Commit to the directory of the stack file it was made of, on this machine.
DIRECTORY = "directory"
#: SHA-256 of an archive to the tree that it became, and what was stripped of it.
ARCHIVE = "archive"
#: SHA-256 of a directory's path to the states of its files: see `hashdist.objects.statcache`.
STATES = "states"
#: Machine and purpose to what is remembered of its files: see `hashdist.hostscan.memory`.
HOSTS = "hosts"
#: Commit of a record to what its artifact takes from the host when it runs.
NEEDS = "needs"
#: Kinds that rest on nothing in the store that could be deleted: users keep theirs elsewhere if they have to.
_OF_USERS = frozenset({HOSTS, NEEDS})


def read(store: Store, kind: str, key: str) -> str | None:
    """The answer for a commit or hash; None if it is not known."""
    data = read_bytes(store, kind, key)
    return None if data is None else data.decode(errors="replace")


def read_bytes(store: Store, kind: str, key: str) -> bytes | None:
    """Likewise, as bytes."""
    for folder in _folders(store, kind):
        try:
            with open(os.path.join(folder, key), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # it can be computed again
    return None


def write(store: Store, kind: str, key: str, answer: str | bytes) -> None:
    """Keep the answer for a commit or hash; a store that we cannot write to, or is full, goes without."""
    folder = place(store, kind)
    if folder is None:
        return
    data = answer.encode() if isinstance(answer, str) else answer
    try:
        make_directories(folder)
        write_file(os.path.join(folder, key), data, durable=False)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}:
            raise


def place(store: Store, kind: str) -> str | None:
    """The directory where answers of a kind are kept by us; None if there is none."""
    if kind not in _OF_USERS or _is_ours(store):
        return store.inside("index", kind)
    return os.path.join(store.cache, kind) if store.cache else None


def _folders(store: Store, kind: str) -> list[str]:
    own = place(store, kind)
    shared = store.inside("index", kind)
    return [shared] if own is None or own == shared else [own, shared]


def _is_ours(store: Store) -> bool:
    """Whether we may write there, and leave nothing behind that the owner could not remove."""
    if os.geteuid() == 0 and os.stat(store.path).st_uid != 0:
        return False
    index = store.inside("index")
    return os.access(index if os.path.isdir(index) else store.path, os.W_OK)
