"""Directories that belong to a capture as a whole."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator

from .errors import HostNotFoundError
from .unowned import is_generated

#: Directories that many packages share: nobody means all that is in them.
SHARED = frozenset(
    """
    / /usr /usr/local /bin /sbin /lib /lib32 /lib64 /usr/bin /usr/sbin /usr/lib /usr/lib32 /usr/lib64 /usr/libexec
    /usr/include /usr/share /usr/local/bin /usr/local/sbin /usr/local/lib /usr/local/lib64 /usr/local/include
    /usr/local/share /opt /etc /var /home /root /srv /mnt /proc /sys /dev /run /tmp /var/tmp
    """.split()
)


def is_shared(path: str) -> bool:
    """Whether a directory is one that many packages share, a machine's own below lib and include included."""
    folder, name = os.path.split(path)
    return path in SHARED or ("-linux-" in name and folder in SHARED)


def tree_files(directory: str, *, skip: Container[str] = ()) -> Iterator[str]:
    """All files and links below a directory, but for generated ones and directories named in `skip`.

    Raises `HostNotFoundError` if one is closed.
    """

    def refuse(error: OSError) -> None:
        raise HostNotFoundError(f"'{error.filename}' cannot be read: {error.strerror}") from error

    for folder, folders, names in os.walk(directory, onerror=refuse):
        folders[:] = sorted(name for name in folders if name not in skip)
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*names, *links]):
            path = os.path.join(folder, name)
            if not is_generated(path):
                yield path


def folders_of(paths: Iterable[str]) -> tuple[str, ...]:
    """The directories of these paths: a new file in one of them may belong to the capture."""
    return tuple(sorted({os.path.dirname(path) for path in paths}))


def is_there(path: str) -> bool | None:
    """Whether there is such a path; None if it lies in a directory that is closed to us."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        return None
    return True
