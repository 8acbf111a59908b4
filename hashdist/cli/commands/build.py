"""``hdist build``: build what a profile or a stack file names."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import click

from hashdist.build.nothing import all_sealed
from hashdist.build.plan import BuildPlan
from hashdist.cli.app import App, command as make
from hashdist.cli.quick import nothing_to_do
from hashdist.objects.ids import CommitId
from hashdist.stack.lock import Lock
from hashdist.store.roots import in_use
from hashdist.workflow import building
from hashdist.workflow.commit import read_stack_file, resolve_file
from hashdist.workflow.explaining import reasons_to_build
from hashdist.workflow.jailing import is_strict
from hashdist.workflow.profile import check_fresh, find, read_profile
from hashdist.workflow.session import Session

#: So many reasons are shown of each.
_REASONS = 4


@make(creates=True, reads=True, fetches=True)
@click.argument("what", required=False, metavar="[REV|FILE]")
@click.option("-j", "--jobs", type=click.IntRange(1, 4096), help="Cores in all; without it those of this machine.")
@click.option(
    "--jail",
    type=click.Choice(["off", "report", "enforce"]),
    help="Whether to tell, or hide, what builds use undeclared (HDIST_JAIL; the stack file; report).",
)
@click.option("-k", "--keep-going", is_flag=True, help="After a failure build what does not need it.")
@click.option("--from", "places", multiple=True, metavar="DIR|URL", help="Take what there is a file of from there.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be built.")
def build(
    app: App,
    what: str | None,
    jobs: int | None,
    jail: str | None,
    keep_going: bool,
    places: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Build what is missing of a profile (HEAD), or of a stack file that is not recorded."""
    app.jail = jail
    session = app.session if jobs is None else dataclasses.replace(app.session, jobs=jobs)
    if not dry_run and what is not None and not _is_file(what):
        total = all_sealed(app.store, find(app.store, what), strict=is_strict(session))
        if total is not None:
            app.emit({"built": 0, "taken": [], "total": total}, lambda: iter(()))
            app.say(nothing_to_do(total).rstrip("\n"))
            return
    with in_use(app.store, purpose="build"):
        _build(app, session, what, keep_going=keep_going, places=places, dry_run=dry_run)


def _build(
    app: App, session: Session, what: str | None, *, keep_going: bool, places: tuple[str, ...], dry_run: bool
) -> None:
    commit = None
    if what is not None and _is_file(what):
        resolved = resolve_file(session, what, read_stack_file(what), before=None)
        lock, text = resolved.lock, resolved.text
        app.say(f"{what} is not recorded: gc takes what is built of it after its grace period, unless you commit it")
    else:
        commit = find(app.store, what)
        check_fresh(app.store.objects, commit)
        profile = read_profile(app.store.objects, commit)
        lock, text = profile.lock, profile.text
    if dry_run:
        _tell_plan(app, building.plan_jailed(session, lock, text)[0], lock, commit)
        return
    built = building.build_lock(session, lock, text=text, keep_going=keep_going, places=places)
    if commit is not None:
        building.remember(session, commit, lock, text=text)
    done = len(built.report.built)
    app.emit({"built": done, "taken": built.taken, "total": built.total}, lambda: iter(()))
    taken = f"took {len(built.taken)}, " if built.taken else ""
    app.say(f"{taken}built {done} of {built.total}" if done or taken else nothing_to_do(built.total).rstrip("\n"))


def _tell_plan(app: App, plan: BuildPlan, lock: Lock, commit: CommitId | None) -> None:
    """What would be built, an artifact a line, and on stderr why."""
    since = commit if commit is not None else app.store.refs.get("HEAD")
    jobs = [spec.name for spec in plan.jobs]
    why = reasons_to_build(app.store, lock, jobs, since)

    def lines() -> Iterator[str]:
        for spec in plan.jobs:
            yield str(spec.artifact)
            app.say(f"    {'; '.join(why[spec.name][:_REASONS]) or 'was not built before'}")

    rows = [
        {"name": spec.name, "artifact": str(spec.artifact), "spec": spec.id, "why": list(why[spec.name])}
        for spec in plan.jobs
    ]
    app.emit({"jobs": rows, "total": plan.total}, lines)
    app.say(f"{len(plan.jobs)} of {plan.total} to build")


def _is_file(what: str) -> bool:
    return what.endswith(".toml") or os.path.isfile(what)


command = build
