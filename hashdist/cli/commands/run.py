"""``hdist run``: run a command with a prefix."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.running import Wrapper, become, command_of, with_prefixes


@make(runs=True, kind=Wrapper)
@click.argument("revision", metavar="PROFILE|REVISION|PREFIX")
@click.argument("arguments", nargs=-1, required=True, metavar="-- COMMAND [ARGUMENT]...", type=click.UNPROCESSED)
def run(app: App, revision: str, arguments: tuple[str, ...]) -> None:
    """Run a command with a prefix in its environment, whatever is checked out: hdist run main~1 -- python bench.py.

    hdist becomes the command: signals, terminal and status are its own.
    """
    become(command_of(arguments), with_prefixes(app, [revision]))


command = run
