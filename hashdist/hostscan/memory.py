"""What a store remembers of a host, by machine: what files were hashed to, and which scans were equal to its own.

All of it can be lost without harm.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import TYPE_CHECKING

from hashdist.objects.ids import CommitId, is_hex
from hashdist.objects.statcache import State
from hashdist.store import index

from .hashing import Memory
from .seen import checked, name_for

if TYPE_CHECKING:
    from hashdist.store.store import Store

_HASHES = b"hdist-host-hashes-1\n"
_RECORD = struct.Struct("<H44s32s")
_ID = 40
#: Hashes that are kept; when there are more, all are forgotten.
_MOST = 1_000_000


def load_memory(store: Store, host: str) -> Memory:
    """What files of a host were hashed to."""
    data = index.read_bytes(store, index.HOSTS, name_for(host, "hashes")) or b""
    body = checked(data, _HASHES)
    found: dict[str, tuple[State, str]] = {}
    position = 0
    while position < len(body):
        length, state, digest = _RECORD.unpack_from(body, position)
        position += _RECORD.size
        found[os.fsdecode(body[position : position + length])] = (state, digest.hex())
        position += length
    return Memory(found)


def save_memory(store: Store, host: str, memory: Memory) -> None:
    """Keep it, if there is anything new in it."""
    if not memory.changed:
        return
    items = memory.digests.items() if len(memory.digests) < _MOST else ()
    parts = []
    for path, (state, digest) in items:
        name = os.fsencode(path)
        parts += [_RECORD.pack(len(name), state, bytes.fromhex(digest)), name]
    _write(store, name_for(host, "hashes"), b"".join(parts))


def note_scan(store: Store, host: str, ref: str, commit: CommitId) -> None:
    """Keep which scan a host's last one was equal to: hosts that are alike share one."""
    known = dict(_noted(store, host))
    if known.get(ref) != commit:
        known[ref] = commit
        lines = "".join(f"{commit} {ref}\n" for ref, commit in sorted(known.items()))
        index.write(store, index.HOSTS, name_for(host, "scans"), lines)


def scans_on(store: Store, host: str) -> list[CommitId]:
    """The commits that a host's last scans were equal to."""
    return [commit for _, commit in _noted(store, host)]


def _noted(store: Store, host: str) -> list[tuple[str, CommitId]]:
    lines = (index.read(store, index.HOSTS, name_for(host, "scans")) or "").splitlines()
    pairs = [line.split(" ", 1) for line in lines if " " in line]
    return [(ref, CommitId(commit)) for commit, ref in pairs if is_hex(commit) and len(commit) == _ID]


def _write(store: Store, what: str, body: bytes) -> None:
    data = _HASHES + body
    index.write(store, index.HOSTS, what, data + hashlib.sha256(data).digest())
