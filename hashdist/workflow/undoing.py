"""Bring back what was deleted, while gc still keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from hashdist.errors import ConflictError, NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.store.store import Store


@dataclass(frozen=True, slots=True)
class Deleted:
    """A profile or tag that was deleted."""

    ref: str
    """What it was called, in full."""
    commit: CommitId
    """Where it was."""
    time: int
    """When it was deleted, in seconds since 1970."""
    memory: str
    """The ref that remembers it."""


def deleted(store: Store) -> list[Deleted]:
    """What can be brought back, the latest first."""
    found = []
    for memory, commit in store.refs.all(names.UNDO).items():
        when, _, name = memory[len(names.UNDO) :].partition("/")
        if f"refs/{name}".startswith((names.HEADS, names.TAGS, names.PINS)):
            seconds, _, count = when.partition("-")
            log = store.refs.reflog(memory)
            order = log[0].time if log else int(seconds) if seconds.isdigit() else 0
            found.append((order, int(count) if count.isdigit() else 0, Deleted(f"refs/{name}", commit, order, memory)))
    return [one for _, _, one in sorted(found, key=lambda found: (-found[0], -found[1]))]


def bring_back(store: Store, name: str | None) -> Deleted:
    """Bring back a deleted profile or tag by its name, or the one that was deleted last.

    Raises `NotFoundError`, or `ConflictError` when there is one of that name again.
    """
    with store.lock(shared=True, purpose="undo"):  # not while gc is taking it
        return _bring_back(store, name)


def _bring_back(store: Store, name: str | None) -> Deleted:
    found = deleted(store)
    if name is not None:
        found = [one for one in found if name in {one.ref, names.short_name(one.ref)}]
    if not found:
        words = f"nothing named '{name}' was deleted lately" if name else "nothing was deleted lately"
        raise NotFoundError(words, hint="hdist undo --list; gc forgets after its grace period")
    one = found[0]
    if store.refs.get(one.ref) is not None:
        raise ConflictError(
            f"there is a '{names.short_name(one.ref)}' again",
            hint=f"hdist branch OTHER-NAME {one.commit[:12]} brings it back beside",
        )
    with store.refs.transaction(f"undo: delete {names.short_name(one.ref)}") as transaction:
        transaction.update(one.ref, one.commit, old=None)
        transaction.carry_log(one.memory, one.ref)
        transaction.delete(one.memory, old=one.commit)
    return one
