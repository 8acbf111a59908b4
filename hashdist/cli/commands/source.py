"""``hdist source``: fetch sources, tell of them, and write them where they are wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import click

from hashdist.cli.app import App, command as make, human_size
from hashdist.errors import HashdistError, UsageError
from hashdist.fsutil.clock import time_text
from hashdist.objects.measuring import measure
from hashdist.sources.getting import get_archive, get_source
from hashdist.sources.mirror import write_mirror
from hashdist.sources.pin import Pin
from hashdist.sources.pypi import parse_python
from hashdist.sources.request import Request
from hashdist.sources.typed import declare
from hashdist.store.provenance import Seen
from hashdist.store.roots import in_use
from hashdist.store.sources import SWHID
from hashdist.workflow.fetching import fetch_sources, sources_of


@click.group("source", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Sources: trees of upstream files, named by their git tree id (which is their SWHID)."""


@make(creates=True, reads=True, fetches=True)
@click.argument("things", metavar="URL|git+URL[@REV]|pypi:NAME==VERSION|PATH...", nargs=-1, required=True)
@click.option("--sha256", help="Refuse an archive with another hash.")
@click.option("--rev", help="The branch, tag or commit of a git repository.")
@click.option("--subdir", help="Take this directory only.")
@click.option("--wheel", metavar="ABI", help="Of releases: the wheel that fits this Python (such as cp312), here.")
@click.option("-z", "--null", is_flag=True, help="End each id with a NUL instead of a line end.")
def add(
    app: App,
    things: tuple[str, ...],
    sha256: str | None,
    rev: str | None,
    subdir: str | None,
    wheel: str | None,
    null: bool,
) -> None:
    """Fetch, verify and import sources, and print their ids, in the order in which they were named."""
    if len(things) > 1 and (sha256 or rev):
        raise UsageError("--sha256 and --rev are for one source at a time")
    target = parse_python(wheel) if wheel else None

    def request(thing: str) -> Request:
        return Request(declare(thing, sha256=sha256, subdir=subdir, rev=rev, wheel=wheel is not None), target)

    requests = {thing: request(thing) for thing in things}
    with in_use(app.store):
        found = app.session.fetcher.pin_all(requests)
    failures = [one for one in found.values() if isinstance(one, HashdistError)]
    pins = {thing: one for thing, one in found.items() if isinstance(one, Pin)}
    if pins:
        app.say("kept for gc's grace period, and longer once a profile uses it")
    if not app.as_json:
        for thing in things:
            if thing in pins:
                app.put(pins[thing].tree, null=null)
    if failures:
        for failure in failures[1:]:
            app.complain(failure)
        raise failures[0]
    if app.as_json:
        documents = [
            {"id": pin.tree, "swhid": SWHID + pin.tree, **pin.to_json()} for pin in map(pins.get, things) if pin
        ]
        app.emit({"sources": documents}, lambda: iter(()))


@make()
@click.argument("id")
@click.option("--to", "place", required=True, metavar="DIR", help="What to make.")
@click.option("--link", is_flag=True, help="Read-only hard links into the store: quick, and no further room.")
@click.option("--archive", is_flag=True, help="The archive as it came, as a file.")
def get(app: App, id: str, place: str, link: bool, archive: bool) -> None:
    """Write the files of a source into the new directory DIR; exit 3 when the source is not here."""
    source = app.store.sources.find(id)
    if archive:
        get_archive(app.store, source, place, app.session.fetcher.network())
    else:
        get_source(app.store, source, place, link=link, progress=app.progress)


@make(reads=True, fetches=True)
@click.argument("revision", metavar="[REV]", required=False)
def fetch(app: App, revision: str | None) -> None:
    """Bring every source that a profile (HEAD) names, so that it can be built without a network."""
    pins, missing = fetch_sources(app.session, revision)
    app.say(f"{missing} of {len(pins)} sources fetched")
    app.emit({"sources": [pin.to_json() for pin in pins], "fetched": missing}, lambda: iter(()))


@make(reads=True)
@click.option("-z", "--null", is_flag=True, help="End each line with a NUL.")
def list_(app: App, null: bool) -> None:
    """List all sources that are here: id, a tab, and where it came from last; with -q ids alone."""
    found = [(id, app.store.sources.seen(id)) for id in app.store.sources.all()]
    documents = [{"id": id, **(_json(seen[0]) if seen else {})} for id, seen in found]
    if app.as_json:
        app.emit({"sources": documents}, lambda: iter(()))
        return
    for id, seen in found:
        app.put(id if app.quiet else f"{id}\t{_where(seen[0]) if seen else '?'}", null=null)


@make(reads=True)
@click.argument("id")
def show(app: App, id: str) -> None:
    """Tell what a source is: where it came from last, its archive, how much it holds."""
    source = app.store.sources.find(id)
    seen = app.store.sources.seen(source)
    files, size = measure(app.store.objects, source)
    document: dict[str, Any] = {"id": source, "swhid": SWHID + source, "files": files, "size": size}
    document |= _json(seen[0]) if seen else {}

    def lines() -> Iterator[str]:
        for name, value in document.items():
            if name == "size":
                yield f"{'size':<12}{human_size(value)}"
            else:
                yield f"{name.replace('_', ' '):<12}{value}"

    app.emit(document, lines)


@make(reads=True)
@click.argument("id")
@click.option("-z", "--null", is_flag=True, help="End each line with a NUL.")
def log(app: App, id: str, null: bool) -> None:
    """List the places that a source came from, the latest first: date, hash of the archive or commit, place."""
    source = app.store.sources.find(id)
    seen = app.store.sources.seen(source)
    if app.as_json:
        app.emit({"id": source, "seen": [_json(one) for one in seen]}, lambda: iter(()))
        return
    for one in seen:
        of = one.provenance
        app.put("\t".join((time_text(one.time), of.sha256 or of.commit or "-", _where(one))), null=null)


@make(reads=True)
@click.argument("folder", metavar="DIR")
@click.argument("revisions", metavar="[REV]...", nargs=-1)
def mirror(app: App, folder: str, revisions: tuple[str, ...]) -> None:
    """Write the sources of profiles, or all that are here, into DIR, for others to fetch by hash.

    Serve DIR with any web server or from a shared directory, and name it in HDIST_MIRRORS or with --mirror.
    """
    if not folder:
        raise UsageError("an empty text names no directory")
    wanted = sources_of(app.session, revisions) if revisions else app.store.sources.all()
    made = []
    with in_use(app.store), app.progress.task("mirror", len(wanted), "source") as task:
        for one in write_mirror(app.store, os.path.abspath(folder), wanted, app.session.fetcher.network()):
            made.append(one)
            task.advance()
    app.say(f"{sum(one.new for one in made)} of {len(made)} sources are new in {folder}")
    app.emit(
        {"sources": [{"id": one.id, "path": one.path, "new": one.new} for one in made]},
        lambda: (f"{one.id}\t{one.path}" for one in made),
    )


def _json(seen: Seen) -> dict[str, Any]:
    return {**seen.provenance.to_json(), "date": time_text(seen.time)}


def _where(seen: Seen) -> str:
    of = seen.provenance
    rev = f" {of.rev}" if of.rev else ""
    subdir = f" ({of.subdir})" if of.subdir else ""
    return f"{of.url or '?'}{rev}{subdir}"


for _one in (add, get, fetch, list_, show, log, mirror):
    command.add_command(_one)
