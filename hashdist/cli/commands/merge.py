"""``hdist merge``: bring what another profile has into this one."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.merging import chosen, go_on, going_on, tell
from hashdist.workflow.merging import verbs


@make(reads=True, fetches=True)
@click.argument("revision", required=False)
@click.option("-m", "--message", help="The commit's message.")
@click.option("--no-ff", is_flag=True, help="Record a merge even where the profile could just move on.")
@click.option("--ff-only", is_flag=True, help="Refuse where it could not.")
@click.option("--allow-unrelated-histories", "unrelated", is_flag=True, help="Merge stacks that began apart.")
@going_on
def merge(
    app: App,
    revision: str | None,
    message: str | None,
    no_ff: bool,
    ff_only: bool,
    unrelated: bool,
    ours: tuple[str, ...],
    theirs: tuple[str, ...],
    edit: bool,
    proceed: bool,
    abort: bool,
    profile: str | None,
) -> None:
    """Bring what REVISION has into the profile, package by package, and resolve it anew; nothing is checked out.

    What both changed, each in its own way, is to be chosen: --ours NAME, --theirs NAME, or --edit, and then --continue.
    Without REVISION what is still to be chosen is listed.
    """
    choices = chosen(ours, theirs)
    if revision is None:
        go_on(app, choices, edit=edit, proceed=proceed, abort=abort, profile=profile, message=message)
        return
    if edit or proceed or abort or (no_ff and ff_only):
        raise click.UsageError("these options do not go together")
    how: verbs.FastForward = "no" if no_ff else "only" if ff_only else "auto"
    done = verbs.merge(
        app.session,
        revision,
        profile=profile,
        message=message,
        fast_forward=how,
        choices=choices,
        unrelated=unrelated,
    )
    tell(app, done)


command = merge
