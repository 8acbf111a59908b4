"""Pack what is alive anew, and drop the rest: our packs hold whole objects, so that their bytes are copied as they are.

Much quicker than ``git repack``, which is for packs with deltas in them (after a fetch).
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import pickle
import zlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from hashdist import process
from hashdist.errors import DamagedError

from .git_program import git_env
from .ids import HEX_DIGITS, ObjectId, RawId, is_hex
from .pack import PackedBatch, PackWriter, pack_object
from .packed import Pack, PackedReader, pack_indexes
from .workers import WAITING, spread

if TYPE_CHECKING:
    from .database import ObjectDatabase

#: Of a pack less than this part may be dead: it is not worth the writing.
_WORTH = 0.1
#: With more packs, or loose objects, than these each object is looked for in too many places.
_MANY_PACKS, _MANY_LOOSE = 50, 2000
_RUN = 16 << 20
#: Loose objects that are packed, and directories of them that are looked through, in one go.
_BATCH, _FEW = 500, 8
_HEADER, _TRAILER = 12, 20


def live_objects(repository: str, search_path: str) -> set[str]:
    """The ids of all objects that refs and reflogs reach, as git tells them; raises `ProgramFailedError` at damage."""
    listed = process.run(
        ["git", "rev-list", "--objects", "--no-object-names", "--all", "--reflog"],
        env=git_env(repository, search_path),
    )
    return set(listed.decode("ascii").split())


def repack(database: ObjectDatabase, live: Collection[str], *, everything: bool) -> bool:
    """Write what is live of packs, with what is loose, into one new pack, where that is worth it; then drop the old.

    Loose objects are read and checked, packed ones by the checksums of their index; where one is damaged nothing is
    packed anew. With `everything` dead objects go however few they are. Nobody else may be at work. False if a pack
    has deltas, or cannot be read: that is for git.
    """
    folder = os.path.join(database.path, "objects", "pack")
    old: list[tuple[str, list[tuple[int, ObjectId]], int]] = []
    indexes = pack_indexes(folder)
    many = len(indexes) > _MANY_PACKS
    for index in indexes:
        try:
            entries = Pack(index).entries()
            size = os.path.getsize(f"{index[:-4]}.pack")
        except (OSError, ValueError):
            return False
        dead = sum(id not in live for _, id in entries)
        if many or dead > len(entries) * _WORTH or (everything and dead):
            old.append((index, entries, size))
    loose = [id for id in loose_objects(database.path) if id in live]
    if not old and len(loose) < _MANY_LOOSE and not (everything and loose):
        return True
    writer = PackWriter(folder)
    try:
        for batch in spread(functools.partial(_pack_loose, database), _batches(database.path, loose)):
            writer.write(batch)
        for index, entries, size in old:
            if not _copy(writer, index, entries, size, live):
                writer.abandon()
                return False
        kept = writer.publish()
    except DamagedError:
        writer.abandon()  # what is damaged is left as it is, for verify
        return True
    except BaseException:
        writer.abandon()
        raise
    for index, _, _ in old:
        if index != kept:
            _remove_pack(index)
    return True


def _copy(
    writer: PackWriter, index: str, entries: list[tuple[int, ObjectId]], size: int, live: Collection[str]
) -> bool:
    """Copy the live objects of a pack, neighbours together; False where one is a delta."""
    pack = Pack(index)
    checksums = pack.checksums()
    run: list[tuple[RawId, int, int]] = []
    start = end = 0
    with open(f"{index[:-4]}.pack", "rb") as file:

        def flush() -> None:
            if run:
                file.seek(start)
                data = memoryview(file.read(end - start))
                place = 0
                for id, length, checksum in run:
                    if zlib.crc32(data[place : place + length]) != checksum:
                        raise DamagedError(f"object {id.hex()} is damaged in {index[:-4]}.pack")
                    place += length
                writer.write(PackedBatch(list(run), bytes(data)))
                run.clear()

        for place, (offset, id) in enumerate(entries):
            after = entries[place + 1][0] if place + 1 < len(entries) else size - _TRAILER
            if id not in live or id.raw in writer:
                continue
            if not pack.is_whole(offset):
                return False
            if not run or offset != end or end - start > _RUN:
                flush()
                start = offset
            run.append((id.raw, after - offset, checksums[offset]))
            end = after
        flush()
    return True


def _batches(repository: str, ids: list[ObjectId]) -> Iterator[list[ObjectId]]:
    """Loose objects, few enough at a time that they fit into memory."""
    batch: list[ObjectId] = []
    size = 0
    for id in ids:
        size += os.path.getsize(os.path.join(repository, "objects", id[:2], id[2:]))
        batch.append(id)
        if size > _RUN or len(batch) == _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _pack_loose(database: ObjectDatabase, ids: list[ObjectId]) -> PackedBatch:
    """Loose objects as they stand in a pack; without tags, which are somebody else's and stay as they are."""
    found = [(id, *database.find_raw(id)) for id in ids]
    packed = [pack_object(kind, id.raw, data) for id, kind, data in found if kind != "tag"]
    data = b"".join(one.data for one in packed)
    return PackedBatch([object for one in packed for object in one.objects], pickle.PickleBuffer(data))


def _remove_pack(index: str) -> None:
    # the index first: without it nobody looks into the pack
    for end in (".idx", ".rev", ".bitmap", ".pack"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(index[:-4] + end)


def loose_objects(repository: str) -> Iterator[ObjectId]:
    """The ids of all objects in files of their own."""
    folder = os.path.join(repository, "objects")
    for fan in _fans(folder):
        yield from _ids_in(fan, os.path.basename(fan))


def _ids_in(fan: str, first: str) -> list[ObjectId]:
    names = [name for name in os.listdir(fan) if len(name) == HEX_DIGITS - len(first) and is_hex(name)]
    return [ObjectId.trusted(first + name) for name in names]


def objects_size(repository: str) -> int:
    """The bytes of all objects, packed and loose, as git counts the usage of each: without indexes and the like."""
    folder = os.path.join(repository, "objects")
    size = 0
    for here in (os.path.join(folder, "pack"), *_fans(folder)):
        with contextlib.suppress(FileNotFoundError), os.scandir(here) as entries:
            for entry in entries:
                if not here.endswith("/pack"):
                    size += entry.stat().st_size
                elif entry.name.endswith(".pack"):
                    size += entry.stat().st_size - _HEADER - _TRAILER
    return size


def prune(database: ObjectDatabase, live: Collection[str], *, before: float) -> int:
    """Remove loose objects that are dead, or are in a pack too, if they were written before; and what crashes left.

    `before` is in seconds since 1970. Returns how many went.
    """
    folder = os.path.join(database.path, "objects")
    database.look_again()
    packed = database.packed
    fans = _fans(folder)
    groups = [fans[start : start + _FEW] for start in range(0, len(fans), _FEW)]
    gone = sum(spread(functools.partial(_prune_fans, packed, live, before), groups, processes=WAITING))
    for here in (folder, os.path.join(folder, "pack"), *_fans(folder)):
        for name in os.listdir(here):
            path = os.path.join(here, name)
            stem, _, end = path.rpartition(".")
            # a pack without its index, or the other way round
            half = name.startswith("pack-") and not os.path.exists(f"{stem}.{'pack' if end == 'idx' else 'idx'}")
            if (half or name.startswith(("tmp_obj_", "tmp_pack_", "tmp_idx_"))) and _is_older(path, before):
                with contextlib.suppress(OSError):
                    os.unlink(path)
    for here in _fans(folder):
        with contextlib.suppress(OSError):
            os.rmdir(here)
    return gone


def _prune_fans(packed: PackedReader, live: Collection[str], before: float, fans: list[str]) -> int:
    gone = 0
    for fan in fans:
        first = os.path.basename(fan)
        for id in _ids_in(fan, first):
            path = f"{fan}/{id[2:]}"
            if (id not in live and _is_older(path, before)) or _is_packed(packed, id):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                    gone += 1
    return gone


def _is_packed(packed: PackedReader, id: ObjectId) -> bool:
    """Whether a pack has an object whole, byte for byte: only then another copy may go."""
    whole = packed.find(id) if packed.has(id.raw) else None
    return whole is not None and whole.read() is not None


def _fans(folder: str) -> list[str]:
    """The directories of loose objects, which are called by the first digits of their names."""
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if len(name) == 2 and is_hex(name))  # noqa: PLR2004


def _is_older(path: str, before: float) -> bool:
    if before == math.inf:
        return True
    try:
        return os.lstat(path).st_mtime < before
    except FileNotFoundError:
        return False
