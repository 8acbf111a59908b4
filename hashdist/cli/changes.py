"""Changes between commits, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashdist.workflow.comparing import Change

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_SHOWN = 12


def change_lines(changes: Sequence[Change]) -> Iterator[str]:
    """What changed, then in one line what merely follows."""
    for change in changes:
        if change.follows:
            continue
        if change.kind != "changed":
            yield f"{_SIGNS[change.kind]} {change.name} {' '.join(change.details)}"
            continue
        yield f"~ {change.name}"
        yield from (f"    {line}" for line in change.details[:_SHOWN])
        if len(change.details) > _SHOWN:
            yield f"    and {len(change.details) - _SHOWN} more lines"
    following = [change.name for change in changes if change.follows]
    if following:
        yield f"{len(following)} more only because of their inputs: {', '.join(following)}"


def changes_json(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """The same for machines."""
    return [
        {
            "name": change.name,
            "kind": change.kind,
            "old": change.old,
            "new": change.new,
            "details": list(change.details),
            "inputs": list(change.inputs),
            "follows": change.follows,
        }
        for change in changes
    ]
