"""The roots of a store: what keeps things alive, and until when."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashdist.fsutil.clock import time_text
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.store.checkouts import registered
from hashdist.store.readers import Pin, pins
from hashdist.store.roots import Running

from .policy import DAY, Policy
from .processes import seen

if TYPE_CHECKING:
    from hashdist.store.store import Store

#: The end of the year 9999, which is never.
_END = 253402300799
_KINDS = {
    names.HEADS: "profile",
    names.TAGS: "tag",
    names.HOSTS: "host scan",
    names.CHECKOUTS: "checkout",
    names.PINS: "pin",
    names.MERGING: "merge that is not done",
    names.BISECT: "bisection",
}


@dataclass(frozen=True, slots=True)
class Root:
    """Something that keeps things alive."""

    kind: str
    """What it is: 'profile', 'tag', 'host scan', 'checkout', 'pin', 'link', 'reader', 'process' or 'command'; and what
    keeps for a time only: 'deleted', 'reflog' or 'new'."""
    name: str
    """Which, in words for people."""
    until: int | None = None
    """When its time is over, in seconds since 1970; None: it stays until somebody takes it away."""

    def __str__(self) -> str:
        """Give the words."""
        return f"{self.kind} {self.name}" + (f", until {time_text(self.until)}" if self.until is not None else "")


@dataclass(frozen=True, slots=True)
class Horizon:
    """From when on things are young."""

    died: float
    """What became unreachable later stays."""
    reflog: float
    """Moves that were made later keep what they name."""
    policy: Policy
    """What says so."""
    at_work: Running
    """Running commands: what was made since they began is young, too."""

    def until(self, since: float, age: float) -> int:
        """When the time of something is over that died at `since` and may stay for `age` seconds."""
        return int(min(since + age, _END))


def horizon(now: int, policy: Policy, at_work: Running) -> Horizon:
    """From when on things are young; without grace not even what died this second is, unless a command runs."""
    died: float = now - policy.grace if policy.grace else now + 1
    reflog = now - policy.reflog_age if policy.reflog_age else now + 1
    if at_work.since is not None:
        died, reflog = min(died, at_work.since), min(reflog, at_work.since)
    return Horizon(died, reflog, policy, at_work)


def firm_refs(store: Store, refs: Mapping[str, CommitId]) -> Iterator[tuple[Root, CommitId]]:
    """The refs that keep what they name for as long as they are there."""
    head = store.refs.get("HEAD")
    if head is not None:
        yield Root("checkout", names.DEFAULT_CHECKOUT), head
    places = registered(store)
    for name, commit in refs.items():
        kind = next((kind for prefix, kind in _KINDS.items() if name.startswith(prefix)), None)
        if kind == "checkout":
            checkout = name[len(names.CHECKOUTS) :].split("/")[0]
            yield Root(kind, places.get(checkout, checkout)), commit
        elif kind is not None:
            yield Root(kind, names.short_name(name).removeprefix(f"{kind.split()[0]}s/")), commit


def deleted(store: Store, refs: Mapping[str, CommitId], time: Horizon) -> Iterator[tuple[Root | None, str, CommitId]]:
    """The refs that remember deleted profiles and tags; without a root those whose time is over."""
    for moment_and_what, commit in names.below(names.UNDO, refs).items():
        name = names.UNDO + moment_and_what
        died = _died(store, name)
        _, _, what = moment_and_what.partition("/")
        root = Root("deleted", _of_undo(what), time.until(died, time.policy.grace)) if died >= time.died else None
        yield root, name, commit


def _of_undo(what: str) -> str:
    kind, _, name = what.partition("/")
    return {"heads": name, "tags": f"tag {name}", "pins": f"pin {name}"}.get(kind, f"{kind} {name}")


def _died(store: Store, undo_ref: str) -> float:
    """When what an undo ref remembers was deleted: when that was made, else what its name says."""
    moved = store.refs.last_moved(undo_ref)
    if moved is not None:
        return moved
    seconds = undo_ref[len(names.UNDO) :].partition("/")[0].partition("-")[0]
    return int(seconds) if seconds.isdigit() else 1 << 62


def reflogs(store: Store, time: Horizon) -> Iterator[tuple[Root, CommitId]]:
    """What roots named until lately."""
    for name in store.refs.reflog_names(names.ROOTS):
        entries = store.refs.reflog(name)
        # the file's own time is right even where the clock that the lines were written by was not
        moved = store.refs.last_moved(name)
        shift = moved - entries[0].time if entries and moved is not None else 0
        shift = shift if abs(shift) > DAY else 0
        for entry in entries:
            when = entry.time + shift
            if when >= time.reflog:
                root = Root("reflog", names.short_name(name), time.until(when, time.policy.reflog_age))
                yield from ((root, commit) for commit in (entry.old, entry.new) if commit is not None)


def links(store: Store) -> Iterator[tuple[Root, str]]:
    """The prefixes that links of checkouts lead to, whatever the refs say."""
    for path in registered(store).values():
        try:
            target = os.readlink(path)
        except OSError:
            continue
        yield Root("link", path), os.path.basename(target.rstrip("/"))


def readers(store: Store) -> Iterator[tuple[Root, Pin]]:
    """What readers of a shared store use."""
    for pin in pins(store):
        yield Root("reader", f"{pin.store} ({os.path.basename(pin.path)})"), pin


def processes(store: Store) -> Iterator[tuple[Root, str]]:
    """What processes of this machine use: paths relative to the store."""
    for use in seen(store.config.path):
        yield Root("process", f"{use.pid} ({use.name})"), use.path
