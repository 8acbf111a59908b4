"""``hdist remote remove``: forget a remote."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.remote.remotes import remove_remote


@make()
@click.argument("name")
def remove(app: App, name: str) -> None:
    """Forget the remote NAME, and what was known of it; profiles that follow it stay, and follow nothing."""
    remote = remove_remote(app.store, name)
    app.say(f"removed remote {name}; undo: hdist remote add --trust {name} {remote.url}")


command = remove
