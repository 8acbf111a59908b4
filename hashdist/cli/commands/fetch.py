"""``hdist fetch``: bring what a remote has."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.remoting import fetched_json, fetched_lines
from hashdist.workflow import remoting


@make(reads=True, fetches=True)
@click.argument("name", required=False, metavar="[REMOTE]")
@click.option("--prune", is_flag=True, help="Forget profiles that the remote has no more.")
def fetch(app: App, name: str | None, prune: bool) -> None:
    """Bring the profiles, tags and host scans of REMOTE (the one that is followed); yours stay where they are.

    All of it is looked at before anything refers to it, and nothing of it is run. A profile of theirs is called
    REMOTE/PROFILE here.
    """
    remote, found = remoting.fetch(app.session, name, prune=prune)
    app.emit(fetched_json(remote, found), lambda: fetched_lines(app, remote, found))


command = fetch
