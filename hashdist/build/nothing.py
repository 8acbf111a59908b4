"""Whether there is nothing to do, answered without reading a single object."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hashdist.store import index

#: What is known of all together: pure; or not, where nobody minds; or not, where somebody may.
_PURE, _LOOSE, _STRICT = _PURITIES = ("pure", "loose", "strict")

if TYPE_CHECKING:
    from hashdist.objects.ids import CommitId
    from hashdist.store.store import Store


def all_sealed(store: Store, commit: CommitId, *, strict: bool) -> int | None:
    """How many artifacts a commit has, if it is known that all are sealed and they are still there; else None.

    With `strict` only if it is also known that all are pure. A commit whose own stack file is strict is so always.
    """
    answer = index.read(store, index.SEALED, commit)
    if answer is None:
        return None
    artifacts = store.inside("artifacts") + "/"
    *paths, last = answer.splitlines() or [""]
    count, _, purity = last.partition(" ")
    if count != str(len(paths)) or purity not in _PURITIES:
        return None  # cut short by a crash
    if purity == _STRICT or (purity == _LOOSE and strict):
        return None
    return len(paths) if all(os.path.exists(os.path.join(artifacts, path)) for path in paths) else None


def gone_upstream(store: Store, commit: CommitId) -> list[str]:
    """The artifacts of a commit that were sealed upstream, and are not there any more: their paths."""
    *paths, _ = (index.read(store, index.SEALED, commit) or "").splitlines() or [""]
    return [path for path in paths if path.startswith("/") and not os.path.exists(path)]


def remember_sealed(store: Store, commit: CommitId, paths: Iterable[str], *, pure: bool, strict: bool) -> None:
    """Note that all artifacts of a commit, at these absolute paths, are sealed.

    `pure` tells whether all are known to be pure, which need not have been looked at; `strict` whether the stack file
    enforces the jail anywhere.
    """
    artifacts = os.path.join(store.config.path, "artifacts") + "/"
    # those of another store stay as they are
    lines = [path.removeprefix(artifacts) for path in paths]
    purity = _PURE if pure else _STRICT if strict else _LOOSE
    index.write(store, index.SEALED, commit, "\n".join([*lines, f"{len(lines)} {purity}"]) + "\n")
