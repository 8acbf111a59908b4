"""``hdist undo``: bring back what was deleted."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.fsutil.clock import time_text
from hashdist.refs import names
from hashdist.workflow.undoing import bring_back, deleted


@make(reads=True)
@click.argument("name", required=False)
@click.option("-l", "--list", "only_list", is_flag=True, help="List what can be brought back.")
def undo(app: App, name: str | None, only_list: bool) -> None:
    """Bring back the profile or tag that was deleted last, or NAME, with its artifacts.

    gc keeps what was deleted for its grace period.
    """
    if only_list:
        found = deleted(app.store)

        def lines() -> Iterator[str]:
            yield from (f"{names.short_name(one.ref)} {one.commit[:12]} {time_text(one.time)}" for one in found)

        rows = [{"ref": one.ref, "commit": one.commit, "deleted_at": time_text(one.time)} for one in found]
        app.emit({"deleted": rows}, lines)
        return
    one = bring_back(app.store, name)
    short = names.short_name(one.ref)
    again = {names.HEADS: "branch -D", names.TAGS: "tag -d"}.get(one.ref[: len(names.HEADS)]) or (
        "tag -d" if one.ref.startswith(names.TAGS) else "pin -d"
    )
    again = f"hdist {again} {short.removeprefix('pins/')}"
    app.say(f"{short} is at {one.commit[:12]} again; undo: {again}")


command = undo
