"""``hdist checkout``: switch to a profile."""

from __future__ import annotations

import dataclasses
import sys

import click

from hashdist.checkout.switch import Checkout, known_prefix
from hashdist.cli.app import App, command as make
from hashdist.cli.quick import switched
from hashdist.errors import NotFoundError
from hashdist.workflow import checkout as verbs


class NotBuiltYetError(NotFoundError):
    """A checkout of something that would have to be built first, and nobody said so."""

    code = "not_built"


@make(fetches=True)
@click.argument("revision", required=False)
@click.option("-b", "new", metavar="NAME", help="Make a new profile at REVISION (HEAD) and switch to it.")
@click.option(
    "--to", "place", metavar="PATH", help="Another checkout than the store's 'current': a link to make at PATH."
)
@click.option("--build", is_flag=True, help="Build what is missing.")
@click.option("-j", "--jobs", type=click.IntRange(1, 4096), help="Cores in all; without it those of this machine.")
def checkout(app: App, revision: str | None, new: str | None, place: str | None, build: bool, jobs: int | None) -> None:
    """Switch to a profile, a tag or a commit; without REVISION to the tip of the profile that is followed."""
    checkout = Checkout(app.store, place)
    checkout.check_place()
    session = app.session if jobs is None else dataclasses.replace(app.session, jobs=jobs)
    target = verbs.create(session, new, revision) if new is not None else verbs.choose(session, checkout, revision)
    name = new or revision
    if known_prefix(app.store, target.commit) is None and not build:
        _ask(app, target, new)
    prefix = verbs.ready(session, target.commit)
    checkout.switch(target.commit, prefix, branch=target.branch, reason=f"checkout: {name or 'tip'}")
    branch = checkout.branch
    app.say(switched(branch, target.commit, checkout.path).rstrip("\n"))


def _ask(app: App, target: verbs.Target, new: str | None) -> None:
    """Building may take hours: ask on a terminal, refuse elsewhere."""
    missing, total = verbs.missing(app.session, target.commit)
    if not missing:
        return
    words = f"{missing} of {total} to build"
    if sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(f"{words}; build now?", abort=True, err=True)
        return
    made = f"made '{new}'; " if new else ""
    name = new or (target.branch or target.commit).removeprefix("refs/heads/")
    raise NotBuiltYetError(f"{made}{words}", hint=f"hdist checkout --build {name}")


command = checkout
