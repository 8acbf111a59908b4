"""``hdist source add``: fetch, verify and import sources."""

from __future__ import annotations

from typing import Any

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.errors import error_json
from hashdist.cli.quick import KEPT
from hashdist.errors import HashdistError, UsageError
from hashdist.sources.declaration import Declaration, PathSource
from hashdist.sources.local import add_path
from hashdist.sources.pin import Pin
from hashdist.sources.typed import declare
from hashdist.store.roots import in_use
from hashdist.store.sources import SWHID


@make(creates=True, reads=True, fetches=True)
@click.argument("things", metavar="URL|git+URL[@REV]|pypi:NAME==VERSION|PATH...", nargs=-1, required=True)
@click.option("--sha256", help="Refuse an archive with another hash.")
@click.option("--rev", help="The branch, tag or commit of a git repository.")
@click.option("--subdir", help="Take this directory only.")
@click.option("--wheel", metavar="ABI", help="Of releases: the wheel that fits this Python (such as cp312), here.")
@click.option("-z", "--null", is_flag=True, help="End each id with a NUL instead of a line end.")
def command(
    app: App,
    things: tuple[str, ...],
    sha256: str | None,
    rev: str | None,
    subdir: str | None,
    wheel: str | None,
    null: bool,
) -> int:
    """Fetch, verify and import sources, and print their ids, in the order in which they were named."""
    if len(things) > 1 and (sha256 or rev):
        raise UsageError("--sha256 and --rev are for one source at a time")
    wanted = {thing: declare(thing, sha256=sha256, subdir=subdir, rev=rev, wheel=wheel is not None) for thing in things}
    with in_use(app.store, purpose="source add"):
        found = _add_all(app, wanted, wheel)
    pins = {thing: one for thing, one in found.items() if isinstance(one, Pin)}
    failures = {thing: one for thing, one in found.items() if isinstance(one, HashdistError)}
    if pins:
        app.say(KEPT.rstrip())
    if not app.as_json:
        for thing in things:
            if thing in pins:
                app.put(pins[thing].tree, null=null)
    if not failures or app.as_json:
        documents = [
            {"id": pin.tree, "swhid": SWHID + pin.tree, **pin.to_json()} for pin in map(pins.get, things) if pin
        ]
        app.emit({"sources": documents, **_errors(failures)}, lambda: iter(()))
        return next((failure.exit_code for failure in failures.values()), 0)
    first, *others = failures.values()
    for failure in others:
        app.complain(failure)
    raise first


def _add_all(app: App, wanted: dict[str, Declaration], wheel: str | None) -> dict[str, Pin | HashdistError]:
    found: dict[str, Pin | HashdistError] = {}
    here = {thing: one for thing, one in wanted.items() if isinstance(one, PathSource)}
    if len(here) < len(wanted):
        # what talks to servers takes its time to load
        from hashdist.sources.fetching import Fetcher  # noqa: PLC0415
        from hashdist.sources.pypi import parse_python  # noqa: PLC0415
        from hashdist.sources.request import Request  # noqa: PLC0415

        target = parse_python(wheel) if wheel else None
        requests = {thing: Request(one, target) for thing, one in wanted.items() if thing not in here}
        found |= Fetcher(app.store, None, app.env, app.settings, app.progress).pin_all(requests)
    for thing, one in here.items():
        try:
            found[thing] = add_path(app.store, one, one.path, env=app.env, settings=app.settings, progress=app.progress)
        except HashdistError as error:
            found[thing] = error
    return {thing: found[thing] for thing in wanted}


def _errors(failures: dict[str, HashdistError]) -> dict[str, Any]:
    """What went wrong, for programs: everything, and as for all commands what ended this one."""
    if not failures:
        return {}
    told = [{"thing": thing, **error_json(error)} for thing, error in failures.items()]
    return {"errors": told, "error": error_json(next(iter(failures.values())))}
