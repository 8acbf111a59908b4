"""Which objects a repository holds just now: asked for each file of an import, so quick at saying no."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

from . import libgit2
from .ids import RawId
from .packed import PackedReader

Known: TypeAlias = Callable[[RawId], bool]
"""Tells of an object whether it need not be stored again."""

#: Among more packs than these libgit2 is quicker, though it takes its time to load.
_MANY_PACKS = 12
_DIGITS = 2


def snapshot(objects: str) -> Known:
    """A test for what the directory `objects` of a repository holds; what others write later it may not see."""
    packs = PackedReader(os.path.join(objects, "pack"))
    packed = libgit2.tester(objects) if len(packs) > _MANY_PACKS else packs.has
    # a loose object lies in a directory by its first two digits; there are few of them, and many who ask
    loose = {int(name, 16): os.path.join(objects, name) for name in os.listdir(objects) if len(name) == _DIGITS}

    def known(id: RawId) -> bool:
        return packed(id) or (id[0] in loose and os.path.exists(os.path.join(loose[id[0]], id.hex()[2:])))

    return known
