"""``hdist cherry-pick``: do again what a commit did elsewhere."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.merging import chosen, go_on, going_on, tell
from hashdist.workflow.merging import verbs


@make(reads=True, fetches=True)
@click.argument("revisions", nargs=-1)
@click.option("--mainline", type=click.IntRange(min=1), metavar="N", help="Of a merge: compare it with its Nth parent.")
@going_on
def cherry_pick(
    app: App,
    revisions: tuple[str, ...],
    mainline: int | None,
    ours: tuple[str, ...],
    theirs: tuple[str, ...],
    edit: bool,
    proceed: bool,
    abort: bool,
    profile: str | None,
) -> None:
    """Do again in the profile what commits did elsewhere, each as a commit of its own; nothing is checked out.

    What the profile changed too, in its own way, is to be chosen: --ours NAME, --theirs NAME, or --edit, and then
    --continue.
    """
    choices = chosen(ours, theirs)
    if not revisions:
        go_on(app, choices, edit=edit, proceed=proceed, abort=abort, profile=profile)
        return
    if edit or proceed or abort:
        raise click.UsageError("these options do not go together")
    tell(app, verbs.cherry_pick(app.session, revisions, profile=profile, mainline=mainline, choices=choices))


command = cherry_pick
