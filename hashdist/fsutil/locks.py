"""Locks between processes, on one machine or several: ``flock``, and beside it a file that says who holds.

The kernel's lock ends with its process, so after a crash nothing has to be cleaned up. But on network file systems
it may be granted on each machine separately (Lustre ``localflock``, NFS ``local_lock``), or not at all. So whoever
has it also makes the link ``<lock>.held``, which only one can make anywhere; those who share it have a link each in
``<lock>.shared``. Where the links lead is who holds. What a dead process left of these is known by the kernel's lock,
by the process number, and for other machines by a lease. Lock files themselves are never unlinked.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator

from hashdist.errors import BusyError

from .atomic import unique_suffix
from .clock import touched
from .holders import MOMENTS, Holder, forget, me, read_holder, remember
from .modes import is_shared, make_directories, with_group

#: Seconds between two tries for a lock that somebody else holds.
_POLL = 0.02
#: Seconds that nobody needs to be told of.
_PATIENCE = 0.3
#: Seconds after which somebody who takes away what the dead left is dead too.
_BREAKING = 60
#: Where the kernel knows no such locks.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Where we may look but not write.
_READ_ONLY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


#: Locks that this process shares, and how many times: who waits for it to end must not be waited for.
_shared_here: dict[str, int] = {}


class Hold:
    """A lock that is held."""

    def __init__(self, *, after_crash: bool = False) -> None:
        self.after_crash = after_crash
        """Whether the one who held it before died holding it."""


@contextlib.contextmanager
def locked(
    path: str,
    *,
    shared: bool = False,
    timeout: float | None = 60.0,
    purpose: str = "",
    lease: int = MOMENTS,
    waiting: Callable[[str], None] | None = None,
    give_up: Callable[[], None] = lambda: None,
) -> Iterator[Hold]:
    """Hold the lock file `path`, exclusively or `shared`, while the block runs.

    `purpose` names us to those who wait; for `lease` seconds other machines believe it. `waiting` is called once
    with the holder's words when the lock is not free at once. Raises `BusyError` after `timeout` seconds (None:
    never); `give_up` is called between tries, and may raise. Where we may not write, sharing needs no more than
    that nobody else holds it, and the other kind raises `PermissionError` or `OSError`.
    """
    attempt = _Attempt(path, shared=shared, purpose=purpose, lease=lease)
    deadline = None if timeout is None else time.monotonic() + timeout
    told, patience = False, time.monotonic() + _PATIENCE
    try:
        while not attempt.succeeds():
            if not told and waiting is not None and time.monotonic() > patience:
                waiting(attempt.holder())
                told = True
            if deadline is not None and time.monotonic() > deadline:
                raise BusyError(f"'{os.path.basename(path)}' is held by {attempt.holder()}", hint=attempt.hint())
            give_up()
            time.sleep(_POLL)
        yield Hold(after_crash=attempt.after_crash)
    finally:
        attempt.end()


def is_locked(path: str) -> bool:
    """Whether somebody holds the lock file `path` just now; a file that is not there is not held."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        got = _flock(fd, fcntl.LOCK_SH)
        return got is False or _held_by(f"{path}.held", fd) is not None
    finally:
        os.close(fd)


def assume_dead(folder: str, host: str) -> list[str]:
    """Remove what a machine holds among the lock files in `folder`; return what it was for."""
    gone = []
    for place in (folder, *_subdirectories(folder)):
        for name in os.listdir(place):
            if not name.endswith(".held") and place == folder:
                continue
            found = read_holder(os.path.join(place, name))
            if found is not None and found[0].host == host:
                gone.append(str(found[0]))
                _unlink(os.path.join(place, name))
    return gone


def _subdirectories(folder: str) -> list[str]:
    return [entry.path for entry in os.scandir(folder) if entry.name.endswith(".shared")]


class _Attempt:
    """To hold a lock: what of it we have already."""

    def __init__(self, path: str, *, shared: bool, purpose: str, lease: int) -> None:
        self._path = path
        self._claim = f"{path}.held"
        self._sharers = f"{path}.shared"
        self._shared = shared
        self._purpose = purpose
        self._lease = lease
        self._mine: tuple[str, str] | None = None
        """The link that says we hold, and what it says."""
        self._others: Holder | None = None
        self.after_crash = False
        self._counted = False
        self._full: OSError | None = None
        """Why there is no link of ours."""
        self._kernel: bool | None = False
        """Whether we have the kernel's lock; None where it has none."""
        self._fd, self._writable = _open(path, shared=shared)

    def succeeds(self) -> bool:
        """Try once."""
        if not self._writable:
            return self._lock(fcntl.LOCK_SH) and self._is_unclaimed()
        return self._share() if self._shared else self._claim_it()

    def _share(self) -> bool:
        """Share it, unless somebody wants it alone: who waits for all to be gone must not wait for ever."""
        here = self._path in _shared_here
        if not (here or self._is_unclaimed()) or not self._lock(fcntl.LOCK_SH):
            return False
        self._make_share()
        if here or self._is_unclaimed():
            _shared_here[self._path] = _shared_here.get(self._path, 0) + 1
            self._counted = True
            return True
        self._take_back()
        self._unlock()
        return False

    def _claim_it(self) -> bool:
        """Make the link that only one can make, then wait for the others to be gone."""
        if self._mine is None and self._full is None and not self._make(self._claim):
            self._others = _held_by(self._claim, self._fd)
            if self._others is not None or not _break(self._claim, self._fd):
                return False
            self.after_crash = True
            if not self._make(self._claim):
                return False
        if not self._lock(fcntl.LOCK_EX):
            return False
        if self._full is not None and not self._kernel:
            raise self._full
        self._others = next(iter(self._sharing()), None)
        return self._others is None

    def _lock(self, kind: int) -> bool:
        """Have the kernel's lock, if there is one."""
        if not self._kernel and self._fd >= 0:
            self._kernel = _flock(self._fd, kind)
            if self._kernel is False:
                self._others = None
        return self._kernel is not False

    def _is_unclaimed(self) -> bool:
        self._others = _held_by(self._claim, self._fd)
        return self._others is None

    def holder(self) -> str:
        """The words of whoever holds it."""
        other = self._others
        if other is None and self._mine is None:
            found = read_holder(self._claim)
            other = found[0] if found else None
        other = other or next(iter(self._sharing()), None)
        return str(other) if other else "other commands that are at work"

    def hint(self) -> str:
        """What to do about it."""
        if self._others is not None and not self._others.is_here:
            return f"wait for it to end; if that machine is dead: hdist gc --assume-dead {self._others.host}"
        return "wait for it to end and try again"

    def end(self) -> None:
        """Hold nothing any more."""
        if self._counted:
            self._counted = False
            _shared_here[self._path] -= 1
            if not _shared_here[self._path]:
                del _shared_here[self._path]
        self._take_back()
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                self._unlock()
            os.close(self._fd)
            self._fd = -1

    def _unlock(self) -> None:
        if self._kernel:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self._kernel = False

    def _make_share(self) -> None:
        try:
            self._make(os.path.join(self._sharers, unique_suffix()))
        except FileNotFoundError:
            make_directories(self._sharers)
            self._make(os.path.join(self._sharers, unique_suffix()))

    def _sharing(self) -> Iterator[Holder]:
        try:
            names = os.listdir(self._sharers)
        except FileNotFoundError:
            return
        for name in names:
            path = os.path.join(self._sharers, name)
            holder = _held_by(path, self._fd)
            if holder is not None:
                yield holder
            elif not self._shared and self._mine is not None:
                _unlink(path)  # of the dead

    def _make(self, path: str) -> bool:
        since = touched(self._fd)
        words = me(self._purpose, since=since, lease=self._lease).line()
        try:
            os.symlink(words, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self._full = error  # what makes room must work on a full disk: the kernel's lock has to do
            return True
        self._mine = path, words
        remember(path)
        return True

    def _take_back(self) -> None:
        """Remove the link that says we hold, unless somebody thought us dead and has made another."""
        if self._mine is not None:
            path, words = self._mine
            self._mine = None
            forget(path)
            try:
                if os.readlink(path) == words:
                    os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError:
                _given_up.add((path, words))  # the disk would not let us: at least we do not wait for ourselves


#: Links of ours that say that we hold, while we do not.
_given_up: set[tuple[str, str]] = set()


def _open(path: str, *, shared: bool) -> tuple[int, bool]:
    """Open a lock file; the second says whether we may write beside it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if not shared or error.errno not in _READ_ONLY:
            raise
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), False
        return -1, False
    mode = os.fstat(fd).st_mode
    if is_shared(os.path.dirname(path)) and not (mode & stat.S_IWGRP and mode & stat.S_IROTH):
        with contextlib.suppress(PermissionError):  # readers who are no members lock what they look at
            os.fchmod(fd, with_group(stat.S_IMODE(mode) | stat.S_IRUSR | stat.S_IWUSR | stat.S_IROTH))
    return fd, True


def _flock(fd: int, kind: int) -> bool | None:
    """Whether the kernel gave us its lock; None where it has none to give."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def _held_by(path: str, fd: int) -> Holder | None:
    """Who holds by the file at `path`; None for nobody, or somebody who is dead."""
    found = read_holder(path)
    if found is None:
        return None
    holder, heard = found
    if (path, holder.line()) in _given_up:
        return None
    age = (touched(fd) if fd >= 0 else time.time()) - heard
    return holder if holder.is_alive(age) else None


def _break(path: str, fd: int) -> bool:
    """Take away what a dead process left, with nobody else doing the same, who could take a living one's."""
    breaker = f"{path}.break"
    try:
        os.close(os.open(breaker, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    except FileExistsError:
        with contextlib.suppress(FileNotFoundError):
            if touched(fd) - os.stat(breaker).st_mtime > _BREAKING:
                os.unlink(breaker)
        return False
    try:
        if os.path.lexists(path) and _held_by(path, fd) is None:
            _unlink(path)
            return True
        return False
    finally:
        _unlink(breaker)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
