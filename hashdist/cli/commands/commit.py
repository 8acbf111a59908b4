"""``hdist commit``: record a stack file on a profile."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.recorded import tell
from hashdist.workflow.commit import commit_file


@make(creates=True, fetches=True)
@click.argument("file", default="stack.toml")
@click.option("-m", "--message", required=True, help="Why: the first line is the subject.")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
@click.option("--allow-empty", is_flag=True, help="Record it even if nothing changed.")
@click.option("--force", is_flag=True, help="Record it even if the profile has moved since FILE was taken from it.")
def commit(app: App, file: str, message: str, profile: str | None, allow_empty: bool, force: bool) -> None:
    """Resolve FILE (stack.toml), pin every source and host entry that has no pin yet, and record all of it."""
    recorded = commit_file(app.session, file, message=message, profile=profile, allow_empty=allow_empty, force=force)
    tell(app, recorded)


command = commit
