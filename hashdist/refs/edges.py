"""The one place that knows what leads to what: commit → specs → sources and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hashdist.errors import NotFoundError
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId, SourceId, SpecId
from hashdist.objects.spec import Spec, read_sources, read_spec
from hashdist.objects.tree import InvalidTreeError, Mode


class NotAProfileError(NotFoundError):
    """A commit that was read and is no commit of a profile."""


class Named(NamedTuple):
    """What a commit names, besides its parents."""

    specs: Mapping[str, SpecId]
    """Specs, by package or host entry."""
    source: SourceId | None = None
    """The source that it holds."""
    is_profile: bool = False
    """Whether it is a commit of a profile or a host scan, whose parents are its history."""


class EdgeReader:
    """Reads what commits name, each spec once."""

    def __init__(self, objects: ObjectDatabase) -> None:
        self._objects = objects
        self._specs: dict[SpecId, Spec] = {}
        self._sources: dict[SpecId, tuple[SourceId, ...]] = {}
        self._specs_of_tree: dict[str, Mapping[str, SpecId]] = {}

    def spec(self, id: SpecId) -> Spec:
        """Read a spec."""
        if id not in self._specs:
            self._specs[id] = read_spec(self._objects, id)
        return self._specs[id]

    def sources(self, id: SpecId) -> tuple[SourceId, ...]:
        """The sources of a spec."""
        if id not in self._sources:
            self._sources[id] = read_sources(self._objects, id)
        return self._sources[id]

    def peeled(self, id: CommitId) -> CommitId:
        """The commit that a ref's value stands for: itself, or what a tag of git's own is of."""
        return self._objects.peeled(id)

    def named(self, commit: CommitId) -> Named:
        """What any commit names: one of a profile, of a host scan, of a record, of a source, or somebody's own."""
        try:
            return Named(self.specs(commit), is_profile=True)
        except NotAProfileError:
            pass
        except InvalidTreeError:
            return Named({}, is_profile=True)  # somebody's own, with what no tree of ours has
        read = self._objects.commit(commit)
        if read.message == f"source {read.tree}\n":
            return Named({}, SourceId(read.tree))
        entries = {entry.name: entry for entry in self._objects.tree(read.tree)}
        if b"record.json" in entries and b"spec" in entries:
            id = SpecId(entries[b"spec"].id)
            return Named({self.spec(id).name: id, **self.spec(id).inputs})
        return Named({}, is_profile=True)

    def specs(self, commit: CommitId) -> Mapping[str, SpecId]:
        """The specs that a commit of a profile names, by package, or the one of a host scan.

        Raises `NotAProfileError` for any other commit.
        """
        entries = {entry.name: entry for entry in self._objects.tree(self._objects.commit(commit).tree)}
        if b"scan.json" in entries and b"spec" in entries:
            id = SpecId(entries[b"spec"].id)
            return {self.spec(id).name: id}
        if b"lock.json" not in entries:
            raise NotAProfileError(f"commit {commit} is not a commit of a profile: it has no 'lock.json'")
        entry = entries.get(b"specs")
        if entry is None or entry.mode is not Mode.DIRECTORY:
            return {}  # a stack without packages
        if entry.id not in self._specs_of_tree:
            found = self._objects.tree(entry.id)
            self._specs_of_tree[entry.id] = {one.name.decode(): SpecId(one.id) for one in found}
        return self._specs_of_tree[entry.id]
