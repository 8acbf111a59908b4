"""Times as people and programs read them, and the time as a file system has it."""

from __future__ import annotations

import contextlib
import os
import time

from .modes import is_shared


def time_text(seconds: float) -> str:
    """RFC 3339, UTC; `seconds` since 1970."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def file_system_time(path: str) -> float:
    """The time by the clock of the file system that the file `path` lies on, in seconds since 1970.

    The file is made if it is not there. Where we may not write, our own clock has to do.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError:
        return time.time()
    try:
        if is_shared(os.path.dirname(path)):
            with contextlib.suppress(OSError):
                os.fchmod(fd, 0o664)
        return touched(fd)
    finally:
        os.close(fd)


def touched(fd: int) -> float:
    """Touch an open file, and tell when that was by the file system's clock; by ours where we may not touch it.

    By writing a byte: a time that is asked for is set by our own clock on some systems.
    """
    try:
        os.pwrite(fd, b"\n", 0)
    except OSError:  # full, or open for reading only
        try:
            os.utime(fd)
        except OSError:
            return time.time()
    return os.fstat(fd).st_mtime
