"""What is known of the file system that something lies on; source: ``proc_pid_mountinfo(5)``."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

MOUNTS = "/proc/self/mountinfo"
_ESCAPED = re.compile(r"\\([0-7]{3})")
_NETWORK = frozenset({"nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "9p", "glusterfs", "panfs"})


class Mount(NamedTuple):
    """A file system, as it is mounted."""

    kind: str
    """Its type."""
    place: str
    """Where it is mounted."""
    options: frozenset[str]
    """All its options."""

    @property
    def locks(self) -> str:
        """What its locks are worth, for people."""
        if self.kind == "lustre":
            if "flock" in self.options:
                return "on all machines"
            return _LOCAL if "localflock" in self.options else _NONE
        if self.kind.startswith("nfs"):
            local = {"local_lock=all", "local_lock=flock", "nolock"} & self.options
            return _LOCAL if local else "on all machines"
        return "on all machines, if the file system does so" if self.kind in _NETWORK else "on this machine"

    @property
    def is_weak(self) -> bool:
        """Whether machines are kept apart by links and leases only."""
        return self.locks in {_LOCAL, _NONE}


_LOCAL = "on each machine by itself: between machines links and leases keep order"
_NONE = "not at all: links and leases keep order"


def mount_of(path: str, *, mounts: str = MOUNTS) -> Mount:
    """The file system that a path lies on, or would; `mounts` is the kernel's list."""
    best = Mount("unknown", "", frozenset())
    path = os.path.realpath(path)
    with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            head, _, tail = line.rstrip("\n").partition(" - ")
            fields, rest = head.split(" "), tail.split(" ")
            place = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4])
            if (path + "/").startswith(place.rstrip("/") + "/") and len(place) >= len(best.place):
                options = frozenset(f"{fields[5]},{rest[2]}".split(","))
                best = Mount(rest[0], place, options)
    return best
