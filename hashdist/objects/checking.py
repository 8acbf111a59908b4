"""Look at every object on disk, whole or delta, loose or packed, and tell which are not what their names say.

Work is cut into batches that can be done anywhere; see `hashdist.objects.workers`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from typing import NamedTuple, cast

from isal import isal_zlib

from hashdist.errors import HashdistError

from . import libgit2
from .ids import ObjectId, is_hex
from .packed import Pack, Whole, pack_indexes

_ISAL_ERROR = cast("type[Exception]", isal_zlib.error)  # its stub says that it is an instance
#: Bytes on disk, and objects, of a batch.
_BATCH_BYTES, _BATCH = 4 << 20, 2000
_CHUNK = 4 << 20
_CHECKSUM = 20
_DIGITS = 40
_CHECKED = (".pack", ".idx", ".rev", ".bitmap", ".graph")


class Fault(NamedTuple):
    """An object, or a file of objects, that is not what it should be."""

    path: str
    """The file."""
    id: ObjectId | None
    """The object; None when the file as a whole is damaged."""
    words: str
    """What is the matter."""


class Batch(NamedTuple):
    """Some objects to look at."""

    path: str
    """The pack's index; the directory of loose objects; or a file that ends with its own checksum."""
    entries: tuple[tuple[int, ObjectId], ...] = ()
    """Where they begin in the pack; 0 for loose ones."""
    packed: bool = True
    """Whether they are in a pack; without entries the file's own checksum is meant."""
    size: int = 0
    """Their bytes on disk, about."""


class Checked(NamedTuple):
    """What looking at a batch gave."""

    size: int
    """Bytes on disk that were looked at, about."""
    objects: int
    """How many objects."""
    faults: list[Fault]
    """All that is wrong."""


def batches(objects: str) -> tuple[list[Batch], set[str], list[Fault]]:
    """All work on a directory of objects, the ids of all that lie there, and packs that cannot be opened."""
    work: list[Batch] = []
    present: set[str] = set()
    faults: list[Fault] = []
    for index in pack_indexes(os.path.join(objects, "pack")):
        try:
            entries = Pack(index).entries()
            end = os.path.getsize(f"{index[:-4]}.pack")
        except FileNotFoundError:
            continue  # going just now, or left so by a crash; if anything is missing for it, that is told
        except (OSError, ValueError) as error:
            faults.append(Fault(index, None, f"cannot be read: {error}"))
            continue
        present.update(id for _, id in entries)
        work += _cut(index, entries, end)
    for path in _with_checksums(objects):
        with contextlib.suppress(FileNotFoundError):  # git repack took it
            work.append(Batch(path, size=os.path.getsize(path)))
    for name in sorted(os.listdir(objects)):
        if len(name) == 2 and is_hex(name):  # noqa: PLR2004 - the first digits of an id
            ids = [ObjectId(name + rest) for rest in _listed(os.path.join(objects, name)) if _is_rest(rest)]
            present.update(ids)
            for start in range(0, len(ids), _BATCH):
                some = tuple((0, id) for id in ids[start : start + _BATCH])
                work.append(Batch(objects, some, packed=False, size=len(some) * 4096))
    return work, present, faults


def _listed(folder: str) -> list[str]:
    """What is in a directory, sorted; nothing if git has just removed it."""
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _with_checksums(objects: str) -> Iterator[str]:
    """Packs, and all that git keeps beside them to be quick."""
    for folder in ("pack", "info", "info/commit-graphs"):
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(os.listdir(os.path.join(objects, folder))):
                if name.startswith("tmp_"):
                    continue  # what a crash left half-written
                if name == "commit-graph" or name.startswith("multi-pack-index") or name.endswith(_CHECKED):
                    yield os.path.join(objects, folder, name)


def _cut(index: str, entries: list[tuple[int, ObjectId]], end: int) -> Iterator[Batch]:
    start = 0
    for number in range(1, len(entries) + 1):
        ends = entries[number][0] if number < len(entries) else end
        size = ends - entries[start][0]
        if size >= _BATCH_BYTES or number - start >= _BATCH or number == len(entries):
            yield Batch(index, tuple(entries[start:number]), size=size)
            start = number


def _is_rest(name: str) -> bool:
    return len(name) == _DIGITS - 2 and is_hex(name)


def check(batch: Batch) -> Checked:
    """Look at a batch; what has gone meanwhile (git repack, git prune) is no fault."""
    if not batch.packed:
        faults = [fault for _, id in batch.entries if (fault := _loose(batch.path, id)) is not None]
    elif batch.entries:
        faults = _packed(batch)
    else:
        fault = _trailer(batch.path)
        faults = [fault] if fault is not None else []
    return Checked(batch.size, len(batch.entries), faults)


def _packed(batch: Batch) -> list[Fault]:
    try:
        pack = Pack(batch.path)
    except (OSError, ValueError):
        return []  # told already, or gone
    path = f"{batch.path[:-4]}.pack"
    faults = []
    deltas = []
    for offset, id in batch.entries:
        try:
            whole = pack.whole(offset, id)
        except ValueError as error:
            faults.append(Fault(path, id, str(error)))
            continue
        if whole is None:
            deltas.append(id)
        elif words := whole_fault(whole):
            faults.append(Fault(path, id, words))
    if deltas:
        repository = libgit2.open_repository(os.path.dirname(os.path.dirname(os.path.dirname(batch.path))))
        for id in deltas:
            try:
                libgit2.read(repository, id)
            except HashdistError as error:
                faults.append(Fault(path, id, error.message))
    return faults


def whole_fault(whole: Whole) -> str | None:
    """What is wrong with an object in a pack; it is never held in memory as a whole."""
    digest = hashlib.sha1(b"%b %d\0" % (whole.kind.encode(), whole.size), usedforsecurity=False)
    stream = isal_zlib.decompressobj()
    data, position, size = memoryview(whole.pack), whole.position, 0
    try:
        while not stream.eof and position < len(data):
            some = bytes(stream.unconsumed_tail) or data[position : position + min(_CHUNK, whole.size + 4096)]
            if not stream.unconsumed_tail:
                position += len(some)
            out = stream.decompress(some, _CHUNK)
            digest.update(out)
            size += len(out)
            if size > whole.size:
                break
    except _ISAL_ERROR as error:
        return f"cannot be inflated: {error}"
    if size != whole.size or digest.hexdigest() != whole.id:
        return "its bytes are others"
    return None


def _loose(objects: str, id: ObjectId) -> Fault | None:
    path = os.path.join(objects, id[:2], id[2:])
    digest = hashlib.sha1(usedforsecurity=False)
    stream = isal_zlib.decompressobj()
    head = b""
    size = 0
    try:
        with open(path, "rb") as file:
            while not stream.eof and (chunk := file.read(_CHUNK)):
                while chunk:
                    out = stream.decompress(chunk, _CHUNK)
                    digest.update(out)
                    size += len(out)
                    head = head or out[:64]
                    chunk = stream.unconsumed_tail
            rest = stream.unused_data or file.read(1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Fault(path, id, f"cannot be read: {error.strerror}")
    except _ISAL_ERROR as error:
        return Fault(path, id, f"cannot be inflated: {error}")
    if not stream.eof:
        return Fault(path, id, "is cut short")
    if rest or digest.hexdigest() != id:
        return Fault(path, id, "its bytes are others")
    return None


def _trailer(path: str) -> Fault | None:
    """Whether a pack or an index is what the checksum at its end says."""
    digest = hashlib.sha1(usedforsecurity=False)
    try:
        with open(path, "rb") as file:
            left = os.fstat(file.fileno()).st_size - _CHECKSUM
            while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                digest.update(chunk)
                left -= len(chunk)
            fine = file.read() == digest.digest()
    except FileNotFoundError:
        return None
    except OSError as error:
        return Fault(path, None, f"cannot be read: {error.strerror}")
    return None if fine else Fault(path, None, "is not what its own checksum says")
