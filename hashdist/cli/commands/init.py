"""``hdist init``: make a store."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.errors import ConflictError
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
@click.option("--upstream", metavar="PATH", help="A store to use as if what is in it were here; nothing is copied.")
@click.option("--shared", is_flag=True, help="For all of a group: they may write too, under any umask.")
@click.option("--group", metavar="NAME", help="Which group; implies --shared.")
def init(app: App, pattern: str, durability: str, upstream: str | None, shared: bool, group: str | None) -> None:
    """Make a store at --store, HDIST_STORE or ~/.hashdist.

    The default store makes itself on first use; this is for choosing its path pattern, or another place.
    """
    made = init_store(
        app.path,
        pattern=pattern,
        durability=durability,
        upstream=upstream,
        shared=shared or group is not None,
        group=group,
    )
    if not made and (upstream is not None or shared or group is not None):
        raise ConflictError(
            f"there is a store at {app.path} already", hint=f"an upstream is set in {app.path}/config.toml"
        )
    app.say(f"made the store {app.path}" if made else f"there is a store at {app.path} already")


command = init
