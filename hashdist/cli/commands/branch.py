"""``hdist branch``: list, make or delete profiles."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.refs import names
from hashdist.workflow import branching


@make(reads=True)
@click.argument("name", required=False)
@click.argument("start", required=False)
@click.option("-d", "--delete", is_flag=True, help="Delete NAME if its commits are in another profile too.")
@click.option("-D", "force", is_flag=True, help="Delete NAME anyway.")
def branch(app: App, name: str | None, start: str | None, delete: bool, force: bool) -> None:
    """List profiles; or make NAME at START (HEAD); or delete it."""
    store = app.store
    if name is None:
        if delete or force:
            raise click.UsageError("name the profile to delete")
        _list(app)
    elif delete or force:
        was = branching.delete_branch(store, name, force=force)
        app.say(f"deleted {name}; undo: hdist branch {name} {was[:12]}")
    else:
        commit = branching.create_branch(store, name, start)
        app.say(f"made {name}@{commit[:12]}; undo: hdist branch -d {name}")


def _list(app: App) -> None:
    refs = app.store.refs
    head = refs.symbolic("HEAD")
    found = refs.all(names.HEADS)

    def lines() -> Iterator[str]:
        for ref, commit in found.items():
            yield f"{'*' if ref == head else ' '} {names.short_name(ref)} {commit[:12]}"

    profiles = [{"name": names.short_name(ref), "commit": commit, "head": ref == head} for ref, commit in found.items()]
    app.emit({"profiles": profiles}, lines)


command = branch
