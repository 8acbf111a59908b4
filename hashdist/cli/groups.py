"""Groups of commands, of which only the one that is typed is loaded."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click


class LazyGroup(click.Group):
    """The group `name`, whose commands are the modules `members` of the package `package`."""

    def __init__(self, name: str, package: str, members: Sequence[str], help: str) -> None:
        super().__init__(name, context_settings={"help_option_names": ["-h", "--help"]}, help=help)
        self._package = package
        self._members = tuple(members)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give all names, in the order in which people meet them."""
        del ctx
        return list(self._members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None if there is none of that name."""
        del ctx
        if cmd_name not in self._members:
            return None
        found = importlib.import_module(f".{cmd_name}", self._package).command
        assert isinstance(found, click.Command), "each module has one"
        found.name = cmd_name
        return found
