"""``hdist rev-parse``: print the id that a revision means."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.workflow.profile import find


@make()
@click.argument("revisions", nargs=-1, required=True)
def rev_parse(app: App, revisions: tuple[str, ...]) -> None:
    """Print the commit that each revision means, a line each."""
    for commit in [find(app.store, revision) for revision in revisions]:
        app.put(commit)


command = rev_parse
