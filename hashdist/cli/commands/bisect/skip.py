"""``hdist bisect skip``: say what cannot be told."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.bisecting import tell
from hashdist.workflow.bisecting.marks import mark


@make(reads=True)
@click.argument("revisions", nargs=-1, metavar="[REVISION]...")
def skip(app: App, revisions: tuple[str, ...]) -> None:
    """Say that REVISION (what was to be tried) cannot be told, and get another one to try."""
    tell(app, mark(app.session, "skip", revisions))


command = skip
