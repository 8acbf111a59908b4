"""The modes of what is made: a directory that is shared with a group (setgid and group-writable) hands that on.

So a store of a group stays one under any umask, and nobody has to be told what kind of store it is.
"""

from __future__ import annotations

import contextlib
import os
import stat

_SHARED = stat.S_ISGID | stat.S_IWGRP
_OWNER = stat.S_IRWXU
_GROUPS = 0o2775


def is_shared(directory: str) -> bool:
    """Whether a directory is shared with a group."""
    return os.stat(directory or ".").st_mode & _SHARED == _SHARED


def with_group(mode: int) -> int:
    """The mode of a file of a group: the group may do what the owner may."""
    return mode | (mode & _OWNER) >> 3


def file_mode(path: str, mode: int) -> int:
    """The mode that a new file at `path` gets, where it would have `mode` if it were its owner's alone."""
    return with_group(mode) if is_shared(os.path.dirname(path)) else mode


def sealed_directory_mode(path: str) -> int:
    """The mode of directories that nobody writes to any more; of a group all may remove them."""
    return _GROUPS if is_shared(os.path.dirname(path)) else 0o555


def make_directory(path: str, mode: int = 0o777) -> None:
    """Make one directory, shared if the one above is; else `mode` is subject to the umask. Raises as ``os.mkdir``."""
    os.mkdir(path, mode)
    share_directory(path)


def share_directory(path: str) -> None:
    """Give a directory that was just made the mode of the one above, if that is shared with a group."""
    above = os.path.dirname(path)
    if is_shared(above):
        os.chmod(path, stat.S_IMODE(os.stat(above).st_mode))


def make_directories(path: str) -> list[str]:
    """Make a directory and those above that are missing, as `make_directory` does; return what was made, topmost first.

    What another process makes meanwhile is as good.
    """
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        above = os.path.dirname(path)
        if above == path:
            break
        path = above
    made = []
    for one in reversed(missing):
        with contextlib.suppress(FileExistsError):
            make_directory(one)
            made.append(one)
        if not os.path.isdir(one):
            raise NotADirectoryError(20, os.strerror(20), one)
    return made
