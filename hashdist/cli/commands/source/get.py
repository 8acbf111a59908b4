"""``hdist source get``: write a source, or the archive that it came as, where it is wanted."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.sources.getting import get_archive, get_download, get_source

_HASH = "sha256:"


@make(reads=True)
@click.argument("id")
@click.option("--to", "place", required=True, metavar="DIR", help="What to make.")
@click.option("--link", is_flag=True, help="Read-only hard links into the store: quick, and no further room.")
@click.option("--archive", is_flag=True, help="The archive as it came, as a file.")
def command(app: App, id: str, place: str, link: bool, archive: bool) -> None:
    """Write the files of a source into the new directory DIR; exit 3 when the source is not here.

    With --archive ID may be the hash of a file that was downloaded: sha256:HASH.
    """
    if archive and id.startswith(_HASH):
        get_download(app.store, id[len(_HASH) :], place, app.settings)
        return
    source = app.store.sources.find(id)
    if archive:
        get_archive(app.store, source, place, app.settings)
    else:
        get_source(app.store, source, place, link=link, progress=app.progress)
