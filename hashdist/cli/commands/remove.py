"""``hdist remove``: remove a package from the profile's stack file."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.recorded import tell
from hashdist.stack.editing import remove_package
from hashdist.workflow.commit import edit


@make()
@click.argument("package")
@click.option("-m", "--message", help="The commit's message.")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
def remove(app: App, package: str, message: str | None, profile: str | None) -> None:
    """Remove PACKAGE and record that."""
    recorded = edit(
        app.session, lambda text: remove_package(text, package), message=message or f"remove {package}", profile=profile
    )
    tell(app, recorded)


command = remove
