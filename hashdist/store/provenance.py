"""Where a source came from: a commit for each new answer, on ``refs/provenance/<tree id>`` of this store alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from hashdist.errors import DamagedError
from hashdist.objects import canonical
from hashdist.objects.ids import CommitId, SourceId
from hashdist.refs import names

if TYPE_CHECKING:
    from hashdist.objects.commits import Identity
    from hashdist.objects.database import ObjectDatabase
    from hashdist.refs.database import RefDatabase

_FILE = "provenance.json"


@dataclass(frozen=True, slots=True)
class Provenance:
    """One place that a source came from; None where something does not apply."""

    kind: str
    """'url', 'git', 'pypi' or 'path'."""
    url: str | None = None
    """Without credentials; for directories, the path."""
    sha256: str | None = None
    """Of the archive."""
    size: int | None = None
    """Of the archive, in bytes."""
    etag: str | None = None
    """As the server sent it."""
    modified: str | None = None
    """The server's ``Last-Modified``."""
    rev: str | None = None
    """The branch, tag or commit that was asked for."""
    commit: str | None = None
    """What that was."""
    stripped: str | None = None
    """The leading directory that was left off."""
    subdir: str | None = None
    """The directory that was taken."""

    def to_json(self) -> dict[str, Any]:
        """What is known, for a person or a machine."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Seen:
    """A place, and when it was first seen to have the source."""

    provenance: Provenance
    """The place."""
    time: int
    """Seconds since 1970."""
    commit: CommitId
    """The record of it."""


def record(
    refs: RefDatabase, objects: ObjectDatabase, id: SourceId, found: Provenance, *, author: Identity, time: int
) -> CommitId | None:
    """Write the commit that tells of a place; None if it was the last one to be told of."""
    ref = names.PROVENANCE + id
    parent = refs.get(ref)
    tree = objects.add_files({_FILE: canonical.dumps({"format": 1, **found.to_json()})})
    if parent is not None and objects.commit(parent).tree == tree:
        return None
    message = f"source {id}\n\nfrom {found.url or 'an unknown place'}\n"
    return objects.add_commit(tree, parents=[parent] if parent else [], identity=author, time=time, message=message)


def history(refs: RefDatabase, objects: ObjectDatabase, id: SourceId) -> list[Seen]:
    """All places that a source came from, the latest first; raises `DamagedError`."""
    found = []
    commit = refs.get(names.PROVENANCE + id)
    while commit is not None:
        read = objects.commit(commit)
        entry = objects.find(read.tree, _FILE)
        document: Any = canonical.loads(objects.blob(entry.id)) if entry else None
        if not isinstance(document, dict):
            raise DamagedError(f"commit {commit} does not tell where source {id} came from")
        known = {field.name for field in fields(Provenance)}
        given = {name: value for name, value in document.items() if name in known}
        found.append(Seen(Provenance(**{"kind": "url", **given}), read.time, commit))
        commit = read.parents[0] if read.parents else None
    return found
