"""``hdist source log``: all places that a source came from."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.places import place_json, place_text
from hashdist.fsutil.clock import time_text


@make(reads=True)
@click.argument("id")
@click.option("-z", "--null", is_flag=True, help="End each line with a NUL.")
def command(app: App, id: str, null: bool) -> None:
    """List the places that a source came from, the latest first: date, hash of the archive or commit, place."""
    source = app.store.sources.find(id)
    seen = app.store.sources.seen(source)
    if app.as_json:
        app.emit({"id": source, "seen": [place_json(one) for one in seen]}, lambda: iter(()))
        return
    for one in seen:
        of = one.provenance
        app.put("\t".join((time_text(one.time), of.sha256 or of.commit or "-", place_text(one))), null=null)
