"""``hdist checkout``: switch to a profile."""

from __future__ import annotations

import dataclasses
import os
import sys

import click

from hashdist.checkout.switch import Checkout
from hashdist.cli.app import App, command as make, here
from hashdist.cli.quick import switched
from hashdist.errors import HashdistError
from hashdist.workflow import checkout as verbs
from hashdist.workflow.environments import forget_environment
from hashdist.workflow.modules import after_checkout
from hashdist.workflow.prefixes import NotBuiltYetError, words_of_gone


@make(fetches=True)
@click.argument("revision", required=False)
@click.option("-b", "new", metavar="NAME", help="Make a new profile at REVISION (HEAD) and switch to it.")
@click.option(
    "--to", "place", metavar="PATH", help="Another checkout than the store's 'current': a link to make at PATH."
)
@click.option("--build", is_flag=True, help="Build what is missing.")
@click.option("-j", "--jobs", type=click.IntRange(1, 4096), help="Cores in all; without it those of this machine.")
@click.option("-n", "--dry-run", is_flag=True, help="Print what the prefix would hold; nothing is made or switched.")
@click.option("--forget", metavar="PATH", help="Keep alive no longer what a checkout or venv at PATH shows.")
def checkout(
    app: App,
    revision: str | None,
    new: str | None,
    place: str | None,
    build: bool,
    jobs: int | None,
    dry_run: bool,
    forget: str | None,
) -> None:
    """Switch to a profile, a tag or a commit; without REVISION to the tip of the profile that is followed."""
    if forget is not None:
        if not forget_environment(app.session, forget):
            Checkout(app.store, forget).forget()
        return
    if dry_run and new is not None:
        raise click.UsageError("-n makes no profile: name what is there")
    if place == "":
        raise click.UsageError("--to needs a path")
    checkout = Checkout(app.store, place if place is None else os.path.join(here()[0], place))
    checkout.check_place()
    session = app.session if jobs is None else dataclasses.replace(app.session, jobs=jobs)
    target = verbs.create(session, new, revision) if new is not None else verbs.choose(session, checkout, revision)
    if dry_run:
        _show_plan(app, target)
        return
    name = new or revision
    if not build and verbs.whole_prefix(app.session, target.commit) is None:
        _ask(app, target, new)
    was_there = verbs.whole_prefix(session, target.commit) is not None
    prefix = verbs.ready(session, target.commit)
    checkout.switch(target.commit, prefix, branch=target.branch, reason=f"checkout: {name or 'tip'}")
    verbs.keep_upstream(session, checkout, target.commit)
    branch = checkout.branch
    if not was_there:
        _tell_lacks(app, target)
    _bring_modules(app, target, branch, prefix)
    undoable = app.store.refs.undoable
    app.say(switched(branch, target.commit, checkout.path, undoable=undoable).rstrip("\n"))


def _show_plan(app: App, target: verbs.Target) -> None:
    """What would be where, a line each, as it would be made."""
    missing, total = verbs.missing(app.session, target.commit)
    if missing:
        name = (target.branch or target.commit).removeprefix("refs/heads/")
        gone = words_of_gone(app.store, target.commit)
        raise NotBuiltYetError(f"{missing} of {total} to build{gone}", hint=f"hdist build {name}")
    plan, layout = verbs.lay_out(app.session, target.commit)
    app.put(f"prefix {plan.path}{' (there already)' if os.path.isdir(plan.path) else ''}")
    for line in layout.lines():
        app.put(line)


def _tell_lacks(app: App, target: verbs.Target) -> None:
    """What Python packages require and do not find: told, and no failure."""
    try:
        lacks = verbs.lacks(app.session, target.commit)
    except (HashdistError, OSError) as error:
        app.say(f"hdist: what Python packages require cannot be told: {error}")
        return
    for lack in lacks:
        found = f", {lack.found} is there" if lack.found else ""
        app.say(f"hdist: {lack.by} needs {lack.requirement}{found}: {lack.line}")


def _bring_modules(app: App, target: verbs.Target, branch: str | None, prefix: str) -> None:
    """Bring trees of modules up to date; that one cannot be is told, and no failure."""
    if branch is not None:
        for failed in after_checkout(app.session, branch, target.commit, prefix):
            app.complain(failed)
            app.say(f"hint: {failed.hint}")


def _ask(app: App, target: verbs.Target, new: str | None) -> None:
    """Building may take hours: ask on a terminal, refuse elsewhere."""
    missing, total = verbs.missing(app.session, target.commit)
    if not missing:
        return
    words = f"{missing} of {total} to build{words_of_gone(app.store, target.commit)}"
    if sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(f"{words}; build now?", abort=True, err=True)
        return
    made = f"made '{new}'; " if new else ""
    name = new or (target.branch or target.commit).removeprefix("refs/heads/")
    raise NotBuiltYetError(f"{made}{words}", hint=f"hdist checkout --build {name}")


command = checkout
