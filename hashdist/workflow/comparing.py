"""What differs between two commits of profiles, package by package; and what of it was changed, what merely follows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId, SpecId
from hashdist.objects.tree import Mode, ids_by_name
from hashdist.refs.database import RefDatabase
from hashdist.refs.edges import EdgeReader

from .differences import Differences, SpecDocument, differences
from .profile import LOCK, SPECS

#: What a package needs to run, by name.
Requires = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Change:
    """A package or host entry that is not the same."""

    name: str
    """Which one."""
    kind: str
    """'added', 'removed' or 'changed'."""
    old: SpecId | None
    """Its spec before."""
    new: SpecId | None
    """Its spec after."""
    details: tuple[str, ...]
    """What was changed in it itself, a line each."""
    follows: bool
    """Whether only its inputs changed."""
    inputs: tuple[str, ...] = ()
    """What of its inputs is not the same because something else was changed, likewise."""
    via: frozenset[str] = field(default_factory=frozenset)
    """The inputs of it that changed, or came or went because others require them."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two things that are compared: specs by name, and what packages need to run."""

    specs: Mapping[str, SpecId]
    """Packages and host entries."""
    requires: Requires
    """Where it is known."""
    build_only: frozenset[str] = frozenset()
    """What prefixes leave out."""


def compare(objects: ObjectDatabase, old: CommitId, new: CommitId, *, refs: RefDatabase | None = None) -> list[Change]:
    """The changes from one commit to another; see `Comparer`."""
    return Comparer(objects, refs=refs).commits(old, new)


class Comparer:
    """Tells what differs; what it has read once it knows, so that a whole history is quick to go through.

    With `refs`, host scans among them tell which packages of the host made the difference.
    """

    def __init__(self, objects: ObjectDatabase, *, refs: RefDatabase | None = None) -> None:
        self._objects = objects
        self._refs = refs
        self._edges = EdgeReader(objects)
        self._sides: dict[CommitId, Side] = {}
        self._documents: dict[SpecId, SpecDocument] = {}
        self._trees: dict[str, Mapping[str, SpecId]] = {}
        self._ids: dict[bytes, SpecId] = {}

    def commits(self, old: CommitId, new: CommitId) -> list[Change]:
        """The changes from one commit to another, sorted by name; equal specs are not looked into.

        Raises `NotFoundError` for a commit that is none of a profile.
        """
        if self._objects.commit(old).tree == self._objects.commit(new).tree:
            return []
        return self.sides(self.side(old), self.side(new))

    def side(self, commit: CommitId) -> Side:
        """What a commit of a profile names; raises `NotFoundError`."""
        if commit not in self._sides:
            self._sides[commit] = Side(self._specs(commit), *self._lock(commit))
        return self._sides[commit]

    def sides(self, before: Side, after: Side) -> list[Change]:
        """The changes from one side to another, sorted by name."""
        names = {name for name, _ in before.specs.items() ^ after.specs.items()}
        if before.requires is not after.requires:
            known = (before.requires.keys() | after.requires.keys()) & before.specs.keys() & after.specs.keys()
            names |= {name for name in known if before.requires.get(name) != after.requires.get(name)}
        names |= (before.build_only ^ after.build_only) & before.specs.keys() & after.specs.keys()
        return [change for name in sorted(names) if (change := self._change(name, before, after)) is not None]

    def _change(self, name: str, before: Side, after: Side) -> Change | None:
        one, two = before.specs.get(name), after.specs.get(name)
        there = two or one
        assert there is not None, "a name is on one side at least"
        if one is None or two is None:
            kind = "added" if one is None else "removed"
            version = str(self._document(there).fields.get("version"))
            return Change(name, kind, one, two, (version,), follows=False)
        needs = _needs(before.requires.get(name), after.requires.get(name))
        if (name in before.build_only) != (name in after.build_only):
            needs = (*needs, "build-only" if name in after.build_only else "no longer build-only")
        if one == two:
            return Change(name, "changed", one, two, needs, follows=False) if needs else None
        return self._changed(name, before, after, needs)

    def _changed(self, name: str, before: Side, after: Side, needs: tuple[str, ...]) -> Change:
        one, two = before.specs[name], after.specs[name]
        old, new = self._document(one), self._document(two)
        found = differences(self._objects, old, new)
        declared = sorted([*_declared(found.came, new, after.requires), *_declared(found.went, old, before.requires)])
        own = [*found.lines, *needs, *(f"input {other}: {_side_of(other, found)}" for other in declared)]
        if self._refs is not None and "host" in new.fields:
            own = list(dict.fromkeys([*_host_packages(self._refs, self._objects, name, one, two), *own]))
        bringing = {*_bringing(found.came, new, after.requires), *_bringing(found.went, old, before.requires)}
        via = (found.changed | found.came | found.went | bringing) - set(declared)
        rest = [line for line in found.inputs if line.split(" ", 2)[1].rstrip(":") not in declared]
        return Change(name, "changed", one, two, tuple(own), not own, tuple(rest), frozenset(via))

    def _document(self, id: SpecId) -> SpecDocument:
        if id not in self._documents:
            self._documents[id] = SpecDocument(self._objects, id)
        return self._documents[id]

    def _specs(self, commit: CommitId) -> Mapping[str, SpecId]:
        """The specs of a commit; read quickly, since most of them are those of the commit before."""
        entry = self._objects.find(self._objects.commit(commit).tree, SPECS)
        if entry is None or entry.mode is not Mode.DIRECTORY:
            return self._edges.specs(commit)
        if entry.id not in self._trees:
            found = ids_by_name(self._objects.raw_tree(entry.id))
            self._ids |= {id: SpecId(id.hex()) for id in found.values() if id not in self._ids}
            self._trees[entry.id] = {name.decode(): self._ids[id] for name, id in found.items()}
        return self._trees[entry.id]

    def _lock(self, commit: CommitId) -> tuple[Requires, frozenset[str]]:
        """What the packages of a commit need to run, and which are build-only: the lock, read for that alone."""
        entry = self._objects.find(self._objects.commit(commit).tree, LOCK)
        if entry is None:
            return _NOTHING, frozenset()
        data = self._objects.blob(entry.id)
        if not _TELLING.search(data):
            return _NOTHING, frozenset()  # mostly so, and then the whole of it need not be taken apart
        try:
            packages = json.loads(data)["packages"]
            requires = {name: tuple(pin["requires"]) for name, pin in packages.items()}
            return requires, frozenset(name for name, pin in packages.items() if pin["build_only"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return _NOTHING, frozenset()  # of another format: it is not needed to tell specs apart


#: A package that needs another to run, or that prefixes leave out, as it stands in a lock.
_TELLING = re.compile(rb'"requires": \[[^\]]|"build_only": true')
_NOTHING: Requires = {}


def _side_of(name: str, found: Differences) -> str:
    return "added" if name in found.came else "removed"


def _declared(inputs: frozenset[str], document: SpecDocument, requires: Requires) -> Iterator[str]:
    """Those inputs that no other input brings along because it needs them to run."""
    if not inputs:
        return
    covered = run_closure(requires, document.inputs.keys() - inputs)
    brought = {need for other in inputs for need in requires.get(other, ()) if need != other}
    # of those that need each other, one is what was written down
    for name in sorted(inputs, key=lambda name: (name in brought, name)):
        if name not in covered:
            covered |= run_closure(requires, [name])
            yield name


def run_closure(requires: Requires, names: Iterable[str]) -> set[str]:
    """These names, what they need to run, and so on."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += requires.get(name, ())
    return found


def _bringing(inputs: frozenset[str], document: SpecDocument, requires: Requires) -> Iterator[str]:
    """The inputs that bring others along."""
    if not inputs:
        return iter(())
    return (other for other in document.inputs if not inputs.isdisjoint(requires.get(other, ())))


def _needs(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> tuple[str, ...]:
    """What changed of what a package needs to run."""
    before, after = old or (), new or ()
    return (
        *(f"requires - {name}" for name in before if name not in after),
        *(f"requires + {name}" for name in after if name not in before),
    )


def _host_packages(refs: RefDatabase, objects: ObjectDatabase, name: str, old: SpecId, new: SpecId) -> Iterator[str]:
    """The packages of the host that are of other versions, if both captures were recorded here."""
    # what scans hosts takes longer to load than most comparisons take
    from hashdist.hostscan.comparing import package_changes  # noqa: PLC0415
    from hashdist.hostscan.scans import scan_with  # noqa: PLC0415

    before, after = (scan_with(refs, objects, name, spec) for spec in (old, new))
    if before is not None and after is not None:
        for change in package_changes(before, after):
            yield f"package {change.name}: {change.old or '(none)'} → {change.new or '(none)'}"
