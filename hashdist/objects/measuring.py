"""How much a tree holds."""

from __future__ import annotations

from .database import ObjectDatabase
from .ids import TreeId
from .tree import Mode


def measure(objects: ObjectDatabase, id: TreeId) -> tuple[int, int]:
    """How many files and links a tree has, and their bytes; a directory that it has many times is read once."""
    known: dict[str, tuple[int, int]] = {}
    pending: list[TreeId] = [id]
    while pending:
        here = pending[-1]
        if here in known:
            pending.pop()
            continue
        entries = objects.tree(here)
        below = [TreeId(entry.id) for entry in entries if entry.mode is Mode.DIRECTORY]
        if unknown := [one for one in below if one not in known]:
            pending += unknown
            continue
        files = [entry for entry in entries if entry.mode is not Mode.DIRECTORY]
        count = len(files) + sum(known[one][0] for one in below)
        size = sum(objects.size(entry.id) for entry in files) + sum(known[one][1] for one in below)
        known[here] = (count, size)
        pending.pop()
    return known[id]
