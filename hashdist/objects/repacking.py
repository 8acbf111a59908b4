"""Pack what is alive anew, and drop the rest: our packs hold whole objects, so that their bytes are copied as they are.

Much quicker than ``git repack``, which is for packs with deltas in them (after a fetch).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from hashdist import process

from .git_program import git_env
from .ids import ObjectId, RawId, is_hex
from .pack import PackedBatch, PackWriter, pack_object
from .packed import Pack, pack_indexes

if TYPE_CHECKING:
    from .database import ObjectDatabase

#: Of a pack less than this part may be dead: it is not worth the writing.
_WORTH = 0.1
#: With more packs, or loose objects, than these each object is looked for in too many places.
_MANY_PACKS, _MANY_LOOSE = 50, 2000
_RUN = 16 << 20
_TRAILER = 20


def live_objects(repository: str, search_path: str) -> set[str]:
    """The ids of all objects that refs and reflogs reach, as git tells them; raises `ProgramFailedError` at damage."""
    listed = process.run(
        ["git", "rev-list", "--objects", "--no-object-names", "--all", "--reflog"],
        env=git_env(repository, search_path),
    )
    return set(listed.decode("ascii").split())


def repack(database: ObjectDatabase, live: Collection[str], *, everything: bool) -> bool:
    """Write what is live of packs, with what is loose, into one new pack, where that is worth it; then drop the old.

    With `everything` dead objects go however few they are. Nobody else may be at work. False if a pack has deltas, or
    cannot be read: that is for git.
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
        for index, entries, size in old:
            if not _copy(writer, index, entries, size, live):
                writer.abandon()
                return False
        for id in loose:
            kind, data = database.find_raw(id)
            if kind != "tag":  # somebody else's; it stays as it is
                writer.write(pack_object(kind, id.raw, data))
        kept = writer.publish()
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
                writer.write(PackedBatch(list(run), file.read(end - start)))
                run.clear()

        for place, (offset, id) in enumerate(entries):
            after = entries[place + 1][0] if place + 1 < len(entries) else size - _TRAILER
            if id not in live:
                continue
            if pack.whole(offset, id) is None:
                return False
            if not run or offset != end or end - start > _RUN:
                flush()
                start = offset
            run.append((id.raw, after - offset, checksums[offset]))
            end = after
        flush()
    return True


def _remove_pack(index: str) -> None:
    # the index first: without it nobody looks into the pack
    for end in (".idx", ".rev", ".bitmap", ".pack"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(index[:-4] + end)


def loose_objects(repository: str) -> Iterator[ObjectId]:
    """The ids of all objects in files of their own."""
    folder = os.path.join(repository, "objects")
    for first in sorted(os.listdir(folder)):
        if len(first) == 2 and is_hex(first):  # noqa: PLR2004 - the first digits of an id
            for rest in os.listdir(os.path.join(folder, first)):
                if len(rest) == 38 and is_hex(rest):  # noqa: PLR2004 - and the others
                    yield ObjectId(first + rest)


def prune(database: ObjectDatabase, live: Collection[str], *, before: float) -> int:
    """Remove loose objects that are dead, or are in a pack too, if they were written before; and what crashes left.

    `before` is in seconds since 1970. Returns how many went.
    """
    folder = os.path.join(database.path, "objects")
    database.look_again()
    gone = 0
    for id in list(loose_objects(database.path)):
        path = os.path.join(folder, id[:2], id[2:])
        if (id not in live and _is_older(path, before)) or database.packed.has(id.raw):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
                gone += 1
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


def _fans(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in os.listdir(folder) if len(name) == 2 and is_hex(name)]  # noqa: PLR2004


def _is_older(path: str, before: float) -> bool:
    try:
        return os.lstat(path).st_mtime < before
    except FileNotFoundError:
        return False
