"""``hdist host list``: what was captured of the host."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.hosts import file_count
from hashdist.errors import NotFoundError
from hashdist.fsutil.clock import time_text
from hashdist.hostscan.scans import Scan, newest_scans
from hashdist.objects.spec import read_spec


@make(reads=True)
@click.argument("wanted", nargs=-1, metavar="[NAME]...")
@click.option("--files", is_flag=True, help="Every link and file with its hash, as the manifest has them.")
@click.option("--packages", is_flag=True, help="Every package with its version, and by what it counts.")
def command(app: App, wanted: tuple[str, ...], files: bool, packages: bool) -> None:
    """List the newest scan of each NAME (all of them) for hosts of this class."""
    store = app.store
    scans = newest_scans(store.refs, store.objects, app.session.where.host_class)
    for name in wanted:
        if name not in scans:
            raise NotFoundError(f"'{name}' was never scanned here", hint=f"hdist host scan dpkg:{name}")
    chosen = [scans[name] for name in wanted or scans]
    rows = [(one, read_spec(store.objects, one.spec)) for one in chosen]
    width = max((len(one.name) for one in chosen), default=0)

    def lines() -> Iterator[str]:
        for one, spec in rows:
            identity = spec.host.identity if spec.host else ""
            start = f"{one.name:<{width}}  {one.version:<18}  {one.spec[:12]}"
            yield f"{start}  {identity:<8}  {one.finder}  ({_when(one)})"
            if packages:
                yield from (f"    {line.name} {line.version}  {line.identity}" for line in one.packages)
            if files:
                yield from (f"    {line}" for line in one.manifest(store.objects).decode().splitlines())

    document = [
        {
            "name": one.name,
            "find": list(one.entry.find),
            "finder": one.finder,
            "software_version": one.version,
            "identity": spec.host.identity if spec.host else None,
            "spec": one.spec,
            "path": store.artifacts.path(spec.artifact),
            "commit": one.commit.id,
            "scanned_at": time_text(one.commit.time),
            "host": one.host,
            "files": file_count(one.manifest(store.objects)),
            "packages": [
                {"manager": line.manager, "name": line.name, "package_version": line.version, "identity": line.identity}
                for line in one.packages
            ],
        }
        for one, spec in rows
    ]
    app.emit({"class": app.session.where.host_class, "scans": document}, lines)


def _when(scan: Scan) -> str:
    return f"{time_text(scan.commit.time)[:10]} on {scan.host}"
