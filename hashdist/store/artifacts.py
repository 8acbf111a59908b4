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
    """Finds artifacts by id: below the directory `root`, as `layout` says, with records among `refs`.

    What is not here is looked for `upstream`, where nothing is ever written.
    """

    def __init__(
        self,
        root: str,
        layout: Layout,
        refs: RefDatabase,
        objects: ObjectDatabase,
        upstream: ArtifactStore | None = None,
    ) -> None:
        self._root = root
        self._layout = layout
        self._refs = refs
        self._objects = objects
        self._upstream = upstream

    def path(self, artifact: ArtifactId) -> str:
        """Where the artifact lies, here or upstream, or would lie here."""
        if self._upstream is not None and not self.has_own(artifact) and artifact in self._upstream:
            return self._upstream.path(artifact)
        return self.own_path(artifact)

    def own_path(self, artifact: ArtifactId) -> str:
        """Where the artifact lies in this store, or would lie."""
        return os.path.join(self._root, self._layout.path(artifact))

    def hash_part(self, artifact: ArtifactId) -> str:
        """The digits of the id that stand in its path."""
        return self._layout.hash_part(artifact)

    def __contains__(self, artifact: ArtifactId) -> bool:
        """Whether the artifact is sealed, here or upstream."""
        return self.has_own(artifact) or (self._upstream is not None and artifact in self._upstream)

    def has_own(self, artifact: ArtifactId) -> bool:
        """Whether the artifact is sealed here."""
        there = self.own_record(artifact.spec) is not None and os.path.isdir(self.own_path(artifact))
        return there and not self.gone_from(artifact.spec)

    def gone_from(self, spec: SpecId) -> list[str]:
        """The paths upstream that an artifact of this store refers to, and that are not there any more."""
        if self._upstream is None:
            return []
        commit = self.own_record(spec)
        if commit is None:
            return []
        elsewhere = read_record(self._objects, commit)[0].elsewhere
        return [path for path in elsewhere.values() if not os.path.isdir(path)]

    def missing(self, artifacts: Iterable[ArtifactId]) -> list[ArtifactId]:
        """Those that are sealed neither here nor upstream; the refs are read once for all."""
        records = self._refs.all(names.ARTIFACTS)
        found = [
            one
            for one in artifacts
            if names.ARTIFACTS + one.spec not in records
            or not os.path.isdir(self.own_path(one))
            or self.gone_from(one.spec)
        ]
        return self._upstream.missing(found) if self._upstream is not None and found else found

    def own_record(self, spec: SpecId) -> CommitId | None:
        """The commit of the record, if there is one here."""
        return self._refs.get(names.ARTIFACTS + spec)

    def record_commit(self, spec: SpecId) -> CommitId | None:
        """The commit of the record, if there is one, here or upstream."""
        own = self.own_record(spec)
        return self._upstream.record_commit(spec) if own is None and self._upstream is not None else own

    def commit_of_record(self, spec: SpecId) -> CommitId:
        """Likewise; raises `NotBuiltError`."""
        commit = self.record_commit(spec)
        if commit is None:
            raise NotBuiltError(f"no artifact {spec} in this store", hint="hdist build")
        return commit

    def record(self, spec: SpecId) -> ArtifactRecord:
        """The record; raises `NotBuiltError`."""
        commit = self.own_record(spec)
        if commit is None and self._upstream is not None:
            return self._upstream.record(spec)
        if commit is None:
            raise NotBuiltError(f"no artifact {spec} in this store", hint="hdist build")
        return read_record(self._objects, commit)[0]

    def all(self) -> list[tuple[SpecId, CommitId]]:
        """All records that are here: spec and commit."""
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
            found = [one for one in artifacts if one.spec.startswith(text)]
        return self._upstream.find(text) if not found and self._upstream is not None else found

    def claim(self, artifact: ArtifactId) -> str:
        """Check that the artifact's own directory is free for it, and return its path.

        Raises `ConflictError` when another artifact, whose id begins alike, lies there.
        """
        path = self.own_path(artifact)
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
