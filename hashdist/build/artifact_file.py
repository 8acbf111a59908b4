"""An artifact as one file, for those who have a store at the same path: what is in it, and what it is called.

A tar archive in zstd, the same bytes for the same artifact: ``hashdist.json`` (format, ids, path, what is known of the
build), ``manifest``, ``log``, ``specs/<id>/…`` (its spec, and those of its inputs), and ``files/…`` in the manifest's
order. Times are 1980, owners 0, modes those of sealed files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hashdist.errors import InvalidError
from hashdist.objects import canonical
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import SpecId
from hashdist.objects.layout import Layout

HEADER, MANIFEST, LOG, SPECS, FILES = "hashdist.json", "manifest", "log", "specs/", "files/"
ENDING = ".tar.zst"
_FORMAT = 1


class ArtifactFileError(InvalidError):
    """A file that is no artifact, or not the one that it should be; nothing of it was taken."""

    code = "artifact_file"


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of the artifact in it."""

    spec: SpecId
    """Its spec."""
    path: str
    """Where it lies in each store that can take it."""
    inputs: Mapping[str, SpecId]
    """The specs of its inputs, which come along."""
    references: tuple[SpecId, ...]
    """What it may need to run."""
    unresolved: tuple[str, ...]
    """``file: library`` for what nobody provides."""
    seconds: int
    """How long its build took."""
    host: str
    """Where it was built."""
    jail: Mapping[str, Any] | None
    """What the jail saw."""
    elsewhere: Mapping[SpecId, str]
    """Where what it refers to lies, as far as that is in another store."""

    def encode(self) -> bytes:
        """The bytes of ``hashdist.json``."""
        document: dict[str, Any] = {
            "format": _FORMAT,
            "spec": self.spec,
            "path": self.path,
            "inputs": dict(self.inputs),
            "references": sorted(self.references),
            "unresolved": sorted(self.unresolved),
            "seconds": self.seconds,
            "host": self.host,
            "jail": dict(self.jail) if self.jail is not None else None,
            "elsewhere": dict(self.elsewhere),
        }
        return canonical.dumps(document)

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Read what `encode` wrote; raises `ArtifactFileError`."""
        try:
            document: Any = canonical.loads(data)
            if document["format"] != _FORMAT:
                raise ArtifactFileError(f"an artifact's file of format {document['format']}", hint="use a newer hdist")
            return cls(
                SpecId(document["spec"]),
                str(document["path"]),
                {str(name): SpecId(id) for name, id in document["inputs"].items()},
                tuple(map(SpecId, document["references"])),
                tuple(map(str, document["unresolved"])),
                int(document["seconds"]),
                str(document["host"]),
                document["jail"],
                {SpecId(id): str(place) for id, place in document["elsewhere"].items()},
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ArtifactFileError(f"its header cannot be read: {error}") from error


def file_name(artifact: ArtifactId) -> str:
    """What the file of an artifact is called."""
    return f"{artifact.name}-{Layout.plain(artifact.version)}-{artifact.spec}{ENDING}"
