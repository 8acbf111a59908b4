"""Publish files whole: written beside their place, made durable, renamed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable

from .modes import file_mode, make_directories

_counter = 0


def unique_suffix() -> str:
    """A suffix that no other process on this host, and no other call in this one, will use."""
    global _counter  # noqa: PLW0603 - a process-wide count is what makes the name unique
    _counter += 1
    return f"{os.uname().nodename}-{os.getpid()}-{_counter}-{os.urandom(4).hex()}"


def write_file(
    path: str, data: bytes, *, mode: int = 0o644, durable: bool = True, temporary: str | None = None
) -> None:
    """Make `path` hold exactly `data`, wholly or not at all; an older file is replaced.

    `temporary` is the name it has before; without one it is ``<path>.tmp-…``. The `mode` does not depend on the umask;
    in a directory that is shared with a group the group may do what the owner may.
    """
    temporary = temporary or f"{path}.tmp-{unique_suffix()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            os.fchmod(fd, file_mode(path, mode))
            if durable:
                file.flush()
                os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if durable:
        sync_directory(os.path.dirname(path))


def publish(temporary: str, path: str, *, durable: bool = True) -> None:
    """Give what lies at `temporary`, and is durable itself, its place by one rename."""
    os.rename(temporary, path)
    if durable:
        sync_directory(os.path.dirname(path))


def make_durable_directories(path: str) -> None:
    """Make a directory, with those above that are missing, so that a power loss takes none of them."""
    sync_directories(os.path.dirname(made) for made in make_directories(path))


def replace_symlink(path: str, target: str, *, durable: bool = True) -> None:
    """Make `path` a link to `target` by one rename, so that readers see the old one or the new one."""
    temporary = f"{path}.tmp-{unique_suffix()}"
    os.symlink(target, temporary)
    try:
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if durable:
        sync_directory(os.path.dirname(path))


def sync_directories(paths: Iterable[str]) -> None:
    """Make the names in directories durable, each once."""
    for path in sorted(set(paths)):
        sync_directory(path)


def sync_directory(path: str) -> None:
    """Make the names in a directory durable; file systems that cannot do it are left alone."""
    fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(fd)
