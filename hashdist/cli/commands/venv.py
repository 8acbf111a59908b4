"""``hdist venv``: a virtual environment on top of a prefix."""

from __future__ import annotations

import shlex

import click

from hashdist.cli.app import App, command as make
from hashdist.workflow.environments import make_environment
from hashdist.workflow.prefixes import find_prefix


@make()
@click.argument("directory", metavar="DIR")
@click.option("--of", "revision", metavar="PROFILE|REVISION|PREFIX", help="On what; what is checked out without it.")
def venv(app: App, directory: str, revision: str | None) -> None:
    """Make a virtual environment that has all Python packages of a prefix and takes more, by pip or uv.

    Run again it moves to another prefix, and what was installed into it stays. It keeps its prefix from gc until
    hdist checkout --forget DIR.
    """
    base = find_prefix(app.session, revision)
    place = make_environment(app.session, directory, base)
    start = shlex.quote(f"{place}/bin/activate")
    app.say(f"{place} is on top of {base.name}{f'@{base.commit[:12]}' if base.commit else ''}: . {start}")


command = venv
