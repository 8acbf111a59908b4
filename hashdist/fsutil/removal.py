"""Delete and measure trees through directory descriptors: never a path below something others can write."""

from __future__ import annotations

import contextlib
import os
import stat

from .atomic import unique_suffix


def discard(path: str, trash: str) -> None:
    """Take away what lies at `path` by one rename into the directory `trash`, then delete it: nobody sees half of it.

    What is not there, or goes meanwhile, is no error.
    """
    victim = os.path.join(trash, unique_suffix())
    with contextlib.suppress(FileNotFoundError):
        if not os.path.islink(path) and os.path.isdir(path):
            with contextlib.suppress(PermissionError):  # another member's, of whose group we are
                os.chmod(path, 0o755)
        os.rename(path, victim)
        # what another member of a group left closed to us is theirs to remove
        with contextlib.suppress(PermissionError):
            remove_tree(victim)


def remove_tree(path: str) -> None:
    """Delete `path` with all below it, read-only directories included; links are not followed.

    Iterative, one open directory a level, so neither depth nor path length is a limit. What is not
    there, or goes meanwhile, is no error.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(path)
        return
    parent, name = os.path.split(path.rstrip("/"))
    root = os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove_directory(root, name)
    except FileNotFoundError:
        # somebody else deletes it too; go on until one of us is through
        if os.path.lexists(path):
            remove_tree(path)
    finally:
        os.close(root)


def _remove_directory(parent: int, name: str) -> None:
    """Walk down to the first directory without subdirectories, empty it, go back up by ``..``.

    Only one descriptor is open at a time; a directory that was moved away meanwhile is noticed by its
    inode and left alone.
    """
    current = _open_directory(parent, name)
    stack = [(name, *_identity(current))]
    try:
        while True:
            child = _empty(current)
            if child is not None:
                below = _open_directory(current, child)
                os.close(current)
                current = below
                stack.append((child, *_identity(current)))
                continue
            name, _, _ = stack.pop()
            if not stack:
                break
            above = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = above
            if _identity(current) != stack[-1][1:]:
                raise OSError(f"'{name}' was moved while it was being deleted")
            os.rmdir(name, dir_fd=current)
    finally:
        os.close(current)
    os.rmdir(name, dir_fd=parent)


def _open_directory(parent: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        fd = os.open(name, flags, dir_fd=parent)
    if os.fstat(fd).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        with contextlib.suppress(PermissionError):
            os.fchmod(fd, 0o700)
    return fd


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _empty(fd: int) -> str | None:
    """Unlink all but directories; return one subdirectory, or None when nothing is left."""
    subdirectory = None
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                subdirectory = entry.name
            else:
                os.unlink(entry.name, dir_fd=fd)
    return subdirectory


def measure_tree(path: str) -> tuple[int, int]:
    """The bytes and the inodes that deleting `path` would free (hard links counted once each)."""
    try:
        size, inodes = os.lstat(path).st_size, 1
    except FileNotFoundError:
        return 0, 0
    pending = [path] if os.path.isdir(path) and not os.path.islink(path) else []
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except (FileNotFoundError, PermissionError):
            continue
        for entry in entries:
            inodes += 1
            size += entry.stat(follow_symlinks=False).st_size
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
    return size, inodes
