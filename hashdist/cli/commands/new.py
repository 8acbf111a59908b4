"""``hdist new``: write a starter stack file."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make, writing
from hashdist.stack.starter import starter


@make()
@click.argument("file", default="stack.toml")
def new(app: App, file: str) -> None:
    """Write a stack file that builds as it stands, with what this host has."""
    text = starter(app.env)
    with writing(file) as opened:
        opened.write(text)
    app.say(f"wrote {file}; next: hdist commit {file} -m first && hdist checkout --build")


command = new
