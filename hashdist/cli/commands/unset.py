"""``hdist unset``: remove a key from the profile's stack file."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.recorded import tell
from hashdist.stack.editing import unset_key
from hashdist.workflow.commit import edit


@make(fetches=True)
@click.argument("key")
@click.option("-m", "--message", help="The commit's message.")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
def unset(app: App, key: str, message: str | None, profile: str | None) -> None:
    """Remove KEY and record that: hdist unset packages.lz4.env.CFLAGS."""
    recorded = edit(app.session, lambda text: unset_key(text, key), message=message or f"unset {key}", profile=profile)
    tell(app, recorded)


command = unset
