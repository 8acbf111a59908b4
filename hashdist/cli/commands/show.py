"""``hdist show``: show a commit, a package or the stack file of a profile."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.changes import change_lines, changes_json
from hashdist.cli.history import commit_json, commit_lines
from hashdist.errors import NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.refs.edges import EdgeReader
from hashdist.workflow.comparing import compare
from hashdist.workflow.patches import patch as patch_of
from hashdist.workflow.profile import STACK, find, read_profile


@make(reads=True)
@click.argument("what", required=False, metavar="[REV[:PACKAGE|:stack.toml]]")
@click.option("-p", "--patch", is_flag=True, help="Of a commit also what was written for it: the stack file, patches.")
def show(app: App, what: str | None, patch: bool) -> None:
    """Show a commit and what it changed; or with REV:PACKAGE a spec; or with REV:FILE a file of the commit."""
    revision, colon, name = (what or "HEAD").partition(":")
    commit = find(app.store, revision or None)
    if not colon:
        _show_commit(app, commit, patch=patch)
        return
    profile = read_profile(app.store.objects, commit)
    files = {STACK: profile.text.encode(), "lock.json": profile.lock.encode(), **profile.files}
    if name in files:
        app.put_bytes(files[name])
    elif name in profile.lock.specs:
        document = EdgeReader(app.store.objects).spec(profile.lock.specs[name]).to_json()
        app.emit({"spec": document}, lambda: iter([json.dumps(document, indent=1, ensure_ascii=False)]))
    else:
        raise NotFoundError(f"no package or file '{name}' in {commit[:12]}", hint=f"hdist list {revision or 'HEAD'}")


def _show_commit(app: App, id: CommitId, *, patch: bool) -> None:
    objects = app.store.objects
    commit = objects.commit(id)
    before = commit.parents[0] if commit.parents else None
    changes = compare(objects, before, commit.id, refs=app.store.refs) if before is not None else []
    written = list(patch_of(objects, before, commit.id)) if patch else []

    def lines() -> Iterator[str]:
        yield from commit_lines(commit)
        yield from change_lines(changes)
        yield from written
        if not commit.parents:
            yield from (f"{name} {spec[:12]}" for name, spec in EdgeReader(objects).specs(commit.id).items())

    document = {**commit_json(commit), "changes": changes_json(changes), **({"patch": written} if patch else {})}
    app.emit(document, lines)


command = show
