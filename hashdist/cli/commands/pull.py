"""``hdist pull``: fetch, and merge."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.merging import tell
from hashdist.cli.remoting import fetched_lines
from hashdist.workflow import remoting


@make(fetches=True)
@click.argument("name", required=False, metavar="[REMOTE]")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
@click.option("--ff-only", is_flag=True, help="Refuse where the profile has commits that the remote has not.")
def pull(app: App, name: str | None, profile: str | None, ff_only: bool) -> None:
    """Fetch from REMOTE (the one that is followed), and merge what the profile follows there; see hdist merge.

    A commit that was merged as text, on a git host, is resolved anew.
    """
    done = remoting.pull(app.session, name, profile=profile, only_forward=ff_only)
    for line in fetched_lines(app, None, done.fetched):
        app.say(line)
    tell(app, done.merged)


command = pull
