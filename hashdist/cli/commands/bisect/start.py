"""``hdist bisect start``: begin."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.bisecting import tell
from hashdist.workflow.bisecting.marks import start as begin


@make(reads=True)
@click.argument("bad", required=False)
@click.argument("good", nargs=-1, metavar="[GOOD]...")
def start(app: App, bad: str | None, good: tuple[str, ...]) -> None:
    """Begin, between a commit that is BAD and older ones that are GOOD; both can be told later too."""
    tell(app, begin(app.session, bad, good))


command = start
