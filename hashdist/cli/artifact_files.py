"""``hdist artifact export`` and ``import``: artifacts as files."""

from __future__ import annotations

import os

import click

from hashdist.workflow import carrying

from .app import App, command as make, here


@make(reads=True)
@click.argument("what", metavar="REV|ARTIFACT")
@click.option("-o", "--output", "folder", metavar="DIR", default=".", help="Where the files go; else here.")
def export(app: App, what: str, folder: str) -> None:
    """Write what is built of a profile, or one artifact with what it refers to, into files, one for each artifact.

    Whoever has a store at the same path takes them with hdist artifact import, or hdist build --from.
    """
    done = carrying.export(app.session, what, os.path.join(here()[0], folder))
    rows = [{"artifact": str(artifact), "path": path} for artifact, path in done]
    app.emit({"files": rows}, lambda: (path for _, path in done))


@make(reads=True)
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
def import_(app: App, paths: tuple[str, ...]) -> None:
    """Take artifacts from files, after checking every byte; they are kept as if they had been built here."""
    done = carrying.take_files(app.session, [os.path.join(here()[0], path) for path in paths])
    rows = [{"artifact": str(artifact), "new": new} for artifact, new in done]
    app.emit({"artifacts": rows}, lambda: (str(artifact) for artifact, _ in done))
    count = sum(new for _, new in done)
    app.say(f"took {count}; kept for gc's grace period, and longer once a profile has it" if count else "all were here")
