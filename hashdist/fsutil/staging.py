"""Directories that appear whole: made beside their place, synced, renamed."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator

from .atomic import sync_directory, unique_suffix
from .removal import remove_tree


@contextlib.contextmanager
def staged_directory(path: str, *, mode: int = 0o700, durable: bool = True) -> Iterator[str]:
    """Give a fresh directory beside `path`; when the block ends well it is made durable and renamed to `path`.

    If somebody else published `path` meanwhile theirs stays and ours is dropped; when the block raises
    nothing is left.
    """
    staging = f"{path}.tmp-{unique_suffix()}"
    os.mkdir(staging, mode)
    try:
        yield staging
        if durable:
            sync_tree(staging)
        try:
            os.rename(staging, path)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                raise
            remove_tree(staging)
    except BaseException:
        remove_tree(staging)
        raise
    if durable:
        sync_directory(os.path.dirname(path))


def sync_tree(path: str, *, since: float = 0) -> None:
    """Make everything below `path` durable: one ``syncfs`` where there is one, else each file changed `since` then."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _syncfs(fd):
            return
    finally:
        os.close(fd)
    for folder, _, files in os.walk(path):
        for name in files:
            file = os.path.join(folder, name)
            status = os.lstat(file)
            if stat.S_ISREG(status.st_mode) and status.st_mtime >= since:
                with open(file, "rb") as opened:
                    os.fsync(opened.fileno())
        sync_directory(folder)


def _syncfs(fd: int) -> bool:
    """Call ``syncfs(2)``, which Python does not offer; False where the C library has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        return False
    if libc.syncfs(fd) == 0:
        return True
    error = ctypes.get_errno()
    if error in {errno.ENOSYS, errno.EINVAL}:
        return False
    raise OSError(error, os.strerror(error))
