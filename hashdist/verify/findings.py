"""What verifying finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import ObjectId, SpecId

Kind = Literal["damaged", "missing", "extra", "mode", "drifted", "note"]
What = Literal["object", "ref", "reflog", "record", "artifact", "prefix", "download", "unpacked", "settings"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    kind: Kind
    """'damaged' (other bytes), 'missing', 'extra' (a file nobody put there), 'mode'; 'drifted' (host software that has
    changed since) and 'note' are no damage."""
    what: What
    """What it is about."""
    path: str
    """The file or directory, or the ref."""
    words: str
    """What is the matter."""
    artifact: ArtifactId | None = None
    """The artifact that is hit."""
    spec: SpecId | None = None
    """Its spec, also where the artifact's name cannot be read."""
    object: ObjectId | None = None
    """The object that is damaged or missing."""
    hits: tuple[str, ...] = ()
    """Profiles and other refs that need it."""

    @property
    def is_damage(self) -> bool:
        """Whether something is broken."""
        return self.kind not in {"drifted", "note"}


@dataclass(slots=True)
class Report:
    """All that verifying came to."""

    objects: int = 0
    """Objects that were looked at."""
    refs: int = 0
    """Refs."""
    artifacts: int = 0
    """Artifacts."""
    files: int = 0
    """Files, links and directories of artifacts."""
    bytes: int = 0
    """Bytes that were read, of objects as they lie on disk."""
    findings: list[Finding] = field(default_factory=list)
    """What is not as it should be."""

    @property
    def damage(self) -> list[Finding]:
        """What is broken."""
        return [finding for finding in self.findings if finding.is_damage]
