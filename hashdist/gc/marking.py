"""What is alive: everything that roots reach, what running commands use, and what died only lately.

If any ref, reflog or present object on the way cannot be read an error ends it: nothing is deleted on
half an answer.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hashdist.errors import DamagedError
from hashdist.objects.ids import CommitId, SourceId, SpecId
from hashdist.objects.libgit2 import ObjectMissingError
from hashdist.refs import names
from hashdist.refs.edges import EdgeReader, NotAProfileError
from hashdist.store.roots import running

if TYPE_CHECKING:
    from hashdist.store.store import Store

DEFAULT_GRACE = 14 * 24 * 3600


@dataclass(slots=True)
class Alive:
    """What gc must not take."""

    commits: set[CommitId] = field(default_factory=set)
    """Commits of profiles, with their history."""
    specs: set[SpecId] = field(default_factory=set)
    """Specs whose artifacts stay."""
    sources: set[SourceId] = field(default_factory=set)
    """Sources that stay."""
    prefixes: set[str] = field(default_factory=set)
    """Names of prefixes that links of checkouts lead to."""
    expired_undo: dict[str, CommitId] = field(default_factory=dict)
    """Refs under ``refs/undo/`` whose time is over."""


def mark(store: Store, *, grace: int) -> Alive:
    """Find all that is alive; what died less than `grace` seconds ago counts.

    Raises `DamagedError` when something on the way cannot be read.
    """
    try:
        return _mark(store, grace)
    except ObjectMissingError as error:
        raise DamagedError(
            f"what a ref names is not whole: {error.message}; nothing was deleted", hint=f"git -C {store.git} fsck"
        ) from error


def _mark(store: Store, grace: int) -> Alive:
    alive = Alive()
    at_work = running(store)
    since = store.now() - grace if grace else store.now() + 1  # without grace not even what died this second
    if at_work.since is not None:
        since = min(since, at_work.since)
    edges = EdgeReader(store.objects)
    for commit in _starts(store, alive, since):
        _walk(store, edges, commit, alive)
    for prefix in _linked_prefixes(store):
        alive.prefixes.add(prefix)
        alive.specs |= members(store.inside("prefixes", prefix))
    for spec in alive.specs:
        alive.sources.update(edges.spec(spec).sources.values())
    _mark_young(store, edges, alive, since)
    for spec in at_work.specs - alive.specs:
        alive.specs.add(spec)
        if spec in store.objects:
            alive.sources.update(edges.spec(spec).sources.values())
    return alive


def _starts(store: Store, alive: Alive, since: int) -> Iterator[CommitId]:
    """The commits that root refs name, and those they named until lately."""
    refs = store.refs.all("refs/")
    head = store.refs.get("HEAD")
    if head is not None:
        yield head
    for name, commit in refs.items():
        if name.startswith(names.UNDO) and _died(name) < since:
            alive.expired_undo[name] = commit
        elif name.startswith(names.ROOTS):
            yield commit
    for name in store.refs.reflog_names():
        if name == "HEAD" or name.startswith(names.ROOTS):
            for entry in store.refs.reflog(name):
                if entry.time >= since:
                    yield from (commit for commit in (entry.old, entry.new) if commit is not None)


def _died(undo_ref: str) -> int:
    """When the ref that an undo ref remembers was deleted: ``refs/undo/<seconds>/<name>``."""
    seconds = undo_ref[len(names.UNDO) :].partition("/")[0]
    return int(seconds) if seconds.isdigit() else 1 << 62


def _walk(store: Store, edges: EdgeReader, start: CommitId, alive: Alive) -> None:
    pending = [start]
    while pending:
        commit = pending.pop()
        if commit in alive.commits:
            continue
        alive.commits.add(commit)
        with contextlib.suppress(NotAProfileError):  # somebody's own commit: it keeps itself
            alive.specs.update(edges.specs(commit).values())
        pending += store.objects.commit(commit).parents


def _mark_young(store: Store, edges: EdgeReader, alive: Alive, since: int) -> None:
    """What was made lately may be about to be recorded, and stays with all it was made with."""
    for spec, commit in store.artifacts.all():
        if spec not in alive.specs and store.objects.commit(commit).time >= since:
            found = edges.spec(spec)
            alive.specs |= {spec, *found.inputs.values()}
            alive.sources.update(found.sources.values())
    for source in store.sources.all():
        log = store.refs.reflog(names.SOURCES + source)
        if not log or log[0].time >= since:
            alive.sources.add(source)


def _linked_prefixes(store: Store) -> Iterator[str]:
    """The prefixes that checkouts' links lead to, whatever the refs say."""
    folder = store.inside("checkouts")
    links = [store.inside("current"), *(os.readlink(os.path.join(folder, name)) for name in os.listdir(folder))]
    for link in links:
        try:
            yield os.path.basename(os.readlink(link).rstrip("/"))
        except OSError:
            continue


def members(prefix: str) -> set[SpecId]:
    """The specs that a prefix was made of; none if there is no such prefix. Raises `DamagedError`."""
    try:
        with open(os.path.join(prefix, ".hashdist.json"), encoding="utf-8") as file:
            return {SpecId(text.rpartition("/")[2]) for text in json.load(file)["artifacts"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        if not os.path.isdir(prefix):
            return set()
        raise DamagedError(
            f"prefix '{prefix}' does not say what it is made of: {error}", hint="move it away"
        ) from error
