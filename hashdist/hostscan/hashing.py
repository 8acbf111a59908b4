"""Hash files of the host, each once: what looks as it did when it was hashed last is not read again."""

from __future__ import annotations

import functools
import os
import stat
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hashdist.objects.manifest import file_sha256
from hashdist.objects.statcache import State, file_system_type, state
from hashdist.progress import Progress

from .errors import HostChangingError, HostNotFoundError

#: File systems whose times come from this machine's clock; of others we cannot know how far it is off.
_LOCAL = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "overlay", "f2fs", "zfs", "tmpfs", "ramfs", "rootfs", "squashfs", "erofs"}
)
_LOCAL_NS = 3_000_000_000
_REMOTE_NS = 3_600_000_000_000
#: Files below this size are hashed faster by one thread than handed to another.
_LARGE = 1 << 18


@dataclass(frozen=True, slots=True)
class Measured:
    """What a file holds."""

    size: int
    """Bytes."""
    sha256: str | None
    """Of its bytes; None if it may not be read."""
    executable: bool
    """Whether somebody may run it."""


@dataclass(slots=True)
class Memory:
    """What files were hashed to, by path."""

    digests: dict[str, tuple[State, str]]
    """The state of each file then, and the SHA-256 of its bytes."""
    changed: bool = False
    """Whether there is anything new in it."""


class Hasher:
    """Hashes files."""

    def __init__(self, memory: Memory, progress: Progress) -> None:
        self._memory = memory
        self._progress = progress

    def measure(self, paths: Iterable[str], *, may_fail: frozenset[str] = frozenset()) -> dict[str, Measured]:
        """Size and hash of regular files; those in `may_fail` have no hash if we may not read them.

        Raises `HostNotFoundError` for what cannot be read, `HostChangingError` for what changes meanwhile.
        """
        found: dict[str, Measured] = {}
        unread: list[tuple[str, os.stat_result]] = []
        known = self._memory.digests
        for path in paths:
            status = _stat(path)
            remembered = known.get(path)
            if remembered is not None and remembered[0] == state(status):
                found[path] = Measured(status.st_size, remembered[1], bool(status.st_mode & 0o111))
            else:
                unread.append((path, status))
        if not unread:
            return found
        self._memory.changed = True
        now = time.time_ns()
        small = [one for one in unread if one[1].st_size < _LARGE]
        large = [one for one in unread if one[1].st_size >= _LARGE]
        total = sum(status.st_size for _, status in unread)
        with self._progress.task("host files", total, "B") as task, ThreadPoolExecutor() as pool:

            def one(item: tuple[str, os.stat_result]) -> tuple[str, Measured]:
                path, before = item
                measured = self._read(path, before, now, may_fail=path in may_fail)
                task.advance(before.st_size)
                return path, measured

            done = pool.map(one, large)
            found |= dict(map(one, small))
            found |= dict(done)
        return found

    def _read(self, path: str, before: os.stat_result, now: int, *, may_fail: bool) -> Measured:
        executable = bool(before.st_mode & 0o111)
        try:
            digest = file_sha256(path)
        except PermissionError as error:
            if may_fail:
                return Measured(before.st_size, None, executable)
            raise HostNotFoundError(f"'{path}' cannot be read: {error.strerror}") from error
        except OSError as error:
            raise HostNotFoundError(f"'{path}' cannot be read: {error.strerror}") from error
        seen = state(before)
        if state(_stat(path)) != seen:
            raise HostChangingError(f"'{path}' changed while it was read", hint="try again")
        if is_settled(before, now):
            self._memory.digests[path] = (seen, digest)
        return Measured(before.st_size, digest, executable)


def is_settled(status: os.stat_result, now: int) -> bool:
    """Whether a file that looks like this at `now` (ns) cannot change any more without looking different."""
    return status.st_ctime_ns < now - (_LOCAL_NS if _is_local(status.st_dev) else _REMOTE_NS)


@functools.lru_cache(maxsize=64)
def _is_local(device: int) -> bool:
    return file_system_type(device) in _LOCAL


def _stat(path: str) -> os.stat_result:
    try:
        status = os.stat(path)
    except OSError as error:
        raise HostNotFoundError(f"'{path}' cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise HostNotFoundError(f"'{path}' is no plain file")
    return status
