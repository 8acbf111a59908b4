"""What is alive: everything that roots reach, what is in use, and what died only lately.

If any ref, reflog or present object on the way cannot be read an error ends it: nothing is deleted on
half an answer. What is marked remembers what led to it, so that anybody can be told why it is there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hashdist.errors import DamagedError
from hashdist.objects.ids import CommitId, SourceId, SpecId
from hashdist.objects.libgit2 import ObjectMissingError
from hashdist.objects.record import read_record
from hashdist.refs import names
from hashdist.refs.edges import EdgeReader
from hashdist.stack.lock import Lock
from hashdist.store.roots import Running, running

from . import roots
from .policy import Policy
from .roots import Horizon, Root

if TYPE_CHECKING:
    from hashdist.store.store import Store

_PREFIX = re.compile("[0-9a-f]{32}")
#: What led to something: a root, or something else that is alive.
Origin = Root | CommitId | SpecId | str


@dataclass(slots=True)
class Alive:
    """What gc must not take, each with what led to it."""

    at_work: Running
    """Running commands."""
    horizon: Horizon
    """From when on things are young."""
    refs: dict[str, CommitId]
    """All refs, as they are."""
    artifacts: dict[SpecId, CommitId] = field(init=False)
    """Those of them that are records of artifacts: specs and commits."""
    commits: dict[CommitId, Origin] = field(default_factory=dict)
    """Commits of profiles, with their history."""
    specs: dict[SpecId, Origin] = field(default_factory=dict)
    """Specs whose artifacts stay."""
    sources: dict[SourceId, Origin] = field(default_factory=dict)
    """Sources that stay."""
    prefixes: dict[str, Origin] = field(default_factory=dict)
    """Names of prefixes that links and processes lead to."""
    expired_undo: dict[str, CommitId] = field(default_factory=dict)
    """Refs under ``refs/undo/`` whose time is over."""

    def __post_init__(self) -> None:
        """Find the records."""
        self.artifacts = {SpecId(id): commit for id, commit in names.below(names.ARTIFACTS, self.refs).items()}

    def chain(self, origin: Origin) -> list[Origin]:
        """What leads to something, beginning with the root."""
        found = [origin]
        while not isinstance(found[0], Root):
            one = found[0]
            before: Origin
            if isinstance(one, CommitId):
                before = self.commits[one]
            else:
                before = self.specs[one] if isinstance(one, SpecId) else self.prefixes[one]
            found.insert(0, before)
        return found

    def root(self, origin: Origin) -> Root:
        """The root that something is alive for."""
        first = self.chain(origin)[0]
        assert isinstance(first, Root), "a chain begins with one"
        return first


def mark(store: Store, policy: Policy) -> Alive:
    """Find all that is alive.

    Raises `DamagedError` when something on the way cannot be read.
    """
    at_work = running(store)
    marking = _Marking(store, policy, at_work)
    try:
        marking.mark()
    except ObjectMissingError as error:
        raise DamagedError(
            f"what a ref names is not whole: {error.message}; nothing was deleted", hint="hdist verify --repair"
        ) from error
    return marking.alive


class _Marking:
    def __init__(self, store: Store, policy: Policy, at_work: Running) -> None:
        self.store = store
        self.policy = policy
        self.time = roots.horizon(store.now(), policy, at_work)
        self.alive = Alive(at_work, self.time, store.refs.all())
        self.edges = EdgeReader(store.objects)
        self._whole: set[CommitId] = set()
        """Commits that keep their artifacts."""
        self._runtime: dict[SpecId, tuple[SpecId, ...]] = {}

    def mark(self) -> None:
        """Mark what is sure to stay first, so that what is left is held by what comes then."""
        refs = self.alive.refs
        firm = list(roots.firm_refs(self.store, refs))
        full = self._full_commits(firm) if self.policy.thins_history else None
        for root, commit in firm:
            self._walk(root, self.edges.peeled(commit), full)
        for root, prefix in roots.links(self.store):
            self._prefix(root, prefix)
        for root, pin in roots.readers(self.store):
            if pin.prefix is not None:
                self._prefix(root, os.path.basename(pin.prefix))
            here = [spec for spec in sorted(pin.specs) if self.store.artifacts.own_record(spec) is not None]
            for spec in self._referred(here):
                self.alive.specs.setdefault(spec, root)
        for root, path in roots.processes(self.store):
            self._path(root, path)
        self._at_work()
        for found, name, commit in roots.deleted(self.store, refs, self.time):
            if found is None:
                self.alive.expired_undo[name] = commit
            else:
                self._walk(found, self.edges.peeled(commit), self._only(commit))
        for root, commit in roots.reflogs(self.store, self.time):
            self._walk(root, self.edges.peeled(commit), self._only(commit))
        self._sources()
        self._young()

    def _full_commits(self, firm: list[tuple[Root, CommitId]]) -> set[CommitId]:
        """The commits that keep their artifacts although history is thinned."""
        store, policy = self.store, self.policy
        full = {self.edges.peeled(commit) for _, commit in firm}
        since = store.now() - policy.older_than if policy.older_than is not None else None
        for root, tip in firm:
            if root.kind != "profile":
                continue
            commit: CommitId | None = self.edges.peeled(tip)
            count = 0
            while commit is not None:
                read = store.objects.commit(commit)
                young = since is not None and read.time >= since
                if not young and count >= (policy.keep_last or 0):
                    break
                full.add(commit)
                count += 1
                commit = read.parents[0] if read.parents else None
        return full

    def _walk(self, root: Root, start: CommitId, full: set[CommitId] | None) -> None:
        """Mark a commit with its history; where `full` says so only some with their artifacts."""
        alive = self.alive
        pending: list[tuple[CommitId, Origin]] = [(start, root)]
        while pending:
            commit, origin = pending.pop()
            whole = full is None or commit in full or root.kind == "host scan"
            known = commit in alive.commits
            if known and (not whole or commit in self._whole):
                continue
            named = self.edges.named(commit)
            if known:  # it had lost its artifacts
                self._whole.add(commit)
                self._specs(commit, named.specs.values(), whole=not named.is_profile)
                continue
            alive.commits[commit] = origin
            if named.source is not None:
                alive.sources.setdefault(named.source, commit)
            if whole:
                self._whole.add(commit)
                self._specs(commit, named.specs.values(), whole=not named.is_profile)
            else:
                for spec in named.specs.values():
                    for source in self.edges.sources(spec):
                        alive.sources.setdefault(source, commit)
            if named.is_profile:
                pending += [(parent, commit) for parent in self.store.objects.commit(commit).parents]

    def _only(self, commit: CommitId) -> set[CommitId] | None:
        """Of what is kept for a time only itself keeps its artifacts, where history is thinned."""
        return {self.edges.peeled(commit)} if self.policy.thins_history else None

    def _specs(self, commit: CommitId, specs: Iterable[SpecId], *, whole: bool) -> None:
        """Mark what a commit names; `whole`: it does not name all that its artifacts refer to."""
        wanted = list(specs)
        if whole:
            wanted = self._referred(wanted)
        if self.policy.drop_build_inputs:
            for spec in wanted:
                for source in self.edges.sources(spec):
                    self.alive.sources.setdefault(source, commit)
            wanted = self._needed_to_run(commit, wanted)
        for spec in wanted:
            self.alive.specs.setdefault(spec, commit)

    def _needed_to_run(self, commit: CommitId, specs: list[SpecId]) -> list[SpecId]:
        """Those of a commit's specs that its prefix holds, and what their files refer to."""
        objects = self.store.objects
        entry = objects.find(objects.commit(commit).tree, "lock.json")
        if entry is None:
            return specs  # a host scan, or somebody's own
        lock = Lock.decode(objects.blob(entry.id))
        return self._referred([lock.specs[name] for name in lock.prefix_names()])

    def _referred(self, specs: list[SpecId]) -> list[SpecId]:
        found: dict[SpecId, None] = {}
        pending = list(specs)
        while pending:
            spec = pending.pop()
            if spec not in found:
                found[spec] = None
                pending += self._references(spec)
        return list(found)

    def _references(self, spec: SpecId) -> tuple[SpecId, ...]:
        if spec not in self._runtime:
            commit = self.store.artifacts.record_commit(spec)
            self._runtime[spec] = read_record(self.store.objects, commit)[0].references if commit else ()
        return self._runtime[spec]

    def _prefix(self, root: Root, name: str) -> None:
        if not _PREFIX.fullmatch(name):
            return
        self.alive.prefixes.setdefault(name, root)
        for spec in self._referred(sorted(members(self.store.inside("prefixes", name)))):
            self.alive.specs.setdefault(spec, name)

    def _path(self, root: Root, path: str) -> None:
        """Mark what a process has by its path."""
        kind, _, rest = path.partition("/")
        if kind == "prefixes":
            self._prefix(root, rest.split("/")[0])
            return
        layout = self.store.config.layout
        digits = layout.hash_in("/".join(rest.split("/")[: layout.depth]))
        for spec in self.alive.artifacts if digits else ():
            if spec.startswith(digits or "-"):
                for one in self._referred([spec]):
                    self.alive.specs.setdefault(one, root)

    def _at_work(self) -> None:
        words = ", ".join(map(str, self.alive.at_work.holders))
        for spec in self._referred(sorted(self.alive.at_work.specs)):
            self.alive.specs.setdefault(spec, Root("command", words))

    def _sources(self) -> None:
        for spec in self.alive.specs:
            if spec in self.store.objects:
                for source in self.edges.sources(spec):
                    self.alive.sources.setdefault(source, spec)

    def _young(self) -> None:
        """What was made lately may be about to be recorded, and stays with all it was made with."""
        store, alive, time = self.store, self.alive, self.time
        for spec, commit in alive.artifacts.items():
            if spec in alive.specs:
                continue
            made = store.refs.last_moved(names.ARTIFACTS + spec)
            made = store.objects.commit(commit).time if made is None else made
            if made >= time.died:
                found = self.edges.spec(spec)
                root = Root("new", str(found.artifact), time.until(made, self.policy.grace))
                alive.specs[spec] = root
                for one in self._referred([spec, *found.inputs.values()]):
                    alive.specs.setdefault(one, spec)
                for source in found.sources.values():
                    alive.sources.setdefault(source, spec)
        for source in map(SourceId, names.below(names.SOURCES, alive.refs)):
            wanted = store.refs.last_moved(names.SOURCES + source)
            if source not in alive.sources and wanted is not None and wanted >= time.died:
                alive.sources[source] = Root("new", f"source {source}", time.until(wanted, self.policy.grace))


def read_prefix(prefix: str) -> dict[str, Any]:
    """What a prefix says of itself; raises `OSError` or `ValueError`."""
    with open(os.path.join(prefix, ".hashdist.json"), encoding="utf-8") as file:
        document: dict[str, Any] = json.load(file)
    return document


def members(prefix: str) -> set[SpecId]:
    """The specs that a prefix was made of; none if there is no such prefix. Raises `DamagedError`."""
    try:
        return {SpecId(text.rpartition("/")[2]) for text in read_prefix(prefix)["artifacts"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        if not os.path.isdir(prefix):
            return set()
        raise DamagedError(
            f"prefix '{prefix}' does not say what it is made of: {error}", hint="hdist verify --repair"
        ) from error
