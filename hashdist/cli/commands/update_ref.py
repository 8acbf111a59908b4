"""``hdist update-ref``: move a ref, for scripts that make commits of their own."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.errors import ConflictError, InvalidError
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.workflow.profile import find

_ZERO = "0" * 40
#: What people may move: all else follows from what is here.
_MOVABLE = (names.HEADS, names.TAGS, names.PINS)


@make()
@click.argument("ref")
@click.argument("new", required=False)
@click.argument("old", required=False)
@click.option("-d", "--delete", is_flag=True, help="Delete REF; the next argument is what it must hold.")
@click.option("-m", "message", default="update-ref", help="What the reflog is to say.")
def update_ref(app: App, ref: str, new: str | None, old: str | None, delete: bool, message: str) -> None:
    """Have REF hold the commit NEW, if it holds OLD now; forty zeros for OLD mean that there must be none."""
    if not ref.startswith(_MOVABLE) or not names.is_ref_name(ref):
        raise InvalidError(f"'{ref}' is no ref that can be moved", hint=f"those below {', '.join(_MOVABLE)} can")
    if delete:
        new, old = None, new
    elif new is None:
        raise click.UsageError("Missing argument 'NEW'.")
    store = app.store
    with store.refs.transaction(message) as transaction:
        now = store.refs.get(ref)
        expected = now if old is None else None if old == _ZERO else find(store, old)
        if now != expected:
            raise ConflictError(f"'{ref}' is at {now or 'nothing'}, not at {expected or 'nothing'}")
        if new is None and now is not None:
            transaction.delete(ref, old=now)
        elif new is not None:
            transaction.update(ref, _commit(app, new), old=now)
    app.say_done(f"{ref} {(now or '(none)')[:12]} → {(store.refs.get(ref) or '(none)')[:12]}")


def _commit(app: App, text: str) -> CommitId:
    commit = find(app.store, text)
    if app.store.objects.kind(app.store.objects.peeled(commit)) != "commit":
        raise InvalidError(f"'{text}' is no commit")
    return commit


command = update_ref
