"""``hdist spack config``: host software as externals of Spack's."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.workflow.spack.externals import as_yaml, externals


@make(reads=True)
@click.argument("names", nargs=-1, metavar="[ENTRY[=PACKAGE]]...")
def config(app: App, names: tuple[str, ...]) -> None:
    """Print a packages.yaml in which captured host software is external, by paths that have its hash.

    ENTRY is a host entry (hdist host list), PACKAGE what Spack calls it; without any, all that were captured. When the
    host's software changes and is scanned again, so does its path, and Spack sees it.
    """
    document = externals(app.session, names)
    app.emit(document, lambda: iter(as_yaml(document).rstrip("\n").split("\n")))


command = config
