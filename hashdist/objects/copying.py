"""Copy what some commits lead to from one database into another, without the git program.

Each object is written whole, where git would write deltas; and trees are gone through that are there already, since
that an object is there does not say that all below it is.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from .ids import ObjectId
from .pack import PackWriter, pack_object
from .tree import decode

if TYPE_CHECKING:
    from .database import ObjectDatabase


def copy_history(
    source: ObjectDatabase, target: ObjectDatabase, tips: Collection[ObjectId], known: Collection[ObjectId]
) -> None:
    """Have in `target`, which has all that `known` lead to, what `tips` lead to, tags of git's own included.

    Raises `NotFoundError` or `DamagedError`.
    """
    writer = PackWriter(os.path.join(target.path, "objects", "pack"))
    pending = list(dict.fromkeys([*tips, *source.new_commits(tips, known)]))
    seen = set(pending)
    try:
        while pending:
            id = pending.pop()
            kind, data = source.find_raw(id)
            if not target.has_own(id):
                writer.write(pack_object(kind, id.raw, data))
            for other in _named_by(kind, data):
                if other not in seen:
                    seen.add(other)
                    pending.append(other)
        writer.publish()
    except BaseException:
        writer.abandon()
        raise


def _named_by(kind: str, data: bytes) -> list[ObjectId]:
    if kind == "tree":
        return [entry.id for entry in decode(data)]
    if kind == "blob":
        return []
    head = data.partition(b"\n\n")[0].decode(errors="replace").split("\n")
    word = "tree " if kind == "commit" else "object "
    return [ObjectId(line[len(word) :]) for line in head[:1] if line.startswith(word)]
