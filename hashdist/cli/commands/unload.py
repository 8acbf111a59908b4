"""``hdist unload``: take a prefix out of this shell; see ``hdist load``."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make

from .load import need_function


@make()
@click.argument("names", nargs=-1, metavar="[NAME|PREFIX]...")
def unload(app: App, names: tuple[str, ...]) -> None:  # noqa: ARG001 - the shell's function takes them
    """Take prefixes out of this shell, in any order; without a name the one loaded last.

    What you changed in between stays; all else is as it was before, byte for byte.
    """
    raise need_function("unload")


command = unload
