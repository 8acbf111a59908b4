"""Which objects a repository holds just now: asked for each file of an import, so quick at saying no."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

from . import libgit2
from .ids import ObjectId, RawId, is_hex
from .loose import LooseObjects
from .packed import PackedReader, pack_indexes

Known: TypeAlias = Callable[[RawId], bool]
"""Tells of an object whether it need not be stored again."""

#: Among more packs than these libgit2 is quicker, though it takes its time to load.
_MANY_PACKS = 12
_DIGITS = 2


def snapshot(objects: str) -> Known:
    """A test for what the directory `objects` of a repository holds; what others write later it may not see."""
    folder = os.path.join(objects, "pack")
    packed = libgit2.tester(objects) if len(pack_indexes(folder)) > _MANY_PACKS else PackedReader(folder).has
    loose = LooseObjects(objects)
    # a loose object lies in a directory by its first two digits; there are few of them, and many who ask
    firsts = {int(name, 16) for name in os.listdir(objects) if len(name) == _DIGITS and is_hex(name)}

    def known(id: RawId) -> bool:
        # one that a power loss left empty is stored again
        return packed(id) or (id[0] in firsts and loose.read(ObjectId.of(id)) is not None)

    return known
