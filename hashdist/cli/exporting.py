"""What commands that export have in common: their arguments, and what they say of files of the host."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from hashdist.refs import names
from hashdist.workflow.profile import head_branch

from .app import App, here

_HOST = {
    "none": "none come along",
    "unowned": "those that no package of the host owns come along",
    "all": "all that is needed in an empty root comes along",
}


def export_arguments(*, host: str | None) -> Callable[[Any], Any]:
    """The revision and where to write; with `host`, its default, which files of the host come along."""

    def decorate(function: Any) -> Any:
        if host is not None:
            function = click.option(
                "--host",
                type=click.Choice(sorted(_HOST)),
                default=host,
                show_default=True,
                help=f"Files of the host: {'; '.join(f'{name}: {words}' for name, words in _HOST.items())}.",
            )(function)
        function = click.option("-o", "--output", metavar="PATH", help="Where to write; else here, by its name.")(
            function
        )
        return click.argument("revision", required=False, metavar="[PROFILE|REVISION]")(function)

    return decorate


def place(app: App, output: str | None, revision: str | None, ending: str) -> str:
    """Where to write, absolute: by default here, by the name of the profile."""
    name = revision or names.short_name(head_branch(app.store))
    return os.path.abspath(os.path.join(here()[0], output or name.replace("/", "-").lstrip(".") + ending))
