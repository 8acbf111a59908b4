"""``hdist shell``: a new shell with prefixes in it."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.running import become, with_prefixes


@make(runs=True)
@click.argument("names", nargs=-1, metavar="[PROFILE|REVISION|PREFIX]...")
def shell(app: App, names: tuple[str, ...]) -> None:
    """Start your shell ($SHELL) with prefixes loaded; leave it with exit. Without a name what is checked out."""
    env = with_prefixes(app, names)
    become([env.get("SHELL") or "/bin/sh"], env)


command = shell
