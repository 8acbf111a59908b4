"""``hdist rev-list``: print the commits that revisions lead to."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.workflow.profile import find


@make()
@click.argument("revisions", nargs=-1, required=True, metavar="REV|^REV|A..B...")
@click.option("-n", "--max-count", "most", type=click.IntRange(min=0), help="At most so many.")
def rev_list(app: App, revisions: tuple[str, ...], most: int | None) -> None:
    """Print the commits that revisions lead to, newest first, but for those that ^REV leads to."""
    wanted, known = [], []
    for text in revisions:
        before, dots, after = text.partition("..")
        if dots:
            known.append(find(app.store, before or None))
            wanted.append(find(app.store, after or None))
        elif text.startswith("^"):
            known.append(find(app.store, text[1:]))
        else:
            wanted.append(find(app.store, text))
    for commit in [*wanted, *known]:
        app.store.objects.bring(commit)
    for commit in app.store.objects.new_commits(wanted, known)[:most]:
        app.put(commit)


command = rev_list
