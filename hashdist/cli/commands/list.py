"""``hdist list``: list the packages of a profile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import SpecId
from hashdist.refs.edges import EdgeReader
from hashdist.workflow.profile import find, read_profile


@make(reads=True)
@click.argument("revision", required=False)
def list_(app: App, revision: str | None) -> None:
    """List packages and host software of a profile (HEAD): version, artifact, and whether it is built."""
    store = app.store
    lock = read_profile(store.objects, find(store, revision)).lock
    rows = [("package", name, pin.version, pin.spec) for name, pin in sorted(lock.packages.items())]
    rows += [("host", name, pin.version, pin.spec) for name, pin in sorted(lock.host.items())]
    missing = {one.spec for one in store.artifacts.missing(_artifacts(app, [row[3] for row in rows]))}
    width = max((len(name) for _, name, _, _ in rows), default=0)

    def lines() -> Iterator[str]:
        for kind, name, version, spec in rows:
            state = "missing" if spec in missing else "host" if kind == "host" else "built"
            yield f"{name:<{width}}  {version:<12}  {spec[:12]}  {state}"

    packages = [
        {"kind": kind, "name": name, "package_version": version, "spec": spec, "built": spec not in missing}
        for kind, name, version, spec in rows
    ]
    app.emit({"packages": packages}, lines)


def _artifacts(app: App, specs: Iterable[SpecId]) -> list[ArtifactId]:
    edges = EdgeReader(app.store.objects)
    return [edges.spec(spec).artifact for spec in specs]


command = list_
