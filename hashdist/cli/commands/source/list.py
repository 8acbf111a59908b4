"""``hdist source list``: what is here, and where it came from."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.places import place_json, place_text


@make(reads=True)
@click.option("-z", "--null", is_flag=True, help="End each line with a NUL.")
def command(app: App, null: bool) -> None:
    """List all sources that are here: id, a tab, and where it came from last; with -q ids alone."""
    found = [(id, app.store.sources.seen(id)) for id in app.store.sources.all()]
    documents = [{"id": id, **(place_json(seen[0]) if seen else {})} for id, seen in found]
    if app.as_json:
        app.emit({"sources": documents}, lambda: iter(()))
        return
    for id, seen in found:
        app.put(id if app.quiet else f"{id}\t{place_text(seen[0]) if seen else '?'}", null=null)
