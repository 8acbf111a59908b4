"""``hdist init``: make a store."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.objects.layout import DEFAULT_PATTERN
from hashdist.store.making import init_store


@make()
@click.option("--pattern", default=DEFAULT_PATTERN, show_default=True, help="Where artifacts lie; fixed for good.")
@click.option(
    "--durability",
    type=click.Choice(["full", "fast"]),
    default="full",
    show_default=True,
    help="What survives power loss.",
)
def init(app: App, pattern: str, durability: str) -> None:
    """Make a store at --store, HDIST_STORE or ~/.hashdist.

    The default store makes itself on first use; this is for choosing its path pattern, or another place.
    """
    made = init_store(app.path, pattern=pattern, durability=durability)
    app.say(f"made the store {app.path}" if made else f"there is a store at {app.path} already")


command = init
