"""``hdist easybuild forget``: have a package be in no profile any more."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.workflow.easybuild.installed import forget as drop


@make()
@click.argument("name", metavar="NAME[/VERSION]")
def forget(app: App, name: str) -> None:
    """Leave a package that EasyBuild installed out of what commit --from-easybuild records from now on.

    When no profile names it any more hdist gc takes it away. Installed again, or found installed, it is back.
    """
    gone = drop(app.store, name)
    app.say(f"forgot {', '.join(gone)}; next: hdist commit --from-easybuild -m MESSAGE")


command = forget
