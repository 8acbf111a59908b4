"""``hdist host log``: the scans of this class of hosts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.hosts import package_changes_json, package_line
from hashdist.fsutil.clock import time_text
from hashdist.hostscan.comparing import package_changes, previous
from hashdist.workflow.scans import log


@make(reads=True)
@click.argument("name", required=False)
@click.option("-n", "--max-count", type=click.IntRange(min=1), help="Not more than so many.")
def command(app: App, name: str | None, max_count: int | None) -> None:
    """List scans, newest first: those of NAME, or all. Hosts that are alike share one."""
    objects = app.store.objects
    scans = list(itertools.islice(log(app.session, name), max_count))
    rows = [(scan, previous(objects, scan)) for scan in scans]

    def lines() -> Iterator[str]:
        for scan, before in rows:
            yield f"{scan.commit.id[:12]}  {time_text(scan.commit.time)}  {scan.name} {scan.version}  on {scan.host}"
            if before is not None:
                yield from (f"    {package_line(change)}" for change in package_changes(before, scan))

    document = [
        {
            "commit": scan.commit.id,
            "time": time_text(scan.commit.time),
            "name": scan.name,
            "software_version": scan.version,
            "spec": scan.spec,
            "host": scan.host,
            "package_changes": package_changes_json(package_changes(before, scan) if before else ()),
        }
        for scan, before in rows
    ]
    app.emit({"scans": document}, lines)
