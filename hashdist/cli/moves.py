"""Moves of refs, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hashdist.refs import names

if TYPE_CHECKING:
    from hashdist.refs.operations import Move
    from hashdist.store.store import Store

_SYMBOLIC = "ref: "


def move_lines(store: Store, moves: Sequence[Move]) -> Iterator[str]:
    """Where each ref is now."""
    from hashdist.store.checkouts import registered  # noqa: PLC0415 - few commands need it

    for move in moves:
        if move.ref == "HEAD":
            name = "HEAD"
        elif move.ref.startswith(names.CHECKOUTS):
            checkout, _, kind = move.ref[len(names.CHECKOUTS) :].partition("/")
            if kind == "HEAD":
                continue
            name = registered(store).get(checkout, checkout)
        else:
            name = names.short_name(move.ref)
        yield f"{name}: {_shown(move.old)} → {_shown(move.new)}"


def _shown(value: str | None) -> str:
    if value is None:
        return "(none)"
    return names.short_name(value.removeprefix(_SYMBOLIC)) if value.startswith(_SYMBOLIC) else value[:12]


def moves_json(moves: Sequence[Move]) -> list[dict[str, Any]]:
    """The same for machines."""
    return [{"ref": move.ref, "old": move.old, "new": move.new} for move in moves]
