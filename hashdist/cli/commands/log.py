"""``hdist log``: list the commits of a profile."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.changes import change_lines, changes_json
from hashdist.cli.history import commit_json, commit_lines, stat_line
from hashdist.objects.commits import Commit
from hashdist.objects.ids import CommitId
from hashdist.workflow.comparing import Change, Comparer
from hashdist.workflow.history import graph as draw, touching, walk
from hashdist.workflow.patches import patch as patch_of
from hashdist.workflow.profile import find


class _WithPackages(click.Command):
    """Takes what stands behind ``--`` for packages, as git takes it for paths."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Turn ``-- PACKAGE`` into the option that it stands for."""
        if "--" in args:
            place = args.index("--")
            args = [*args[:place], *(word for name in args[place + 1 :] for word in ("--package", name))]
        return super().parse_args(ctx, args)


@make(reads=True, kind=_WithPackages)
@click.argument("revision", required=False)
@click.option(
    "--package", "packages", multiple=True, metavar="PACKAGE", help="Only commits that changed it; as -- PACKAGE."
)
@click.option("-n", "--max-count", type=click.IntRange(min=1), help="Not more than so many.")
@click.option("--oneline", is_flag=True, help="A line a commit.")
@click.option("--stat", is_flag=True, help="With a line of what each changed.")
@click.option("-p", "--patch", is_flag=True, help="With the packages that each changed, and what was written for it.")
@click.option("--graph", is_flag=True, help="With a drawing of branches and merges.")
def log(
    app: App,
    revision: str | None,
    packages: tuple[str, ...],
    max_count: int | None,
    oneline: bool,
    stat: bool,
    patch: bool,
    graph: bool,
) -> None:
    """List commits, newest first; a range A..B leaves out what A has. With -- PACKAGE only those that changed it."""
    objects = app.store.objects
    old, dots, new = (revision or "").partition("..")
    start = find(app.store, (new or None) if dots else revision)
    stop = find(app.store, (old or None)) if dots else None

    comparer = Comparer(objects)

    def changes(one: Commit) -> list[Change]:
        return comparer.commits(one.parents[0], one.id) if one.parents else []

    def text(one: Commit) -> Iterator[str]:
        yield from [f"{one.id[:12]} {one.subject}"] if oneline else commit_lines(one)
        if stat and one.parents:
            yield f"  {stat_line(changes(one))}"
        if patch:
            yield from change_lines(changes(one))
            yield from patch_of(objects, one.parents[0] if one.parents else None, one.id)
        if not oneline and (stat or patch):
            yield ""

    def commits() -> Iterator[Commit]:
        found = touching(app.store, start, packages, stop=stop) if packages else walk(objects, start, stop=stop)
        return itertools.islice(found, max_count)

    if app.as_json:
        rows = [
            {**commit_json(one), **({"changes": changes_json(changes(one))} if stat or patch else {})}
            for one in commits()
        ]
        app.emit({"commits": rows}, lambda: iter(()))
    elif graph:
        app.emit({}, lambda: _drawn(app, start, stop, packages, max_count, text))
    else:
        app.emit({}, lambda: (line for one in commits() for line in text(one)))


def _drawn(
    app: App,
    start: CommitId,
    stop: CommitId | None,
    packages: tuple[str, ...],
    max_count: int | None,
    text: Callable[[Commit], Iterator[str]],
) -> Iterator[str]:
    count = 0
    for row in draw(app.store, start, stop=stop, packages=packages):
        if row.commit is None:
            yield row.drawing
            continue
        count += 1
        if max_count is not None and count > max_count:
            return
        commit = app.store.objects.commit(row.commit)
        further = row.drawing.replace("*", "|" if commit.parents else " ")
        for number, line in enumerate(text(commit)):
            yield f"{further if number else row.drawing}{line}".rstrip()


command = log
