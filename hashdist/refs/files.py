"""Write refs as git does: loose files, ``packed-refs`` and ``logs/``, through locks that git's own writers respect.

Whoever calls holds the lock under which all refs of ours move. Format: git's ``gitrepository-layout``.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from hashdist.fsutil import atomic
from hashdist.fsutil.clock import file_system_time
from hashdist.fsutil.modes import file_mode, make_directories

if TYPE_CHECKING:
    from typing import BinaryIO

_LONGEST_LINE = 1 << 16
#: Seconds that a git takes at most to write a ref once it has the lock for it.
_GIT_IS_QUICK = 5
#: Seconds between two looks at whether it is done.
_POLL = 0.05


class RefFiles:
    """Writes the refs of the bare repository at `path`; see `hashdist.refs.database.RefDatabase` for the rest."""

    def __init__(
        self,
        path: str,
        *,
        lock: str,
        identity: str,
        clock: Callable[[], float],
        stamping: bool,
        durable: bool,
    ) -> None:
        self._path = path
        self._lock = lock
        self._identity = identity
        self._clock = clock
        self._stamping = stamping
        self._durable = durable

    def log_path(self, name: str) -> str:
        """Where a ref's reflog is."""
        return os.path.join(self._path, "logs", name)

    def remove_lock_files(self) -> None:
        """Remove what a crash of ours left of git's own locks: we hold the lock under which all of ours are made."""
        below = [folder for top in ("refs", "logs") for folder in _folders(os.path.join(self._path, top))]
        for folder in (self._path, *below):
            for name in os.listdir(folder):
                if name.endswith(".lock"):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))

    def _await_git(self, lock: str) -> None:
        """Wait until a plain git, which does not know our lock, is done with a file; one that is old is dead."""
        while True:
            try:
                age = file_system_time(self._lock) - os.lstat(lock).st_mtime
            except FileNotFoundError:
                return
            if age > _GIT_IS_QUICK:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(lock)
                return
            time.sleep(_POLL)

    def replace(self, path: str, data: bytes) -> None:
        """Write a file as git does: through ``<file>.lock``, which git's own writers respect."""
        while True:
            self._await_git(f"{path}.lock")
            try:
                atomic.write_file(path, data, durable=self._durable, temporary=f"{path}.lock")
            except FileExistsError:
                continue
            return

    def write(self, name: str, value: str) -> None:
        """Have a loose ref hold a value."""
        path = os.path.join(self._path, name)
        self.make_room(path)
        self.replace(path, f"{value}\n".encode())

    def make_room(self, path: str) -> None:
        """Have a directory for a file, and no empty one in its place."""
        if self._durable:
            atomic.make_durable_directories(os.path.dirname(path))
        else:
            make_directories(os.path.dirname(path))
        if os.path.isdir(path):
            _remove_empty_directories(path)

    def remove(self, gone: set[str], packed: Collection[str]) -> None:
        """Remove refs, the packed ones first and all at once: a loose file that goes must uncover nothing."""
        if not gone:
            return
        if gone & set(packed):
            self._rewrite_packed(gone)
        folders = set()
        for name in gone:
            for path in (os.path.join(self._path, name), self.log_path(name)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                    folders.add(os.path.dirname(path))
        if self._durable:
            atomic.sync_directories(folders)

    def _rewrite_packed(self, dropped: set[str]) -> None:
        path = os.path.join(self._path, "packed-refs")
        names_gone = {name.encode(errors="surrogateescape") for name in dropped}
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")[:-1]  # other line ends can be part of a name
        kept, dropping = [], False
        for line in lines:
            if line[:1] not in {b"#", b"^"}:
                dropping = line.partition(b" ")[2] in names_gone
            if line[:1] == b"#" or not dropping:
                kept.append(line + b"\n")
        self.replace(path, b"".join(kept))

    def drop_loose(self, name: str, is_packed: Callable[[], bool]) -> None:
        """Remove a loose ref if it is packed as it is, unless a plain git is moving it just now."""
        path = os.path.join(self._path, name)
        try:
            fd = os.open(f"{path}.lock", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            return
        os.close(fd)
        try:
            if is_packed():
                os.unlink(path)
        finally:
            os.unlink(f"{path}.lock")

    def carry_log(self, source: str, target: str) -> None:
        """Put the moves of one ref before those of another; the other's age stays what it is."""
        path = self.log_path(target)
        try:
            with open(self.log_path(source), "rb") as file:
                before = file.read()
            with open(path, "rb") as file:
                after = file.read()
            status = os.stat(path)
        except FileNotFoundError:
            return
        self.replace(path, before[: before.rfind(b"\n") + 1] + after)
        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def append_log(self, name: str, old: str, new: str, reason: str) -> None:
        """Add a line to a ref's reflog."""
        now = int(self._clock())
        words = " ".join(reason.split())
        self._append(self.log_path(name), f"{old} {new} {self._identity} {now} +0000\t{words}\n", now)

    def append_operation(self, path: str, run: str, reason: str, moves: Sequence[tuple[str, str, str]]) -> None:
        """Add a line to the log of operations; each move is a ref, what it held and what it will hold."""
        now = int(self._clock())
        words = " ".join(reason.split())
        who = " ".join(self._identity.split())
        moved = "".join(f"\t{name}\t{old}\t{new}" for name, old, new in moves)
        self._append(path, f"{run}\t{now}\t{who}\t{words}{moved}\n", now)

    def _append(self, path: str, line: str, now: int) -> None:
        self.make_room(path)
        is_new = not os.path.exists(path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with open(fd, "r+b") as file:
            if is_new:
                os.fchmod(fd, file_mode(path, 0o644))
            _cut_unfinished_line(file)
            file.write(line.encode(errors="replace"))
            file.flush()
            if self._stamping:
                os.utime(fd, (now, now))
            if self._durable:
                os.fsync(fd)
        if self._durable and is_new:
            atomic.sync_directory(os.path.dirname(path))


def _cut_unfinished_line(file: BinaryIO) -> None:
    """Stand at the end of a reflog, without what a crash left behind its last line end."""
    end = file.seek(0, os.SEEK_END)
    if end:
        file.seek(max(0, end - _LONGEST_LINE))
        tail = file.read()
        if not tail.endswith(b"\n"):
            if b"\n" not in tail:  # an operation on very many refs
                file.seek(0)
                tail = file.read()
            end -= len(tail) - (tail.rfind(b"\n") + 1)
            file.truncate(end)
        file.seek(end)


def _folders(path: str) -> Iterator[str]:
    for folder, _, _ in os.walk(path):
        yield folder


def _remove_empty_directories(path: str) -> None:
    for folder, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
