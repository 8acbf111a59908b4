"""The artifacts of a store: where they lie, which exist, their records.

An artifact exists when its record (a ref) and its directory do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hashdist.errors import ConflictError, NotFoundError
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import CommitId, SpecId, is_hex
from hashdist.objects.record import ArtifactRecord, read_record
from hashdist.refs import names

if TYPE_CHECKING:
    from hashdist.objects.database import ObjectDatabase
    from hashdist.objects.layout import Layout
    from hashdist.refs.database import RefDatabase

_SHORTEST = 4


class NotBuiltError(NotFoundError):
    """An artifact that is not in this store."""

    code = "not_built"


class ArtifactStore:
    """Finds artifacts by id: below the directory `root`, as `layout` says, with records among `refs`."""

    def __init__(self, root: str, layout: Layout, refs: RefDatabase, objects: ObjectDatabase) -> None:
        self._root = root
        self._layout = layout
        self._refs = refs
        self._objects = objects

    def path(self, artifact: ArtifactId) -> str:
        """Where the artifact lies, or would lie."""
        return os.path.join(self._root, self._layout.path(artifact))

    def hash_part(self, artifact: ArtifactId) -> str:
        """The digits of the id that stand in its path."""
        return self._layout.hash_part(artifact)

    def __contains__(self, artifact: ArtifactId) -> bool:
        """Whether the artifact is sealed here."""
        return self.record_commit(artifact.spec) is not None and os.path.isdir(self.path(artifact))

    def missing(self, artifacts: Iterable[ArtifactId]) -> list[ArtifactId]:
        """Those that are not sealed here; the refs are read once for all."""
        records = self._refs.all(names.ARTIFACTS)
        return [
            one for one in artifacts if names.ARTIFACTS + one.spec not in records or not os.path.isdir(self.path(one))
        ]

    def record_commit(self, spec: SpecId) -> CommitId | None:
        """The commit of the record, if there is one."""
        return self._refs.get(names.ARTIFACTS + spec)

    def record(self, spec: SpecId) -> ArtifactRecord:
        """The record; raises `NotBuiltError`."""
        commit = self.record_commit(spec)
        if commit is None:
            raise NotBuiltError(f"no artifact {spec} in this store", hint="hdist build")
        return read_record(self._objects, commit)[0]

    def all(self) -> list[tuple[SpecId, CommitId]]:
        """All records: spec and commit."""
        found = self._refs.all(names.ARTIFACTS)
        return [(SpecId(name[len(names.ARTIFACTS) :]), commit) for name, commit in found.items()]

    def find(self, text: str) -> list[ArtifactId]:
        """Artifacts by ``name``, ``name/version``, ``name/version/<hash>``, or four or more digits of a hash."""
        artifacts = sorted(self.record(spec).spec.artifact for spec, _ in self.all())
        name, _, rest = text.partition("/")
        version, _, digits = rest.partition("/")
        found = [
            one
            for one in artifacts
            if one.name == name and (not version or one.version == version) and one.spec.startswith(digits)
        ]
        if not found and is_hex(text) and len(text) >= _SHORTEST:
            return [one for one in artifacts if one.spec.startswith(text)]
        return found

    def claim(self, artifact: ArtifactId) -> str:
        """Check that the artifact's directory is free for it, and return its path.

        Raises `ConflictError` when another artifact, whose id begins alike, lies there.
        """
        path = self.path(artifact)
        if not os.path.lexists(path):
            return path
        wanted = self._layout.path(artifact)
        for spec, _ in self.all():
            if spec != artifact.spec and spec.startswith(self.hash_part(artifact)[:8]):
                other = self.record(spec).spec.artifact
                if self._layout.path(other) == wanted:
                    raise ConflictError(
                        f"'{artifact}' and '{other}' have one path, {path}",
                        hint="make a store with a longer {hash:N} in its pattern",
                    )
        return path
