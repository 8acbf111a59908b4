"""What differs between two commits of profiles, package by package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hashdist.hostscan.comparing import package_changes
from hashdist.hostscan.scans import scan_with
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId, SpecId
from hashdist.objects.spec import Spec
from hashdist.refs.database import RefDatabase
from hashdist.refs.edges import EdgeReader


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


def compare(objects: ObjectDatabase, old: CommitId, new: CommitId, *, refs: RefDatabase | None = None) -> list[Change]:
    """The changes from one commit to another, sorted by name; equal specs are not looked into.

    With `refs`, host scans among them tell which packages of the host made the difference.
    """
    edges = EdgeReader(objects)
    before, after = edges.specs(old), edges.specs(new)
    found = []
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        if one == two:
            continue
        if one is None or two is None:
            there = two or one
            assert there is not None, "a name is on one side at least"
            spec = edges.spec(there)
            kind = "added" if one is None else "removed"
            found.append(Change(name, kind, one, two, (spec.version,), follows=False))
        else:
            details = tuple(_details(edges.spec(one), edges.spec(two)))
            if refs is not None and edges.spec(two).host is not None:
                details = tuple(dict.fromkeys([*_host_packages(refs, objects, name, one, two), *details]))
            follows = all(line.startswith("input ") for line in details)
            found.append(Change(name, "changed", one, two, details, follows))
    return found


def _host_packages(refs: RefDatabase, objects: ObjectDatabase, name: str, old: SpecId, new: SpecId) -> Iterator[str]:
    """The packages of the host that are of other versions, if both captures were recorded here."""
    before, after = (scan_with(refs, objects, name, spec) for spec in (old, new))
    if before is not None and after is not None:
        for change in package_changes(before, after):
            yield f"package {change.name}: {change.old or '(none)'} → {change.new or '(none)'}"


def _details(old: Spec, new: Spec) -> Iterator[str]:
    if old.version != new.version:
        yield f"version {old.version} → {new.version}"
    if old.platform != new.platform:
        yield f"cpu {old.platform.cpu} → {new.platform.cpu}"
    yield from _mapping("source", old.sources, new.sources, short=True)
    yield from _mapping("env", old.env, new.env)
    if old.commands != new.commands:
        yield from (f"command - {line}" for line in old.commands if line not in new.commands)
        yield from (f"command + {line}" for line in new.commands if line not in old.commands)
    for name in sorted(old.files.keys() | new.files.keys()):
        if old.files.get(name) != new.files.get(name):
            yield f"file {name}"
    yield from _mapping("input", old.inputs, new.inputs, short=True)
    if old.host is not None and new.host is not None:
        yield from _mapping("needs", old.host.facts, new.host.facts)
        yield from _mapping("variable", old.host.environment, new.host.environment)
        if old.manifest != new.manifest:
            yield from _manifest(old.manifest or b"", new.manifest or b"")


def _mapping(what: str, old: Mapping[str, str], new: Mapping[str, str], *, short: bool = False) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        one, two = old.get(name), new.get(name)
        if one != two:
            shown = [("(none)" if value is None else value[:12] if short else value) for value in (one, two)]
            yield f"{what} {name}: {shown[0]} → {shown[1]}"


def _manifest(old: bytes, new: bytes) -> Iterator[str]:
    before, after = ({line.split("\t")[3]: line for line in data.decode().splitlines()} for data in (old, new))
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield f"host file {path}"
