"""``hdist log``: list the commits of a profile."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.fsutil.clock import time_text
from hashdist.workflow.history import touching, walk
from hashdist.workflow.profile import find


class _WithPackage(click.Command):
    """Takes what stands behind ``--`` for a package, as git takes it for a path."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Turn ``-- PACKAGE`` into the option that it stands for."""
        if "--" in args:
            place = args.index("--")
            args = [*args[:place], *(word for name in args[place + 1 :] for word in ("--package", name))]
        return super().parse_args(ctx, args)


@make(reads=True, kind=_WithPackage)
@click.argument("revision", required=False)
@click.option("--package", metavar="PACKAGE", help="Only commits that changed it; the same as -- PACKAGE.")
@click.option("-n", "--max-count", type=click.IntRange(min=1), help="Not more than so many.")
@click.option("--oneline", is_flag=True, help="A line a commit.")
def log(app: App, revision: str | None, package: str | None, max_count: int | None, oneline: bool) -> None:
    """List commits, newest first; a range A..B leaves out what A has. With -- PACKAGE only those that changed it."""
    objects = app.store.objects
    old, dots, new = (revision or "").partition("..")
    start = find(app.store, (new or None) if dots else revision)
    found = walk(objects, start, stop=find(app.store, old) if dots else None)
    if package is not None:
        found = touching(objects, found, package)
    commits = itertools.islice(found, max_count)
    if app.as_json:
        rows = [
            {
                "commit": one.id,
                "parents": list(one.parents),
                "author": one.author,
                "time": time_text(one.time),
                "message": one.message,
            }
            for one in commits
        ]
        app.emit({"commits": rows}, lambda: iter(()))
        return

    def lines() -> Iterator[str]:
        for one in commits:
            if oneline:
                yield f"{one.id[:12]} {one.subject}"
                continue
            yield from (f"commit {one.id}", f"Author: {one.author}", f"Date:   {time_text(one.time)}", "")
            yield from (f"    {line}" for line in one.message.rstrip("\n").split("\n"))
            yield ""

    app.emit({}, lines)


command = log
