"""Why a package differs between two commits of profiles: traced to what was changed, by hand or by the host."""

from __future__ import annotations

from dataclasses import dataclass

from hashdist.errors import NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.refs.edges import EdgeReader
from hashdist.store.store import Store

from .comparing import Change, compare


@dataclass(frozen=True, slots=True)
class Explained:
    """A package that differs."""

    change: Change
    """How."""
    causes: tuple[str, ...]
    """The inputs of it that were changed themselves; empty if only it was."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one commit gives other artifacts than another."""

    causes: tuple[Change, ...]
    """What was changed itself: packages, and host software."""
    packages: tuple[Explained, ...]
    """The packages that differ, each with those of the causes that reach it."""


def explain(store: Store, old: CommitId, new: CommitId, package: str | None = None) -> Explanation:
    """Trace what differs to its causes; with `package` only that one's. Raises `NotFoundError` for an unknown one."""
    objects = store.objects
    changes = {change.name: change for change in compare(objects, old, new, refs=store.refs)}
    edges = EdgeReader(objects)
    known = edges.specs(old).keys() | edges.specs(new).keys()
    if package is not None and package not in known:
        raise NotFoundError(f"no package '{package}' in either of them", hint="see: hdist list")
    own = {name for name, change in changes.items() if not change.follows}
    explained = []
    for name, change in changes.items():
        if package in (None, name):
            inputs = {one for id in (change.old, change.new) if id is not None for one in edges.spec(id).inputs}
            explained.append(Explained(change, tuple(sorted((inputs & own) - {name}))))
    wanted = {cause for one in explained for cause in one.causes} | {one.change.name for one in explained} & own
    return Explanation(
        tuple(changes[name] for name in sorted(wanted)),
        tuple(one for one in explained if one.change.name not in own or one.causes),
    )
