"""``hdist source mirror``: write sources where others can fetch them by hash."""

from __future__ import annotations

import os

import click

from hashdist.cli.app import App, command as make
from hashdist.errors import UsageError
from hashdist.sources.mirror import Mirrored, write_mirror
from hashdist.store.roots import in_use
from hashdist.workflow.fetching import sources_of


@make(reads=True)
@click.argument("folder", metavar="DIR")
@click.argument("revisions", metavar="[REV]...", nargs=-1)
def command(app: App, folder: str, revisions: tuple[str, ...]) -> None:
    """Write the sources of profiles, or all that are here, into DIR, for others to fetch by hash.

    Serve DIR with any web server or from a shared directory, and name it in HDIST_MIRRORS or with --mirror.
    """
    if not folder:
        raise UsageError("an empty text names no directory")
    wanted = sources_of(app.session, revisions) if revisions else app.store.sources.all()
    made: list[Mirrored] = []
    with in_use(app.store, purpose="source mirror"), app.progress.task("mirror", len(wanted), "source") as task:
        for one in write_mirror(app.store, os.path.abspath(folder), wanted, app.settings):
            task.advance(int(not made or made[-1].id != one.id))
            made.append(one)
    app.say(f"{sum(one.new for one in made)} of {len(made)} files are new in {folder}")
    app.emit(
        {"sources": [{"id": one.id, "path": one.path, "new": one.new} for one in made]},
        lambda: (f"{one.id}\t{one.path}" for one in made),
    )
