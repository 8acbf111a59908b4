"""``hdist edit``: change the profile's stack file in an editor."""

from __future__ import annotations

import tempfile

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.recorded import tell
from hashdist.errors import HashdistError
from hashdist.workflow.commit import edit as record


@make(fetches=True)
@click.option("-m", "--message", help="The commit's message.")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
def edit(app: App, message: str | None, profile: str | None) -> None:
    """Open the stack file in VISUAL or EDITOR, and record what was saved."""
    saved: list[str] = []

    def change(text: str) -> str:
        changed = click.edit(text, extension=".toml", require_save=True)
        if changed is None or changed == text:
            raise HashdistError("nothing was changed; nothing recorded")
        saved.append(changed)
        return changed

    try:
        recorded = record(app.session, change, message=message or "edit the stack", profile=profile)
    except HashdistError as error:
        if saved:
            fd, path = tempfile.mkstemp(prefix="stack-", suffix=".toml", text=True)
            with open(fd, "w", encoding="utf-8") as file:
                file.write(saved[0])
            error.hint = f"what you wrote is in {path}: mend it, and hdist commit {path} -m MESSAGE"
        raise
    tell(app, recorded)


command = edit
