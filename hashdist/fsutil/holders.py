"""Who holds something in a store that several machines use, and whether they are still there.

A process is named by host, boot, process number and when it started, so that neither a number that was given
anew nor a machine that was started anew is taken for it. What another machine says can only be believed for a
time: its lease, counted by the clock of the file system.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from typing import NamedTuple

from .boot import boot_id, host_name, machine_id, process_space, started
from .clock import time_text

#: Seconds for which somebody on another machine is believed to hold what is held for moments.
MOMENTS = 600
#: Likewise for work that can take hours; whoever does it says again that he is there.
WORK = 24 * 3600


class Holder(NamedTuple):
    """A process that holds something."""

    host: str
    """Its machine's name."""
    machine: str
    """The identity of that installation; empty where there is none."""
    boot: str
    """Which start of that machine."""
    space: str
    """In which space of process numbers."""
    pid: int
    """Its number there."""
    started: str
    """When it started, as the kernel counts; empty where that is not known."""
    since: int
    """When it took hold, in seconds since 1970 by the store's clock."""
    lease: int
    """For how many seconds after it was last heard of it is believed."""
    purpose: str
    """What for."""

    def __str__(self) -> str:
        """Give the words for those who wait."""
        return f"{self.purpose} (host {self.host}, pid {self.pid}, since {time_text(self.since)})"

    def line(self) -> str:
        """Give the fields as one line, which is never empty."""
        return "\t".join(str(field).translate(_BLANK) for field in self)

    @classmethod
    def parse(cls, text: str) -> Holder:
        """Read what `line` gave; raises `ValueError`."""
        fields = text.split("\t")
        if len(fields) != len(cls._fields):
            raise ValueError("not a holder")
        host, machine, boot, space, pid, start, since, lease, purpose = fields
        return cls(host, machine, boot, space, int(pid), start, int(since), int(lease), purpose)

    @property
    def is_here(self) -> bool:
        """Whether the same kernel runs it that runs us, and numbers its processes as ours."""
        return bool(self.boot) and self.boot == boot_id() and self.space == process_space()

    def is_alive(self, age: float) -> bool:
        """Whether it still holds, when it was last heard of `age` seconds ago by the file system's clock."""
        if self.is_here and (now := started(self.pid)) is not None:
            return bool(self.started) and now == self.started
        same_machine = self.host == host_name() and bool(self.machine) and self.machine == machine_id()
        if same_machine and self.boot and boot_id() and self.boot != boot_id():
            return False  # this machine was started anew since
        return age < self.lease  # what lies in the future is young


_BLANK = {ord("\t"): " ", ord("\n"): " ", 0: " "}


@functools.cache
def _process(pid: int) -> tuple[str, str, str, str, int, str]:
    return host_name(), machine_id(), boot_id(), process_space(), pid, started(pid) or ""


def me(purpose: str, *, since: float, lease: int) -> Holder:
    """We, as we name ourselves to others."""
    return Holder(*_process(os.getpid()), int(since), lease, purpose[:200])


def other(pid: int, purpose: str, *, since: float, lease: int) -> Holder:
    """Another process of this machine, as it would name itself; raises `ProcessLookupError` if there is none."""
    if not started(pid):
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return Holder(*_process(pid), int(since), lease, purpose[:200])


def read_holder(path: str) -> tuple[Holder, float] | None:
    """Who a link that names a holder names, and when it was last heard of; None where there is none.

    The name of the holder is where the link leads: a link is there with its content, or not at all.
    """
    try:
        text = os.readlink(path)
        heard = os.lstat(path).st_mtime
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ESTALE}:
            return None
        if error.errno != errno.EINVAL:  # no link
            raise
        text, heard = "", os.lstat(path).st_mtime
    try:
        return Holder.parse(text), heard
    except ValueError:
        return Holder("?", "", "", "", 0, "", int(heard), MOMENTS, f"something that hdist did not write: {path}"), heard


#: What this process holds: the links and files that say so.
_held: set[str] = set()


def remember(path: str) -> None:
    """Note that the link or file at `path` says that we hold something."""
    _held.add(path)


def forget(path: str) -> None:
    """Note that it does not any more."""
    _held.discard(path)


def renew() -> None:
    """Say to other machines that we are still there; whoever works for hours does so again and again."""
    for path in list(_held):
        with contextlib.suppress(OSError):
            os.utime(path, follow_symlinks=False)
