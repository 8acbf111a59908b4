"""``hdist import requirements``: a requirements file of pip."""

from __future__ import annotations

import os

import click

from hashdist.cli.app import App, command as make, here
from hashdist.cli.importing import import_options
from hashdist.cli.recorded import tell
from hashdist.workflow.importing.requirements import import_requirements


@make(creates=True, fetches=True)
@click.argument("file")
@import_options
def requirements(app: App, file: str, message: str | None, profile: str | None) -> None:
    """Add what a requirements file asks for, and all that needs, as wheels from the package index.

    Files that it includes and its constraints count; so do hashes, where it lists any. Where packages come from is what
    pip's own configuration says.
    """
    path = os.path.join(here()[0], file)
    recorded, added, read = import_requirements(
        app.session, path, message=message or f"import {os.path.basename(file)}", profile=profile
    )
    for line in read.passed_over:
        app.say(f"passed over '{line}': pip's configuration says where packages come from")
    for one in added:
        app.say(f"+ {one.name} {one.version}")
    tell(app, recorded)


command = requirements
