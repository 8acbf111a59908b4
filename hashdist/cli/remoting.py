"""What came from a remote, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hashdist.refs import names

if TYPE_CHECKING:
    from hashdist.remote.fetching import Fetched
    from hashdist.remote.remotes import Remote

    from .app import App


def fetched_lines(app: App, remote: Remote | None, found: Fetched) -> Iterator[str]:
    """A line for each ref that came or moved; what was not taken is said."""
    for note in found.notes:
        app.say(note)
    if not found.moved and remote is not None:
        app.say(f"nothing new at {remote.name}")
    for one in found.moved:
        name = names.short_name(one.ref).removeprefix("remotes/")
        places = [commit[:12] if commit is not None else "(none)" for commit in (one.old, one.new)]
        yield f"{name} {places[0]} → {places[1]}{' (rewritten)' if one.forced else ''}"


def fetched_json(remote: Remote, found: Fetched) -> dict[str, Any]:
    """The same for machines."""
    rows = [{"ref": one.ref, "old": one.old, "new": one.new, "forced": one.forced} for one in found.moved]
    return {"remote": remote.name, "moved": rows, "notes": list(found.notes)}
