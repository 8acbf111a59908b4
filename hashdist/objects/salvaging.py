"""Save what is whole in a damaged pack."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from hashdist.errors import HashdistError

from . import libgit2
from .checking import whole_fault
from .ids import ObjectId
from .pack import PackedBatch, PackWriter
from .packed import Pack

if TYPE_CHECKING:
    from .database import ObjectDatabase


def salvage(database: ObjectDatabase, index: str) -> int:
    """Write every object of a pack that can be read anew, into another pack or loose; return how many.

    The damaged pack stays. Raises `OSError` or `ValueError` if the index cannot be read: then nothing can be found.
    """
    pack = Pack(index)
    path = f"{index[:-4]}.pack"
    entries = pack.entries()
    ends = [offset for offset, _ in entries[1:]] + [os.path.getsize(path) - 20]
    writer = PackWriter(os.path.dirname(index))
    deltas: list[ObjectId] = []
    saved = 0
    with open(path, "rb") as file:
        for (offset, id), end in zip(entries, ends, strict=True):
            try:
                whole = pack.whole(offset, id)
            except ValueError:
                continue
            if whole is None:
                deltas.append(id)
            elif whole_fault(whole) is None:
                file.seek(offset)
                data = file.read(end - offset)
                writer.write(PackedBatch([(id.raw, len(data), zlib.crc32(data))], data))
                saved += 1
    writer.publish()
    repository = libgit2.open_repository(database.path)
    for id in deltas:
        try:
            kind, data = libgit2.read(repository, id)
        except HashdistError:
            continue
        database.add(kind, data)
        saved += 1
    return saved
