"""``hdist hash-source``: print the id of a directory or archive."""

from __future__ import annotations

import tempfile

import click

from hashdist.cli.app import App, command as make
from hashdist.objects import libgit2
from hashdist.objects.database import ObjectDatabase
from hashdist.sources.path import import_path


@make()
@click.argument("path", type=click.Path(exists=True))
def hash_source(app: App, path: str) -> None:
    """Print the id that PATH has as a source. Nothing is kept: hdist source add does that."""
    with tempfile.TemporaryDirectory(prefix="hdist-") as folder:
        libgit2.init_repository(folder)
        found = import_path(
            ObjectDatabase(folder), path, env=app.env, limits=app.settings.limits, progress=app.progress, hash_only=True
        )
    app.put(found.tree)


command = hash_source
