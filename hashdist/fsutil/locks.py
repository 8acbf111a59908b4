"""Locks between processes: ``flock`` on a file that names its holder.

A lock ends with the process that holds it, so there is nothing to clean up after a crash. Lock files are
never unlinked while somebody may use them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator

from hashdist.errors import BusyError

from .clock import time_text

#: Seconds between two tries for a lock that somebody else holds.
_POLL = 0.02
#: Seconds that nobody needs to be told of.
_PATIENCE = 0.3
#: Bytes that a lock file has for the name of its holder.
_HOLDER = 256


@contextlib.contextmanager
def locked(
    path: str,
    *,
    shared: bool = False,
    timeout: float | None = 60.0,
    purpose: str = "",
    waiting: Callable[[str], None] | None = None,
    give_up: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Hold the lock file `path`, exclusively or `shared`, while the block runs.

    With a `purpose` the file names us to those who wait; without one its content is left alone.
    `waiting` is called once with the holder's words when the lock is not free at once. Raises `BusyError`
    after `timeout` seconds (None: never); `give_up` is called between tries, and may raise.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _acquire(fd, path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, timeout, waiting, give_up)
        if purpose and not shared:
            _write_holder(fd, purpose)
        yield
    finally:
        os.close(fd)


def is_locked(path: str) -> bool:
    """Whether somebody holds the lock file `path` just now; a file that is not there is not held."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _acquire(
    fd: int,
    path: str,
    kind: int,
    timeout: float | None,
    waiting: Callable[[str], None] | None,
    give_up: Callable[[], None],
) -> None:
    deadline = None if timeout is None else time.monotonic() + timeout
    told, patience = False, time.monotonic() + _PATIENCE
    while not _try(fd, kind, path):
        if not told and waiting is not None and time.monotonic() > patience:
            waiting(_read_holder(path))
            told = True
        if deadline is not None and time.monotonic() > deadline:
            raise BusyError(
                f"'{os.path.basename(path)}' is held by {_read_holder(path)}", hint="wait for it to end and try again"
            )
        give_up()
        time.sleep(_POLL)


def _try(fd: int, kind: int, path: str) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}:
            raise BusyError(
                f"the file system of '{path}' grants no locks ({error.strerror})",
                hint="put the store on a file system with flock",
            ) from error
        raise
    return True


def _write_holder(fd: int, purpose: str) -> None:
    words = f"{purpose} (host {os.uname().nodename}, pid {os.getpid()}, since {time_text(time.time())})"
    # always as long as the longest, so that one write replaces what was there
    os.pwrite(fd, words.encode(errors="replace")[:_HOLDER].ljust(_HOLDER), 0)


def _read_holder(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            words = file.read(400).strip()
    except OSError:
        words = ""
    return words or "other commands that are at work"
