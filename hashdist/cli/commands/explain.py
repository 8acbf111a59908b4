"""``hdist explain``: why packages differ between two profiles."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.changes import change_lines, changes_json
from hashdist.workflow.explaining import explain as trace
from hashdist.workflow.profile import find


@make(reads=True)
@click.argument("old")
@click.argument("new", required=False)
@click.argument("package", required=False)
def explain(app: App, old: str, new: str | None, package: str | None) -> None:
    """Tell why PACKAGE (any) has another hash in NEW (HEAD) than in OLD: what was changed by hand or by the host."""
    found = trace(app.store, find(app.store, old), find(app.store, new), package)

    def lines() -> Iterator[str]:
        yield from change_lines(found.causes)
        for one in found.packages:
            yield f"{one.change.name} {one.change.kind} because of {', '.join(one.causes)}"
        if not found.causes and not found.packages:
            yield f"{package or 'every package'} is the same in both"

    document = {
        "causes": changes_json(found.causes),
        "packages": [{"name": one.change.name, "causes": list(one.causes)} for one in found.packages],
    }
    app.emit(document, lines)


command = explain
