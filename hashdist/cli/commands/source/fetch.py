"""``hdist source fetch``: bring all sources of a profile."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.workflow.fetching import fetch_sources


@make(reads=True, fetches=True)
@click.argument("revision", metavar="[REV]", required=False)
def command(app: App, revision: str | None) -> None:
    """Bring every source that a profile (HEAD) names, so that it can be built without a network."""
    pins, missing = fetch_sources(app.session, revision)
    app.say(f"{missing} of {len(pins)} sources fetched")
    app.emit({"sources": [pin.to_json() for pin in pins], "fetched": missing}, lambda: iter(()))
