"""``hdist source show``: tell what a source is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from hashdist.cli.app import App, command as make, human_size
from hashdist.cli.places import place_json
from hashdist.objects.measuring import measure
from hashdist.store.sources import SWHID


@make(reads=True)
@click.argument("id")
def command(app: App, id: str) -> None:
    """Tell what a source is: where it came from last, its archive, how much it holds."""
    source = app.store.sources.find(id)
    seen = app.store.sources.seen(source)
    files, size = measure(app.store.objects, source)
    document: dict[str, Any] = {"id": source, "swhid": SWHID + source, "files": files, "size": size}
    document |= place_json(seen[0]) if seen else {}

    def lines() -> Iterator[str]:
        for name, value in document.items():
            if name == "size":
                yield f"{'size':<12}{human_size(value)}"
            else:
                yield f"{name.replace('_', ' '):<12}{value}"

    app.emit(document, lines)
