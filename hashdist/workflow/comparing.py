"""What differs between two commits of profiles, package by package; and what of it was changed, what merely follows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hashdist.hostscan.comparing import package_changes
from hashdist.hostscan.scans import scan_with
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId, SpecId
from hashdist.refs.database import RefDatabase
from hashdist.refs.edges import EdgeReader

from .differences import Differences, SpecDocument, differences
from .profile import LOCK

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
    """What changed in it, a line each."""
    follows: bool
    """Whether only its inputs changed."""
    via: frozenset[str] = field(default_factory=frozenset)
    """The inputs of it that changed, or came or went because others require them."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two things that are compared: specs by name, and what packages need to run."""

    specs: Mapping[str, SpecId]
    """Packages and host entries."""
    requires: Requires
    """Where it is known."""

    @classmethod
    def of(cls, objects: ObjectDatabase, commit: CommitId) -> Side:
        """What a commit of a profile names; raises `NotFoundError`."""
        return cls(EdgeReader(objects).specs(commit), _requires(objects, commit))


def compare(objects: ObjectDatabase, old: CommitId, new: CommitId, *, refs: RefDatabase | None = None) -> list[Change]:
    """The changes from one commit to another, sorted by name; equal specs are not looked into.

    With `refs`, host scans among them tell which packages of the host made the difference.
    """
    if objects.commit(old).tree == objects.commit(new).tree:
        return []
    return compare_sides(objects, Side.of(objects, old), Side.of(objects, new), refs=refs)


def compare_sides(
    objects: ObjectDatabase, before: Side, after: Side, *, refs: RefDatabase | None = None
) -> list[Change]:
    """The changes from one side to another, sorted by name."""
    found = []
    for name in sorted(before.specs.keys() | after.specs.keys()):
        one, two = before.specs.get(name), after.specs.get(name)
        needs = _needs(before.requires.get(name), after.requires.get(name))
        if one == two and not (needs and one is not None):
            continue
        there = two or one
        assert there is not None, "a name is on one side at least"
        if one is None or two is None:
            kind = "added" if one is None else "removed"
            version = str(SpecDocument(objects, there).fields.get("version"))
            found.append(Change(name, kind, one, two, (version,), follows=False))
        elif one == two:
            found.append(Change(name, "changed", one, two, needs, follows=False))
        else:
            found.append(_changed(objects, refs, name, before, after, needs))
    return found


def _changed(
    objects: ObjectDatabase, refs: RefDatabase | None, name: str, before: Side, after: Side, needs: tuple[str, ...]
) -> Change:
    one, two = before.specs[name], after.specs[name]
    documents = SpecDocument(objects, one), SpecDocument(objects, two)
    found = differences(objects, *documents)
    declared = sorted(
        [*_declared(found.came, documents[1], after.requires), *_declared(found.went, documents[0], before.requires)]
    )
    own = [*found.lines, *needs, *(f"input {other}: {_side_of(other, found)}" for other in declared)]
    if refs is not None and "host" in documents[1].fields:
        own = list(dict.fromkeys([*_host_packages(refs, objects, name, one, two), *own]))
    bringing = {
        *_bringing(found.came, documents[1], after.requires),
        *_bringing(found.went, documents[0], before.requires),
    }
    via = (found.changed | found.came | found.went | bringing) - set(declared)
    rest = [line for line in found.inputs if line.split(" ", 2)[1].rstrip(":") not in declared]
    return Change(name, "changed", one, two, (*own, *rest), not own, frozenset(via))


def _side_of(name: str, found: Differences) -> str:
    return "added" if name in found.came else "removed"


def _declared(inputs: frozenset[str], document: SpecDocument, requires: Requires) -> Iterator[str]:
    """Those inputs that no other input brings along because it needs them to run."""
    brought = {need for other in document.inputs for need in requires.get(other, ())}
    return (name for name in inputs if name not in brought)


def _bringing(inputs: frozenset[str], document: SpecDocument, requires: Requires) -> Iterator[str]:
    """The inputs that bring others along."""
    return (other for other in document.inputs if not inputs.isdisjoint(requires.get(other, ())))


def _needs(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> tuple[str, ...]:
    """What changed of what a package needs to run."""
    if old is None or new is None or set(old) == set(new):
        return ()
    return (
        *(f"requires - {name}" for name in old if name not in new),
        *(f"requires + {name}" for name in new if name not in old),
    )


def _requires(objects: ObjectDatabase, commit: CommitId) -> Requires:
    """What the packages of a commit need to run: the lock, read for that alone."""
    entry = objects.find(objects.commit(commit).tree, LOCK)
    if entry is None:
        return {}
    try:
        packages = json.loads(objects.blob(entry.id))["packages"]
        return {name: tuple(pin["requires"]) for name, pin in packages.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # of another format: what is written there is not needed to tell specs apart


def _host_packages(refs: RefDatabase, objects: ObjectDatabase, name: str, old: SpecId, new: SpecId) -> Iterator[str]:
    """The packages of the host that are of other versions, if both captures were recorded here."""
    before, after = (scan_with(refs, objects, name, spec) for spec in (old, new))
    if before is not None and after is not None:
        for change in package_changes(before, after):
            yield f"package {change.name}: {change.old or '(none)'} → {change.new or '(none)'}"
