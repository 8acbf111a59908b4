"""``hdist set``: set a key in the profile's stack file."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.recorded import tell
from hashdist.stack.editing import set_key
from hashdist.workflow.commit import edit


@make(fetches=True)
@click.argument("assignment", metavar="KEY=VALUE")
@click.option("-m", "--message", help="The commit's message.")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
def set_(app: App, assignment: str, message: str | None, profile: str | None) -> None:
    """Set KEY, dotted as in TOML, and record that: hdist set packages.lz4.env.CFLAGS=-O3.

    VALUE is text, but true, false and what begins with a quote or a bracket is read as TOML.
    """
    key, equals, value = assignment.partition("=")
    if not equals or not key:
        raise click.UsageError(f"'{assignment}' is not KEY=VALUE")
    recorded = edit(
        app.session, lambda text: set_key(text, key, value), message=message or f"set {assignment}", profile=profile
    )
    tell(app, recorded)


command = set_
