"""Pins: what was taken for a source, as it stands in a lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hashdist.errors import InvalidError
from hashdist.objects.ids import SourceId


@dataclass(frozen=True, slots=True)
class Pin:
    """A source that was fetched, verified and imported."""

    declaration: dict[str, Any]
    """What the stack file said, see `hashdist.sources.declaration.to_json`."""
    tree: SourceId
    """What it became."""
    url: str | None = None
    """Where the archive came from, without credentials; None for directories."""
    sha256: str | None = None
    """Of the archive."""
    size: int | None = None
    """Of the archive, in bytes."""
    stripped: str | None = None
    """The leading directory that was left off."""
    commit: str | None = None
    """Of a git repository: what the revision was."""
    etag: str | None = None
    """Of the archive, as the server sent it."""
    date: str | None = None
    """When it was fetched and verified: RFC 3339, UTC."""

    def same_as(self, other: Pin) -> bool:
        """Whether both took the same, though on different days."""
        return replace(self, date=None, etag=None) == replace(other, date=None, etag=None)

    def to_json(self) -> dict[str, Any]:
        """The pin as it stands in a lock."""
        fields = {
            "url": self.url,
            "commit": self.commit,
            "sha256": self.sha256,
            "size": self.size,
            "stripped": self.stripped,
            "etag": self.etag,
            "date": self.date,
        }
        known = {key: value for key, value in fields.items() if value is not None}
        return {"declaration": self.declaration, "tree": str(self.tree), **known}

    @classmethod
    def from_json(cls, document: Any) -> Pin:
        """Read what `to_json` wrote; raises `InvalidError`."""
        try:
            return cls(
                declaration=dict(document["declaration"]),
                tree=SourceId(document["tree"]),
                url=document.get("url"),
                sha256=document.get("sha256"),
                size=document.get("size"),
                stripped=document.get("stripped"),
                commit=document.get("commit"),
                etag=document.get("etag"),
                date=document.get("date"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidError(f"bad source pin in a lock: {error}") from error
