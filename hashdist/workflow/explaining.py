"""Why packages differ: traced to what was changed, by hand or by the host, and what merely follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hashdist.errors import NotFoundError
from hashdist.objects.ids import CommitId, SpecId
from hashdist.refs import names
from hashdist.refs.edges import EdgeReader
from hashdist.stack.lock import Lock
from hashdist.store.store import Store

from .comparing import Change, Comparer, Side, compare

#: Commits that are looked at for one in which a package was built.
_FAR = 200


@dataclass(frozen=True, slots=True)
class Explained:
    """A package that differs."""

    change: Change
    """How."""
    causes: tuple[str, ...]
    """What was changed itself and reaches it through its inputs, near or far; empty if only it was."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one thing gives other artifacts than another."""

    causes: tuple[Change, ...]
    """What was changed itself: packages, and host software."""
    packages: tuple[Explained, ...]
    """The packages that merely follow, or follow too, each with those of the causes that reach it."""


def explain(store: Store, old: CommitId, new: CommitId, package: str | None = None) -> Explanation:
    """Trace what differs to its causes; with `package` only that one's. Raises `NotFoundError` for an unknown one."""
    objects = store.objects
    found = trace(compare(objects, old, new, refs=store.refs))
    if package is None:
        return found
    known = {**EdgeReader(objects).specs(old), **EdgeReader(objects).specs(new)}
    if package not in known:
        raise NotFoundError(f"no package '{package}' in either of them", hint="see: hdist list")
    return only(found, package)


def trace(changes: Sequence[Change]) -> Explanation:
    """Trace changes to their causes."""
    reached: dict[str, set[str]] = {change.name: set() for change in changes}
    followers: dict[str, list[str]] = {change.name: [] for change in changes}
    for change in changes:
        for name in change.via & followers.keys():
            followers[name].append(change.name)
    causes = tuple(change for change in changes if not change.follows)
    for cause in causes:
        pending = list(followers[cause.name])
        while pending:
            name = pending.pop()
            if name != cause.name and cause.name not in reached[name]:
                reached[name].add(cause.name)
                pending += followers[name]
    explained = (Explained(change, tuple(sorted(reached[change.name]))) for change in changes)
    return Explanation(causes, tuple(one for one in explained if one.change.follows or one.causes))


def only(found: Explanation, package: str) -> Explanation:
    """What of an explanation is about one package."""
    packages = tuple(one for one in found.packages if one.change.name == package)
    wanted = {package, *(cause for one in packages for cause in one.causes)}
    return Explanation(tuple(change for change in found.causes if change.name in wanted), packages)


def explain_artifact(store: Store, spec: SpecId) -> tuple[SpecId | None, Explanation]:
    """Why an artifact is not the one you have: of what is checked out, else of HEAD's profile, else the newest built.

    Also gives the spec of the one you have; None if there is none.
    """
    edges, comparer = EdgeReader(store.objects), Comparer(store.objects, refs=store.refs)
    name = edges.spec(spec).name
    commits = [store.refs.get(ref) for ref in (names.at_ref(names.DEFAULT_CHECKOUT), "HEAD")]
    known = [edges.specs(commit).get(name) for commit in commits if commit is not None]
    mine = next((one for one in known if one not in {None, spec}), None) or _newest(store, name, spec)
    if mine is None:
        return None, Explanation((), ())
    # what packages need to run stands in no spec: as far as it is known here
    requires = next((side.requires for commit in commits if commit and (side := comparer.side(commit)).requires), {})
    before, after = (Side(_closure(edges, one), requires) for one in (mine, spec))
    return mine, only(trace(comparer.sides(before, after)), name)


def _newest(store: Store, name: str, but: SpecId) -> SpecId | None:
    """The spec of the artifact of a name that was built last, another one than a certain one."""
    found = [
        (commit, one.spec) for one in store.artifacts.find(name) if (commit := store.artifacts.record_commit(one.spec))
    ]
    times = [(store.objects.commit(commit).time, spec) for commit, spec in found if spec != but]
    return max(times)[1] if times else None


def _closure(edges: EdgeReader, spec: SpecId) -> dict[str, SpecId]:
    """A spec with all that it is made with, by name."""
    found: dict[str, SpecId] = {}
    pending = {edges.spec(spec).name: spec}
    while pending:
        name, id = pending.popitem()
        if name not in found:
            found[name] = id
            pending |= {one: input for one, input in edges.spec(id).inputs.items() if one not in found}
    return found


def reasons_to_build(
    store: Store, lock: Lock, jobs: Sequence[str], since: CommitId | None
) -> dict[str, tuple[str, ...]]:
    """Why packages are to be built: what differs from the last commit, from `since` back, in which they were.

    Of each package its own changes, or the names of the causes that it follows; empty if it never was built there.
    """
    built: dict[CommitId, list[str]] = {}
    wanted = set(jobs)
    edges = EdgeReader(store.objects)
    for commit in _first_parents(store, since) if since is not None else ():
        there = edges.specs(commit)
        here = {name for name in wanted if name in there and edges.spec(there[name]).artifact in store.artifacts}
        if here:
            built[commit] = sorted(here)
            wanted -= here
        if not wanted:
            break
    found: dict[str, tuple[str, ...]] = dict.fromkeys(jobs, ())
    comparer = Comparer(store.objects, refs=store.refs)
    requires = {name: pin.requires for name, pin in lock.packages.items()}
    mine_now = Side(lock.specs, requires, frozenset(name for name, pin in lock.packages.items() if pin.build_only))
    for commit, mine in built.items():
        why = trace(comparer.sides(comparer.side(commit), mine_now))
        own = {change.name: change.details for change in why.causes}
        follows = {one.change.name: one.causes for one in why.packages}
        for name in mine:
            found[name] = (*own.get(name, ()), *(f"follows {cause}" for cause in follows.get(name, ())))
    return found


def _first_parents(store: Store, commit: CommitId) -> Iterator[CommitId]:
    for _ in range(_FAR):
        yield commit
        parents = store.objects.commit(commit).parents
        if not parents:
            break
        commit = parents[0]
