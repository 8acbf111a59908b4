"""``hdist remote add``: remember another repository."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.trusting import ask_trust
from hashdist.remote.remotes import check_url
from hashdist.workflow import remoting


@make(creates=True, fetches=True)
@click.argument("name")
@click.argument("url")
def add(app: App, name: str, url: str) -> None:
    """Remember the git repository at URL as NAME: a directory, ssh, http or https.

    What is built of its profiles runs its commands: it has to be trusted, on a terminal by an answer, elsewhere by
    --trust. Nothing is fetched yet.
    """
    ask_trust(app, check_url(url, directory=app.session.directory))
    remote = remoting.add(app.session, name, url)
    app.say(f"remote {remote.name} is {remote.url}; next: hdist fetch {remote.name}; undo: hdist remote remove {name}")


command = add
