"""Give what was imported its ref: the whole of it, or one directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashdist.errors import NotFoundError
from hashdist.objects.ids import SourceId, TreeId
from hashdist.objects.tree import Mode
from hashdist.store.provenance import Provenance

if TYPE_CHECKING:
    from hashdist.store.store import Store


def keep(store: Store, tree: TreeId, subdir: str | None, came_from: Provenance | None) -> SourceId:
    """Keep a tree, or its directory `subdir`, as a source; raises `NotFoundError` if there is no such directory."""
    if subdir is not None:
        entry = store.objects.find(tree, subdir)
        if entry is None or entry.mode is not Mode.DIRECTORY:
            raise NotFoundError(f"the source has no directory '{subdir}'")
        tree = TreeId(entry.id)
    return store.sources.keep(tree, reason="source", came_from=came_from)
