"""``hdist make-prefix``: make a prefix of artifacts."""

from __future__ import annotations

import click

from hashdist.checkout import prefix
from hashdist.checkout.links import Member
from hashdist.cli.app import App, command as make
from hashdist.objects.artifact_id import ArtifactId
from hashdist.store.artifacts import NotBuiltError


@make()
@click.argument("artifacts", nargs=-1, required=True, metavar="NAME/VERSION/SPEC...")
@click.option("-n", "--dry-run", is_flag=True, help="Print what it would hold, a line each, and make nothing.")
def make_prefix(app: App, artifacts: tuple[str, ...], dry_run: bool) -> None:
    """Make the prefix of these artifacts, and print its path. It lives while its artifacts do."""
    store = app.store
    wanted = [ArtifactId.parse(text) for text in artifacts]
    missing = store.artifacts.missing(wanted)
    if missing:
        raise NotBuiltError(f"not built: {', '.join(map(str, missing))}", hint="hdist build")
    plan = prefix.plan(store, [Member(one, store.artifacts.path(one)) for one in wanted])
    if dry_run:
        for line in prefix.layout(store, plan, env=app.env).lines():
            app.put(line)
        return
    with store.lock(shared=True, purpose="make a prefix"):
        app.put(prefix.make(store, plan, env=app.env))


command = make_prefix
