"""``hdist host diff``: what differs between scans, or between hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.hosts import file_changes_json, package_changes_json, package_line
from hashdist.hostscan.comparing import ScanChange
from hashdist.workflow.scans import compare

_SHOWN = 20


@make(reads=True)
@click.argument("old", required=False)
@click.argument("new", required=False)
def command(app: App, old: str | None, new: str | None) -> None:
    """Tell what differs between two scans or two hosts.

    OLD and NEW are names of hosts (login1 node17), or scans: NAME, NAME~1, NAME@{1}, a commit. With one NAME, its last
    two scans; with one host, that host and this one; with none, the last two scans of everything.
    """
    changes = compare(app.session, old, new)
    app.emit({"changes": [_json(change) for change in changes]}, lambda: _lines(changes))


def _lines(changes: list[ScanChange]) -> Iterator[str]:
    for change in changes:
        if change.old is None or change.new is None:
            there = change.old or change.new
            yield f"{'-' if change.new is None else '+'} {change.name} {there.version if there else ''}"
            continue
        versions = dict.fromkeys((change.old.version, change.new.version))
        builds = "builds are the same" if change.same_spec else "builds differ"
        yield f"~ {change.name} {' → '.join(versions)}: {builds}"
        yield from (f"    {package_line(one)}" for one in change.packages)
        yield from (f"    {one.path} {one.kind}" for one in change.files[:_SHOWN])
        if len(change.files) > _SHOWN:
            yield f"    and {len(change.files) - _SHOWN} more files"


def _json(change: ScanChange) -> dict[str, Any]:
    sides = {
        side: None if scan is None else {"commit": scan.commit.id, "host": scan.host, "spec": scan.spec}
        for side, scan in (("old", change.old), ("new", change.new))
    }
    return {
        "name": change.name,
        **sides,
        "rebuilds": not change.same_spec,
        "packages": package_changes_json(change.packages),
        "files": file_changes_json(change.files),
    }
