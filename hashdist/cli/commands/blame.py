"""``hdist blame``: who brought each line of a stack file."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.fsutil.clock import time_text
from hashdist.workflow.blaming import blame as lines_of
from hashdist.workflow.profile import find

_WIDEST = 40


@make(reads=True)
@click.argument("revision", required=False)
@click.argument("package", required=False)
def blame(app: App, revision: str | None, package: str | None) -> None:
    """Tell who brought each line of the stack file of REVISION (HEAD), when and why; or only the lines of PACKAGE."""
    found = lines_of(app.store, find(app.store, revision), package)
    width = min(_WIDEST, max((len(line.subject) for line in found), default=0))

    def lines() -> Iterator[str]:
        for line in found:
            subject = line.subject if len(line.subject) <= width else f"{line.subject[: width - 1]}…"
            who, day = line.author.partition(" <")[0], time_text(line.time)[:10]
            yield f"{line.commit[:12]} {who} {day} {subject:<{width}} {line.number:>4} {line.text}"

    rows = [
        {
            "line": line.number,
            "text": line.text,
            "commit": line.commit,
            "author": line.author,
            "time": time_text(line.time),
            "subject": line.subject,
        }
        for line in found
    ]
    app.emit({"lines": rows}, lines)


command = blame
