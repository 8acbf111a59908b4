"""``hdist diff``: what differs between two profiles."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.changes import change_lines, changes_json
from hashdist.workflow.comparing import compare
from hashdist.workflow.patches import patch as patch_of
from hashdist.workflow.profile import find


@make(reads=True)
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("-p", "--patch", is_flag=True, help="Also what people wrote: the stack file, patches.")
def diff(app: App, old: str | None, new: str | None, patch: bool) -> None:
    """Tell what differs between OLD (what is checked out) and NEW (HEAD), package by package; A..B works too."""
    if old and ".." in old and new is None:
        old, _, new = old.partition("..")
    before = find(app.store, old) if old else app.store.refs.get("refs/checkouts/current/at") or find(app.store, None)
    after = find(app.store, new or None)
    changes = compare(app.store.objects, before, after, refs=app.store.refs)
    written = list(patch_of(app.store.objects, before, after)) if patch else []

    def lines() -> Iterator[str]:
        yield from change_lines(changes)
        yield from written

    app.emit({"changes": changes_json(changes), **({"patch": written} if patch else {})}, lines)


command = diff
