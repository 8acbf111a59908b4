"""``hdist branch``: list, make or delete profiles."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.refs import names
from hashdist.workflow import branching
from hashdist.workflow.profile import head_branch


@make(reads=True)
@click.argument("name", required=False)
@click.argument("start", required=False)
@click.option("-d", "--delete", is_flag=True, help="Delete NAME if its commits are in another profile too.")
@click.option("-D", "force", is_flag=True, help="Delete NAME anyway.")
@click.option("-m", "--move", is_flag=True, help="Give the profile NAME the name START.")
def branch(app: App, name: str | None, start: str | None, delete: bool, force: bool, move: bool) -> None:
    """List profiles; or make NAME at START (HEAD); or delete it; or with -m give it another name: -m [OLD] NEW."""
    store = app.store
    if name is None:
        if delete or force or move:
            raise click.UsageError("name the profile")
        _list(app)
    elif move:
        old, new = (name, start) if start is not None else (names.short_name(head_branch(store)), name)
        commit = branching.rename_branch(store, old, new)
        app.emit({"name": new, "commit": commit}, lambda: iter(()))
        app.say_done(f"{old} is called {new} now, at {commit[:12]}")
    elif delete or force:
        was = branching.delete_branch(store, name, force=force)
        app.emit({"deleted": name, "commit": was}, lambda: iter(()))
        app.say_done(f"deleted {name}, which was at {was[:12]}")
    else:
        commit = branching.create_branch(store, name, start)
        app.emit({"name": name, "commit": commit}, lambda: iter(()))
        app.say_done(f"made {name}@{commit[:12]}")


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
