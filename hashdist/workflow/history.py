"""Walk a profile's commits, newest first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hashdist import process
from hashdist.objects.commits import Commit
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId
from hashdist.store.store import Store

from .profile import SPECS


def walk(objects: ObjectDatabase, start: CommitId, *, stop: CommitId | None = None) -> Iterator[Commit]:
    """All commits that `start` leads to, newest first; without `stop` and what that leads to."""
    hidden = {commit.id for commit in walk(objects, stop)} if stop is not None else set()
    seen = {start}
    count = 0
    first = objects.commit(start)
    heap = [(-first.time, count, first)]
    while heap:
        commit = heapq.heappop(heap)[2]
        if commit.id in hidden:
            continue
        yield commit
        for parent in commit.parents:
            if parent not in seen:
                seen.add(parent)
                count += 1
                found = objects.commit(parent)
                heapq.heappush(heap, (-found.time, count, found))


def touching(
    store: Store, start: CommitId, packages: Sequence[str], *, stop: CommitId | None = None
) -> Iterator[Commit]:
    """Those commits that `start` leads to which changed packages' specs, as git finds those that changed a path."""
    command = ["git", "rev-list", start, *([f"^{stop}"] if stop is not None else []), "--", *_paths(packages)]
    for line in process.run(command, env=store.git_env()).decode().split():
        yield store.objects.commit(CommitId(line))


def _paths(packages: Sequence[str]) -> list[str]:
    return [f":(literal){SPECS}/{package}" for package in packages]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line of the graph of commits, as git draws it."""

    drawing: str
    """The drawing, with a ``*`` for the commit if it is a commit's line."""
    commit: CommitId | None
    """The commit of this line; None for a line of drawing alone."""


def graph(store: Store, start: CommitId, *, stop: CommitId | None = None, packages: Sequence[str] = ()) -> list[Drawn]:
    """The graph of all commits that `start` leads to, without `stop` and what that leads to; drawn by git."""
    command = [
        "git",
        "log",
        "--graph",
        "--format=%x00%H",
        start,
        *([f"^{stop}"] if stop is not None else []),
        "--",
        *_paths(packages),
    ]
    found = []
    for line in process.run(command, env=store.git_env()).decode().splitlines():
        drawing, null, id = line.partition("\0")
        found.append(Drawn(drawing, CommitId(id.strip()) if null else None))
    return found
