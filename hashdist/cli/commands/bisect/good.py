"""``hdist bisect good``: say what is good."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.bisecting import tell
from hashdist.workflow.bisecting.marks import mark


@make(reads=True)
@click.argument("revisions", nargs=-1, metavar="[REVISION]...")
def good(app: App, revisions: tuple[str, ...]) -> None:
    """Say that REVISION (what was to be tried) is good, and get the next one to try."""
    tell(app, mark(app.session, "good", revisions))


command = good
