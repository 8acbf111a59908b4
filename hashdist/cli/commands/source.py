"""``hdist source``: add, get and list sources."""

from __future__ import annotations

import os

import click

from hashdist.cli.app import App, command as make
from hashdist.errors import ConflictError, InvalidError
from hashdist.fsutil.staging import staged_directory
from hashdist.objects.exporting import export_tree
from hashdist.objects.ids import SourceId
from hashdist.sources.fetching import declare

_SWHID = "swh:1:dir:"


@click.group("source", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Sources: trees of upstream files, named by their git tree id (which is their SWHID)."""


@make(creates=True)
@click.argument("thing", metavar="URL|PATH|pypi:NAME==VERSION")
@click.option("--sha256", help="Refuse an archive with another hash.")
@click.option("--subdir", help="Take this directory only.")
def add(app: App, thing: str, sha256: str | None, subdir: str | None) -> None:
    """Fetch, verify and import a source, and print its id."""
    pin = app.session.fetcher.pin(declare(thing, sha256=sha256, subdir=subdir))
    app.say("kept for gc's grace period, and longer once a profile uses it")
    app.put(pin.tree)


@make()
@click.argument("id")
@click.option("--to", "place", required=True, metavar="DIR", help="The directory to make.")
def get(app: App, id: str, place: str) -> None:
    """Write the files of a source into the new directory DIR; exit 3 when the source is not here."""
    source = app.store.sources.check(SourceId(id.removeprefix(_SWHID)))
    if os.path.lexists(place):
        raise ConflictError(f"there is a '{place}' already", hint="choose another directory")
    if not os.path.isdir(os.path.dirname(os.path.abspath(place))):
        raise InvalidError(f"no directory '{os.path.dirname(os.path.abspath(place))}'")
    with staged_directory(os.path.abspath(place), mode=0o755) as staging:
        os.rmdir(staging)
        export_tree(app.store.objects, source, staging, mtime=app.store.now())


@make(reads=True)
def list_(app: App) -> None:
    """List the ids of all sources that are here."""
    found = app.store.sources.all()
    app.emit({"sources": list(found)}, lambda: iter(found))


for _one in (add, get, list_):
    command.add_command(_one)
