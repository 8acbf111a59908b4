"""``hdist load``: put a prefix into this shell; the shell's function does it, this tells how to get that."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.errors import UsageError


class NoFunctionError(UsageError):
    """A program cannot change the shell that started it."""

    code = "no_function"


def need_function(verb: str) -> NoFunctionError:
    """What is said by those commands that only a shell can do."""
    return NoFunctionError(
        f"'{verb}' changes your shell, and takes no options: that needs the shell's hdist function",
        hint='eval "$(hdist init-shell bash)", or zsh, dash, tcsh; in fish: hdist init-shell fish | source',
    )


@make()
@click.argument("names", nargs=-1, metavar="[PROFILE|REVISION|PREFIX]...")
def load(app: App, names: tuple[str, ...]) -> None:  # noqa: ARG001 - the shell's function takes them
    """Put prefixes into this shell; without a name what is checked out. hdist init-shell gives what it needs.

    A prefix that was loaded under the same name before makes room for it.
    """
    raise need_function("load")


command = load
