"""``hdist bisect bad``: say what is bad."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.bisecting import tell
from hashdist.workflow.bisecting.marks import mark


@make(reads=True)
@click.argument("revisions", nargs=-1, metavar="[REVISION]...")
def bad(app: App, revisions: tuple[str, ...]) -> None:
    """Say that REVISION (what was to be tried) is bad, and get the next one to try."""
    tell(app, mark(app.session, "bad", revisions))


command = bad
