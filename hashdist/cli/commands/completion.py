"""``hdist completion``: print the completion script of a shell."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.shells import completing

_SHELLS = ("bash", "fish", "zsh")


@make()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(app: App, shell: str) -> None:
    """Print a script that completes commands, options, profiles, packages, ids: eval "$(hdist completion bash)"."""
    app.put(completing(shell).rstrip("\n"))


command = completion
