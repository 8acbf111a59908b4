"""Say where a source came from."""

from __future__ import annotations

from typing import Any

from hashdist.fsutil.clock import time_text
from hashdist.store.provenance import Seen


def place_json(seen: Seen) -> dict[str, Any]:
    """For programs."""
    return {**seen.provenance.to_json(), "date": time_text(seen.time)}


def place_text(seen: Seen) -> str:
    """For people: one line."""
    of = seen.provenance
    rev = f" {of.rev}" if of.rev else ""
    subdir = f" ({of.subdir})" if of.subdir else ""
    return f"{of.url or '?'}{rev}{subdir}"
