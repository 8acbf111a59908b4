"""The short form of what a host was found to be: how files look, by machine; checked in milliseconds.

A short form says that everything was as it should be when all of this looked like that. It can be lost without harm:
then files are hashed again. Where a store belongs to somebody else it is kept in the cache of whoever looks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hashdist.refs import names
from hashdist.store import index

if TYPE_CHECKING:
    from hashdist.store.store import Store

_MAGIC = b"hdist-host-seen-1\n"
_HEAD = struct.Struct("<QQ")
#: Inode, size, time of the last change of any kind: nobody can set that back.
_LOOK = struct.Struct("<QQq")
_ABSENT = (0, 0, 0)
_DIGEST = 32
#: Short forms that are kept for a machine: one for each profile that is checked there.
_KEPT = 32
#: What says where finders look.
_VARIABLES = ("PATH", "MODULEPATH", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "DPKG_ROOT", "DPKG_ADMINDIR")


def check_key(store: Store, host_class: str, env: Mapping[str, str], commit: str | None) -> str:
    """Names what a check looks at: all scans of a class of hosts, or those that a commit of a profile uses."""
    words = [host_class, commit or ""]
    words += [f"{name}={env.get(name, '')}" for name in _VARIABLES]
    words += [f"{ref} {id}" for ref, id in sorted(store.refs.all(f"{names.HOSTS}{host_class}/").items())]
    return f"seen-{hashlib.sha256(chr(0).join(words).encode(errors='surrogateescape')).hexdigest()[:40]}"


def save_seen(store: Store, host: str, key: str, paths: Iterable[str], *, entries: int, since: int) -> None:
    """Keep how files, links and directories look now that `entries` host entries were found to be as they should.

    `since` (ns) is when the look at them began. Nothing is kept if one of them changed after that, when it had been
    looked at already perhaps, or so shortly before that it could have done so again unseen.
    """
    from .hashing import is_settled  # noqa: PLC0415 - a look at what is kept does without

    ordered = sorted(set(map(os.fsencode, paths)))
    states = []
    for path in ordered:
        try:
            status = os.lstat(path)
        except OSError:
            states.append(_LOOK.pack(*_ABSENT))
            continue
        if not is_settled(status, since):
            return
        states.append(_LOOK.pack(status.st_ino, status.st_size, status.st_ctime_ns))
    data = _MAGIC + _HEAD.pack(entries, len(ordered)) + b"".join(states) + b"\0".join(ordered)
    _forget_old(store, host)
    index.write(store, index.HOSTS, name_for(host, key), data + hashlib.sha256(data).digest())


def look(store: Store, host: str, key: str) -> int | None:
    """How many host entries are as they should be, if everything looks as it did when they were; else None."""
    data = index.read_bytes(store, index.HOSTS, name_for(host, key))
    body = checked(data, _MAGIC) if data is not None else b""
    if not body:
        return None
    entries, count = _HEAD.unpack_from(body)
    end = _HEAD.size + count * _LOOK.size
    lstat = os.lstat
    for path, expected in zip(body[end:].split(b"\0"), _LOOK.iter_unpack(body[_HEAD.size : end]), strict=bool(count)):
        try:
            status = lstat(path)
        except OSError:
            if expected != _ABSENT:
                return None
            continue
        if (status.st_ino, status.st_size, status.st_ctime_ns) != expected:
            return None
    return int(entries)


def name_for(host: str, what: str) -> str:
    """The name of a file of ours for a machine."""
    safe = "".join(char if char.isalnum() or char in "-." else "_" for char in host)
    return f"{safe}~{what}"


def checked(data: bytes, magic: bytes) -> bytes:
    """The body of a file of ours; empty if it is damaged or of another kind."""
    if not data.startswith(magic) or hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]:
        return b""
    return data[len(magic) : -_DIGEST]


def _forget_old(store: Store, host: str) -> None:
    folder = index.place(store, index.HOSTS)
    if folder is None:
        return
    with contextlib.suppress(OSError):
        entries = os.scandir(folder)
        own = [entry for entry in entries if entry.name.startswith(name_for(host, "seen-"))]
        for entry in sorted(own, key=lambda entry: entry.stat().st_mtime)[:-_KEPT]:
            os.unlink(entry.path)
