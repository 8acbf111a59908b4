"""Walk a profile's commits, newest first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from hashdist.objects.database import Commit, ObjectDatabase
from hashdist.objects.ids import CommitId, SpecId
from hashdist.refs.edges import EdgeReader


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


def touching(objects: ObjectDatabase, commits: Iterator[Commit], package: str) -> Iterator[Commit]:
    """Those of the commits in which a package's spec is another one than in the first parent."""
    edges = EdgeReader(objects)

    def spec(commit: CommitId | None) -> SpecId | None:
        return edges.specs(commit).get(package) if commit is not None else None

    for commit in commits:
        if spec(commit.id) != spec(commit.parents[0] if commit.parents else None):
            yield commit
