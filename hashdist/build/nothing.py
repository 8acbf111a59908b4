"""Whether there is nothing to do, answered without reading a single object."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hashdist.store import index

if TYPE_CHECKING:
    from hashdist.objects.ids import CommitId
    from hashdist.store.store import Store


def all_sealed(store: Store, commit: CommitId) -> int | None:
    """How many artifacts a commit has, if it is known that all are sealed and they are still there; else None."""
    answer = index.read(store, index.SEALED, commit)
    if answer is None:
        return None
    artifacts = store.inside("artifacts") + "/"
    *paths, count = answer.splitlines() or [""]
    if count != str(len(paths)):
        return None  # cut short by a crash
    return len(paths) if all(os.path.exists(artifacts + path) for path in paths) else None


def remember_sealed(store: Store, commit: CommitId, paths: Iterable[str]) -> None:
    """Note that all artifacts of a commit, at these absolute paths, are sealed."""
    artifacts = os.path.join(store.config.path, "artifacts")
    lines = [os.path.relpath(path, artifacts) for path in paths]
    index.write(store, index.SEALED, commit, "\n".join([*lines, str(len(lines))]) + "\n")
