"""``hdist undo``: undo what a command did."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.moves import move_lines, moves_json
from hashdist.fsutil.clock import time_text
from hashdist.workflow import undoing


@make(reads=True)
@click.argument("what", required=False)
@click.option("-l", "--list", "only_list", is_flag=True, help="List what was done, the latest first.")
def undo(app: App, what: str | None, only_list: bool) -> None:
    """Undo the last command that changed profiles, tags, pins or checkouts; a second time does it again.

    WHAT is a number that --list shows, or the name of a profile, a tag or a pin: then the last change of that. What
    was deleted comes back with its artifacts, for as long as gc's grace period lasts.
    """
    if only_list:
        _list(app)
        return
    done = undoing.undo(app.session, what)
    app.emit({"undone": done.summary, "moves": moves_json(done.moves)}, lambda: iter(()))
    for line in move_lines(app.store, done.moves):
        app.say(line)
    app.say(f"undone: {done.summary}; undo: hdist undo")


def _list(app: App) -> None:
    operations = app.store.refs.operations()

    def lines() -> Iterator[str]:
        for one in operations:
            yield f"{one.run} {time_text(one.time)} {one.summary}"

    rows = [
        {
            "run": one.run,
            "time": time_text(one.time),
            "who": one.who,
            "summary": one.summary,
            "moves": moves_json(one.moves),
        }
        for one in operations
    ]
    deleted = [
        {"ref": one.ref, "commit": one.commit, "deleted_at": time_text(one.time)} for one in undoing.deleted(app.store)
    ]
    app.emit({"operations": rows, "deleted": deleted}, lines)


command = undo
