"""Remember what a directory's files were hashed to, so that unchanged ones are not read again.

A file counts as unchanged while device, inode, size, mode, mtime and ctime are what they were: ctime moves
with every write and nobody can set it back. (Only a write through a memory mapping whose page has not reached
the disk since the last one moves nothing; so nothing is remembered on tmpfs, where pages never do.) A file that
was changed in the last seconds before it was looked at is not remembered either, as it could change again within
one tick of the clock (git's index calls such entries racy); nor is anything on a file system whose clock cannot
be asked.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass

from .ids import RawId, TreeId

_MAGIC = b"hdist-stat-1\n"
_STATE = struct.Struct("<QQQqqI")
_RECORD = struct.Struct("<II")
#: Coarser than any file system's clock: FAT counts two seconds.
_RACY_NS = 3_000_000_000
#: File systems whose times come from this machine's own clock.
_OWN_CLOCK = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "overlay", "f2fs", "zfs", "bcachefs"})
#: File systems whose times come from a server, whose clock can be asked by writing there.
_SERVERS_CLOCK = frozenset({"nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph"})
_ID = 20
_DIGEST = 32
_NO_DIGEST = b"\0" * _DIGEST

State = bytes


def state(status: os.stat_result) -> State:
    """What must stay the same while a file does."""
    return _STATE.pack(
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
    )


def is_old(status: os.stat_result, now: int) -> bool:
    """Whether a file that looks like this now cannot change any more without looking different; times in ns."""
    return status.st_ctime_ns < now - _RACY_NS


def now_ns(path: str, beside: str) -> int | None:
    """The time by the clock of the file system of `path`; None if nobody knows.

    `beside` is a directory that we may write to: where both are on one file system, that one is asked.
    """
    device = os.stat(path).st_dev
    kind = file_system_type(device)
    if kind not in _OWN_CLOCK | _SERVERS_CLOCK:
        return None
    if os.stat(beside).st_dev == device:
        probe = os.path.join(beside, f"clock-{os.getpid()}")
        with open(probe, "wb") as file:
            found = os.fstat(file.fileno()).st_ctime_ns
        os.unlink(probe)
        return min(found, time.time_ns())
    return time.time_ns() if kind in _OWN_CLOCK else None


def file_system_type(device: int) -> str:
    """The type of the file system with that device number, such as 'ext4'; empty if it is not mounted here."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            if fields.split(" ")[2] == wanted:
                return rest.split(" ")[0]
    return ""


@dataclass(slots=True)
class StatCache:
    """Files by directory (path relative to the root, empty for itself), then name: state and blob id."""

    held_by: TreeId
    """The tree that all this made; while the store keeps that, it has every blob."""
    digest: bytes
    """Of all names and states; empty when some file was too young to be remembered."""
    folders: Mapping[bytes, Mapping[bytes, tuple[State, RawId]]]
    """What was found."""

    def get(self, folder: bytes, name: bytes, state: State) -> RawId | None:
        """The id of a file's blob, if nothing about the file has changed."""
        found = self.folders.get(folder, _NOTHING).get(name)
        return found[1] if found is not None and found[0] == state else None

    def encode(self) -> bytes:
        """The bytes of the cache, with a checksum."""
        parts = [_MAGIC, bytes.fromhex(self.held_by), self.digest or _NO_DIGEST]
        for path, files in self.folders.items():
            body = files.body if isinstance(files, _Files) else b""
            body = body or b"".join([b"%b\0%b%b" % (name, state, id) for name, (state, id) in files.items()])
            parts += [_RECORD.pack(len(path), len(body)), path, body]
        data = b"".join(parts)
        return data + hashlib.sha256(data).digest()

    @classmethod
    def decode(cls, data: bytes) -> StatCache | None:
        """Read what `encode` wrote; None for anything else."""
        end = len(data) - _DIGEST
        position = len(_MAGIC) + _ID + _DIGEST
        if end < position or not data.startswith(_MAGIC) or hashlib.sha256(data[:end]).digest() != data[end:]:
            return None
        digest = data[position - _DIGEST : position]
        folders = {}
        while position < end:
            path_size, size = _RECORD.unpack_from(data, position)
            position += _RECORD.size
            path = data[position : position + path_size]
            position += path_size
            folders[path] = _Files(data[position : position + size])
            position += size
        held_by = TreeId(data[len(_MAGIC) : len(_MAGIC) + _ID].hex())
        return cls(held_by, b"" if digest == _NO_DIGEST else digest, folders)


class _Files(dict[bytes, "tuple[State, RawId]"]):
    """The files of a directory, read when the first of them is asked for: most often none is."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body

    def get(self, name: bytes, default: object = None) -> tuple[State, RawId] | None:  # type: ignore[override]
        del default
        body, self.body = self.body, b""
        position = 0
        while position < len(body):
            end = body.index(b"\0", position)
            start = end + 1 + _STATE.size
            self[body[position:end]] = (body[end + 1 : start], RawId(body[start : start + _ID]))
            position = start + _ID
        return super().get(name)


_NOTHING: Mapping[bytes, tuple[State, RawId]] = {}
