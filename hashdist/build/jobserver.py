"""GNU make's jobserver: one pool of job slots for all builds together, so that ``-j`` is the total of cores.

Protocol: 'POSIX Jobserver Interaction' in GNU make's manual; the pipe form, which every make since 4.2 knows.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Iterator
from types import TracebackType

#: More than a pipe is sure to hold, and than anybody has cores.
LIMIT = 4096


class Cancelled(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The build was told to stop."""


class Jobserver:
    """A pool of `jobs` slots, at most `LIMIT`; close it by leaving the ``with`` block."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs = min(jobs, LIMIT)
        self.cancelled = threading.Event()
        self._turn = threading.Lock()
        self._read, self._write = os.pipe()
        os.write(self._write, b"+" * jobs)

    def __enter__(self) -> Jobserver:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pipe."""
        os.close(self._read)
        os.close(self._write)

    @property
    def descriptors(self) -> tuple[int, int]:
        """The pipe's ends, for children to inherit."""
        return self._read, self._write

    @property
    def variables(self) -> dict[str, str]:
        """What tells make of the pool; nothing where there is one slot only."""
        if self.jobs == 1:
            return {}
        return {"MAKEFLAGS": f" -j{self.jobs} --jobserver-auth={self._read},{self._write}"}

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one slot: every build uses one by itself. Raises `Cancelled`."""
        token = self._take()
        try:
            self.check()
            yield
        finally:
            os.write(self._write, token)

    def _take(self) -> bytes:
        """Take a slot out of the pipe; somebody else may be faster, and make leaves the pipe without blocking."""
        with self._turn:
            while True:
                self.check()
                if select.select([self._read], [], [], 0.1)[0]:
                    with contextlib.suppress(BlockingIOError):
                        return os.read(self._read, 1)

    def check(self) -> None:
        """Raise `Cancelled` if it was told to stop."""
        if self.cancelled.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Let everybody who waits give up; slots that killed children held are given back for that."""
        self.cancelled.set()
        os.set_blocking(self._write, False)
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"+" * self.jobs)
