"""``hdist host scan``: capture host software."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.hosts import file_count, package_changes_json, package_line
from hashdist.hostscan.comparing import package_changes
from hashdist.hostscan.scans import read_scan
from hashdist.workflow.hosts import Scanned, entries_named, scan_host


@make(creates=True, reads=True)
@click.argument("what", nargs=-1, metavar="[FINDER|NAME=FINDER|NAME]...")
def command(app: App, what: tuple[str, ...]) -> None:
    """Capture host software, and record it where it differs from the scan before.

    FINDER is dpkg:NAME, rpm:NAME, path:COMMAND, path:/ABSOLUTE/PATH, pkgconfig:NAME or module:A/1,B/2; NAME is one of
    the profile's host entries or of an earlier scan. Without any, all of those.
    """
    scanned = scan_host(app.session, entries_named(app.session, what))
    objects = app.store.objects

    def lines() -> Iterator[str]:
        for one in scanned:
            yield f"{one.capture.name} {one.capture.version}  {one.capture.spec.id[:12]}  {one.path}"
            if one.before is None:
                app.say(f"{one.capture.name}: new, {file_count(one.capture.manifest)} files")
            elif one.before.commit.id == one.commit:
                app.say(f"{one.capture.name}: unchanged")
            else:
                builds = "builds are the same" if one.before.spec == one.capture.spec.id else "builds differ"
                app.say(f"{one.capture.name}: changed, {builds}: hdist host diff {one.capture.name}")
                for change in package_changes(one.before, read_scan(objects, one.commit)):
                    app.say(f"  {package_line(change)}")

    app.emit({"scans": [_json(app, one) for one in scanned]}, lines)
    if app.store.refs.undoable:
        app.say_done("recorded")


def _json(app: App, one: Scanned) -> dict[str, Any]:
    host = one.capture.spec.host
    assert host is not None, "captures are of host software"
    return {
        "name": one.capture.name,
        "finder": one.capture.finder,
        "software_version": one.capture.version,
        "identity": host.identity,
        "spec": one.capture.spec.id,
        "path": one.path,
        "commit": one.commit,
        "changed": one.before is None or one.before.commit.id != one.commit,
        "rebuilds": one.before is not None and one.before.spec != one.capture.spec.id,
        "links": len(one.capture.links),
        "files": file_count(one.capture.manifest),
        "fingerprint": one.capture.fingerprint,
        "facts": dict(host.facts),
        "environment": dict(host.environment),
        "paths": {name: list(entries) for name, entries in host.paths.items()},
        "packages": [
            {"manager": line.manager, "name": line.name, "package_version": line.version, "identity": line.identity}
            for line in one.capture.packages
        ],
        "package_changes": package_changes_json(
            package_changes(one.before, read_scan(app.store.objects, one.commit)) if one.before else ()
        ),
    }
