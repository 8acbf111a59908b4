"""``hdist bundle``: profiles with all their sources in one file."""

from __future__ import annotations

import os

import click

from hashdist.cli.app import App, command as make, here, human_size
from hashdist.workflow import bundling


@make(reads=True, fetches=True)
@click.argument("file")
@click.argument("profiles", nargs=-1, metavar="[PROFILE]...")
@click.option("--tags", is_flag=True, help="All tags too.")
def bundle(app: App, file: str, profiles: tuple[str, ...], tags: bool) -> None:
    """Write PROFILEs (the one HEAD names) with specs and all their sources into FILE, a bundle of git's.

    On a machine without a network hdist clone FILE and hdist fetch read it. Sources that are not here are fetched
    before.
    """
    done = bundling.bundle(app.session, os.path.join(here()[0], file), profiles, tags=tags)
    rows = [{"ref": name, "commit": commit} for name, commit in done.refs]
    app.emit({"path": done.path, "size": done.size, "refs": rows}, lambda: iter([done.path]))
    app.say(f"{human_size(done.size)}, {done.sources} sources; on the other side: hdist clone {os.path.basename(file)}")


command = bundle
