"""Which machine this is, which start of it, and which processes run on it."""

from __future__ import annotations

import functools
import os


@functools.cache
def boot_id() -> str:
    """A text that no other machine has, nor this one after it is started anew; empty where the kernel has none."""
    return _line("/proc/sys/kernel/random/boot_id")


def host_name() -> str:
    """The machine's name."""
    return os.uname().nodename


@functools.cache
def machine_id() -> str:
    """What tells this installation from others; empty where there is nothing."""
    return _line("/etc/machine-id")


def process_space() -> str:
    """The space in which process numbers have a meaning: containers have their own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def started(pid: int) -> str | None:
    """When a process started, in the kernel's ticks since boot; empty if there is no such process.

    None for one that we may not look at, as where ``/proc`` is mounted with ``hidepid``.
    Source: ``proc(5)``, field 22 of ``/proc/PID/stat``.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except OSError:
            pass
        return None
    # a dead process that nobody waited for holds nothing
    return "" if fields[0] in {b"Z", b"X"} else fields[19].decode()


def ancestors() -> set[int]:
    """Our process, the one that started it, and so on, as far as can be seen."""
    found: set[int] = set()
    pid = os.getpid()
    while pid > 1 and pid not in found:
        found.add(pid)
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return found | {os.getppid()}


def _line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(256).strip()
    except OSError:
        return ""
