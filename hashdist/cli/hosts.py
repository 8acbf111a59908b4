"""Host software, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashdist.hostscan.drift import FileChange, PackageChange


#: Fields of a manifest's line that is no link's.
_PLAIN = 4


def file_count(manifest: bytes) -> int:
    """How many files a capture reaches."""
    fields = [line.split(b"\t") for line in manifest.splitlines()]
    hops = {one[3] for one in fields if len(one) > _PLAIN and one[3].startswith(b"/")}
    return len({one[-1] for one in fields if one[1] != b"-" or len(one) == _PLAIN} - hops)


def package_line(change: PackageChange) -> str:
    """A package of another version, for people."""
    return f"{change.name} {change.old or '(none)'} → {change.new or '(gone)'}"


def package_changes_json(changes: Iterable[PackageChange]) -> list[dict[str, Any]]:
    """The same for machines."""
    return [{"name": one.name, "old": one.old or None, "new": one.new or None} for one in changes]


def file_changes_json(changes: Iterable[FileChange]) -> list[dict[str, Any]]:
    """Files that are not what they were."""
    return [{"path": one.path, "kind": one.kind} for one in changes]
