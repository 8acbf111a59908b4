"""What may be used of captured host software: the lines of its manifest, each exactly."""

from __future__ import annotations

import os
from collections.abc import Iterable

from hashdist.objects.manifest import ManifestEntry
from hashdist.objects.tree import Mode

from .rules import Rules


def allow_captured(rules: Rules, entries: Iterable[ManifestEntry]) -> None:
    """Grant what a capture's manifest lists: each link on the way, and each file, but never what is beside them.

    A directory in it is a tree that was captured as a whole. For a Python file its compiled form is granted too.
    """
    compiled: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        path = os.fsdecode(entry.path)
        if entry.mode is Mode.DIRECTORY:
            rules.allow_tree(path)
        elif path.startswith("/"):
            rules.allow(path)
        if entry.target is not None and not path.startswith("/"):
            # a link of the prefix: where it leads; the links on the way from there have lines of their own
            path = os.fsdecode(entry.target)
            rules.allow(path, os.path.realpath(path))
        if path.endswith(".py"):
            compiled.add(os.path.join(os.path.dirname(path), "__pycache__"))
        folders.add(os.path.dirname(path))
    rules.allow_tree(*compiled)
    # whoever lists a directory expects to find what is in it; nothing is given away by one that is empty
    rules.allow(*(path for folder in folders for path in _empty_directories(folder)))


def _empty_directories(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        return [path for path in found if _is_empty(path)]
    except OSError:
        return []


def _is_empty(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False
