"""``hdist seal-artifact``: make what a script built an artifact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

import click

from hashdist.build.staging import abandon, seal_staged, staged_at
from hashdist.cli.app import App, command as make
from hashdist.errors import NotFoundError
from hashdist.objects.spec import read_spec
from hashdist.workflow.naming import find_spec


@make(reads=True)
@click.argument("what", metavar="ID|PATH")
@click.option("--log", "log", type=click.File("rb"), metavar="FILE", help="What the build printed; '-' reads it.")
@click.option("--seconds", type=click.IntRange(min=0), default=0, help="How long it took.")
@click.option("--abandon", "gone", is_flag=True, help="Take the directory away instead.")
def seal_artifact(app: App, what: str, log: BinaryIO | None, seconds: int, gone: bool) -> None:
    """Seal what was built into the directory that stage-artifact made, record it, and print the artifact.

    ID is the spec's, PATH the directory. From then on it cannot be changed; it is kept while a profile, a pin or
    another artifact names it.
    """
    found = staged_at(app.store, what) if os.path.isdir(what) else None
    found = found or find_spec(app.store, what)
    if found is None:
        raise NotFoundError(f"no spec '{what}'", hint="hdist stage-artifact writes it")
    spec = read_spec(app.store.objects, found)
    if gone:
        abandon(app.store, spec)
        app.say(f"took {spec.artifact} away")
        return
    seal_staged(app.store, spec, log=log.read() if log else b"", seconds=seconds)
    document = {"artifact": str(spec.artifact), "spec": spec.id, "path": app.store.artifacts.path(spec.artifact)}

    def lines() -> Iterator[str]:
        yield str(spec.artifact)

    app.emit(document, lines)
    app.say(f'kept while something names it: hdist pin {spec.id[:12]}, or spec = "{spec.id}" in a stack file')


command = seal_artifact
