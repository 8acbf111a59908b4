"""``hdist diff``: what differs between two profiles."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.changes import change_lines, changes_json
from hashdist.workflow.comparing import compare
from hashdist.workflow.profile import find


@make(reads=True)
@click.argument("old", required=False)
@click.argument("new", required=False)
def diff(app: App, old: str | None, new: str | None) -> None:
    """Tell what differs between OLD (what is checked out) and NEW (HEAD), package by package; A..B works too."""
    if old and ".." in old and new is None:
        old, _, new = old.partition("..")
    before = find(app.store, old) if old else app.store.refs.get("refs/checkouts/current/at") or find(app.store, None)
    changes = compare(app.store.objects, before, find(app.store, new), refs=app.store.refs)
    app.emit({"changes": changes_json(changes)}, lambda: change_lines(changes))


command = diff
