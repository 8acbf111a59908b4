"""Artifact records: what was built from which spec, when, and what came out; a commit for each artifact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hashdist.errors import DamagedError

from . import canonical, manifest, tree
from .commits import Commit, Identity
from .database import ObjectDatabase
from .ids import CommitId, SpecId, TreeId
from .spec import Spec, read_spec

FORMAT = 1
_SIZE = re.compile(r"^Size: (\d+) bytes, (\d+) entries$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """What is known of a sealed artifact."""

    spec: Spec
    """What it was made from."""
    manifest: bytes
    """Every file with its hash, see `hashdist.objects.manifest`."""
    log: bytes
    """What the build printed; empty for host software."""
    references: tuple[SpecId, ...]
    """The specs whose artifacts' hash parts stand in its files: what it may need to run."""
    unresolved: tuple[str, ...]
    """``file: library`` for shared libraries that nothing declared provides."""
    seconds: int
    """How long the build took."""
    host: str
    """Where it was built."""
    jail: Mapping[str, Any] | None = None
    """What the jail saw, as `hashdist.preload.report` writes it; None: there was none."""

    elsewhere: Mapping[SpecId, str] = field(default_factory=dict)
    """Where what it refers to lay, as far as that was upstream: these paths stand in its files."""

    @property
    def pure(self) -> bool:
        """Whether it is known that nothing undeclared was used."""
        return self.jail is not None and self.jail.get("pure") is True


def write_record(
    database: ObjectDatabase,
    record: ArtifactRecord,
    *,
    inputs: Mapping[str, TreeId],
    parents: tuple[CommitId, ...],
    identity: Identity,
    time: int,
) -> CommitId:
    """Write the commit of a record; `inputs` are the spec trees of its inputs, flat, by package name."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "artifact": str(record.spec.artifact),
        "references": sorted(record.references),
        "unresolved": sorted(record.unresolved),
        "seconds": record.seconds,
        "host": record.host,
        **({"jail": dict(record.jail)} if record.jail is not None else {}),
        **({"elsewhere": dict(record.elsewhere)} if record.elsewhere else {}),
    }
    entries = {
        "spec": tree.Entry(b"x", tree.Mode.DIRECTORY, record.spec.write(database)),
        "manifest": tree.Entry(b"x", tree.Mode.FILE, database.add_blob(record.manifest)),
        "log": tree.Entry(b"x", tree.Mode.FILE, database.add_blob(record.log)),
        "record.json": tree.Entry(b"x", tree.Mode.FILE, database.add_blob(canonical.dumps(document))),
    }
    for name, id in inputs.items():
        entries[f"inputs/{name}"] = tree.Entry(b"x", tree.Mode.DIRECTORY, id)
    size, entries_of_it = manifest.measure(manifest.decode(record.manifest))
    message = (
        f"{record.spec.name} {record.spec.version}\n\nHost: {record.host}\nSeconds: {record.seconds}\n"
        f"Size: {size} bytes, {entries_of_it} entries\n{_jail(record)}"
    )
    return database.add_commit(
        database.add_nested(entries), parents=parents, identity=identity, time=time, message=message
    )


def _jail(record: ArtifactRecord) -> str:
    """The trailer about the jail."""
    if record.jail is None:
        return "Jail: off\n"
    used = sum(not access["hidden"] for access in record.jail["accesses"])
    return f"Jail: {record.jail['mode']}, {'pure' if record.pure else f'{used} undeclared'}\n"


def recorded_size(commit: Commit) -> tuple[int, int] | None:
    """The bytes and the inodes of an artifact, as the commit of its record tells; None where it does not."""
    match = _SIZE.search(commit.message)
    return (int(match[1]), int(match[2])) if match else None


def read_record(database: ObjectDatabase, commit: CommitId) -> tuple[ArtifactRecord, Commit]:
    """Read a record and the commit that holds it; raises `DamagedError` when something is missing."""
    found = database.commit(commit)
    entries = {entry.name: entry.id for entry in database.tree(found.tree)}
    try:
        document: Any = canonical.loads(database.blob(entries[b"record.json"]))
        return ArtifactRecord(
            spec=read_spec(database, entries[b"spec"]),
            manifest=database.blob(entries[b"manifest"]),
            log=database.blob(entries[b"log"]),
            references=tuple(SpecId(id) for id in document["references"]),
            unresolved=tuple(document["unresolved"]),
            seconds=document["seconds"],
            host=document["host"],
            jail=document.get("jail"),
            elsewhere={SpecId(id): path for id, path in document.get("elsewhere", {}).items()},
        ), found
    except (KeyError, TypeError) as error:
        raise DamagedError(f"artifact record {commit} is incomplete: {error}") from error
