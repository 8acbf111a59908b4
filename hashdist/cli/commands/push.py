"""``hdist push``: send profiles to a remote."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.refs import names
from hashdist.workflow import pushing


@make(reads=True, fetches=True)
@click.argument("name", required=False, metavar="[REMOTE]")
@click.argument("profiles", nargs=-1, metavar="[PROFILE]...")
@click.option("--tags", is_flag=True, help="All tags too.")
@click.option("--hosts", is_flag=True, help="The scans of hosts too.")
@click.option("--with-sources", is_flag=True, help="All sources too, also those that can be had by their hash.")
@click.option("--with-local", is_flag=True, help="Sources that are nowhere but here too.")
@click.option("--force-with-lease", is_flag=True, help="Replace what was fetched last, if nothing newer is there.")
def push(
    app: App,
    name: str | None,
    profiles: tuple[str, ...],
    tags: bool,
    hosts: bool,
    with_sources: bool,
    with_local: bool,
    force_with_lease: bool,
) -> None:
    """Send PROFILEs (the one HEAD names) to REMOTE (the one that is followed): stack file, lock and specs.

    Sources that are nowhere but here are listed with their sizes, and go only --with-local.
    """
    done = pushing.push(
        app.session,
        name,
        profiles,
        tags=tags,
        hosts=hosts,
        with_sources=with_sources,
        with_local=with_local,
        force=force_with_lease,
    )

    def lines() -> Iterator[str]:
        for one in done.sent:
            yield f"{names.short_name(one.ref)} {one.commit[:12] if one.commit else '(none)'}"

    rows = [{"ref": one.ref, "commit": one.commit} for one in done.sent]
    app.emit({"remote": done.remote.name, "pushed": rows, "absent": list(done.absent)}, lines)
    for id in done.absent:
        app.say(f"source {id[:12]} is not here, and did not go along")
    app.say(f"pushed to {done.remote.name}" if done.sent else f"{done.remote.name} has all of it already")


command = push
