"""``hdist reflog``: where a profile was."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.errors import NotFoundError
from hashdist.fsutil.clock import time_text
from hashdist.refs import names


@make(reads=True)
@click.argument("ref", required=False)
@click.option("-n", "--max-count", type=click.IntRange(min=1), help="Not more than so many.")
def reflog(app: App, ref: str | None, max_count: int | None) -> None:
    """List where a profile or tag (the profile that HEAD names; HEAD itself) was, newest first: NAME@{1} names one."""
    refs = app.store.refs
    full = (refs.symbolic("HEAD") or "HEAD") if ref is None else refs.find(ref)
    entries = refs.reflog(full) if full is not None else ()
    if full is None or not (entries or refs.value(full)):
        raise NotFoundError(f"no profile or tag '{ref or 'HEAD'}'", hint="hdist undo --list; hdist branch")
    name = "HEAD" if full == "HEAD" else names.short_name(full)
    shown = entries[:max_count]

    def lines() -> Iterator[str]:
        for number, one in enumerate(shown):
            yield f"{one.new[:12]} {name}@{{{number}}} {time_text(one.time)} {one.reason}"

    rows = [
        {
            "name": f"{name}@{{{number}}}",
            "old": one.old,
            "new": one.new,
            "who": one.who,
            "time": time_text(one.time),
            "reason": one.reason,
        }
        for number, one in enumerate(shown)
    ]
    app.emit({"entries": rows}, lines)


command = reflog
