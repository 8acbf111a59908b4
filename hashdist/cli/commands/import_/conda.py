"""``hdist import conda``: an explicit list of conda."""

from __future__ import annotations

import os

import click

from hashdist.cli.app import App, command as make, here
from hashdist.cli.importing import import_options
from hashdist.cli.recorded import tell
from hashdist.workflow.importing.conda import import_explicit


@make(creates=True, fetches=True)
@click.argument("file")
@import_options
def conda(app: App, file: str, message: str | None, profile: str | None) -> None:
    """Have a profile hold the packages of an explicit list: conda list --explicit --md5 > FILE.

    They are fetched, and each becomes an artifact of its own; conda is not needed. What packages would run after they
    are installed is not run.
    """
    path = os.path.join(here()[0], file)
    recorded, done = import_explicit(
        app.session, path, message=message or f"import {os.path.basename(file)}", profile=profile
    )
    for name, other in done.missing:
        app.say(f"{name} depends on {other}, which is not in the list")
    app.say(f"{len(done.packages)} packages")
    tell(app, recorded)


command = conda
