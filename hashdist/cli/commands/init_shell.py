"""``hdist init-shell``: print what gives a shell the hdist function."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.shells import FAMILIES, initial


@make()
@click.argument("shell", type=click.Choice([*FAMILIES, "direnv"]))
def init_shell(app: App, shell: str) -> None:
    """Print the function that lets hdist load and unload change this shell.

    In ~/.bashrc, ~/.zshrc or ~/.profile: eval "$(hdist init-shell bash)"; in config.fish: hdist init-shell fish |
    source; in ~/.tcshrc: eval "`hdist init-shell tcsh`"; for direnv into ~/.config/direnv/lib/hdist.sh.
    """
    app.put(initial(shell).rstrip("\n"))


command = init_shell
