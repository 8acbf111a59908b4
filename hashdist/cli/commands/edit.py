"""``hdist edit``: change the profile's stack file in an editor."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.recorded import tell
from hashdist.errors import HashdistError
from hashdist.workflow.commit import edit as record


@make()
@click.option("-m", "--message", help="The commit's message.")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
def edit(app: App, message: str | None, profile: str | None) -> None:
    """Open the stack file in VISUAL or EDITOR, and record what was saved."""

    def change(text: str) -> str:
        changed = click.edit(text, extension=".toml", require_save=True)
        if changed is None or changed == text:
            raise HashdistError("nothing was changed; nothing recorded")
        return changed

    tell(app, record(app.session, change, message=message or "edit the stack", profile=profile))


command = edit
