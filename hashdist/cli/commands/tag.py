"""``hdist tag``: list, make or delete tags."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.refs import names
from hashdist.workflow import branching


@make(reads=True)
@click.argument("name", required=False)
@click.argument("revision", required=False)
@click.option("-d", "--delete", is_flag=True, help="Delete NAME.")
@click.option("-m", "--message", help="Make a tag of git's own, with a message.")
@click.option("-s", "--sign", is_flag=True, help="Sign it with the key that trust.sign names.")
def tag(app: App, name: str | None, revision: str | None, delete: bool, message: str | None, sign: bool) -> None:
    """List tags; or make NAME at REVISION (HEAD); or delete it."""
    if name is None:
        if delete:
            raise click.UsageError("name the tag to delete")
        found = app.store.refs.all(names.TAGS)

        def lines() -> Iterator[str]:
            yield from (f"{names.short_name(ref)} {commit[:12]}" for ref, commit in found.items())

        app.emit({"tags": [{"name": names.short_name(ref), "commit": commit} for ref, commit in found.items()]}, lines)
    elif delete:
        was = branching.delete_tag(app.store, name)
        app.emit({"deleted": name, "commit": was}, lambda: iter(()))
        app.say_done(f"deleted tag {name}, which was at {was[:12]}")
    elif message is not None or sign:
        signer = app.session.signer
        if sign and signer is None:
            raise click.UsageError("no key to sign with: hdist config trust.sign ~/.ssh/id_ed25519")
        commit = branching.create_message_tag(
            app.store, name, revision, message=message or name, signer=signer if sign else None
        )
        app.emit({"name": name, "commit": commit}, lambda: iter(()))
        app.say_done(f"tagged {commit[:12]} as {name}")
    else:
        commit = branching.create_tag(app.store, name, revision)
        app.emit({"name": name, "commit": commit}, lambda: iter(()))
        app.say_done(f"tagged {commit[:12]} as {name}")


command = tag
