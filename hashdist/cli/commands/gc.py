"""``hdist gc``: delete what nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make, human_size
from hashdist.cli.durations import Span
from hashdist.cli.owner import is_other
from hashdist.errors import UsageError
from hashdist.fsutil import locks
from hashdist.fsutil.clock import time_text
from hashdist.gc import processes
from hashdist.gc.marking import mark
from hashdist.gc.plan import GcPlan, Held, plan
from hashdist.gc.policy import DEFAULT_GRACE, Policy
from hashdist.gc.reasons import why, words
from hashdist.gc.sweeping import collect
from hashdist.store import roots
from hashdist.workflow.naming import find_thing

#: How many lines tell of what is held.
_SHOWN = 5


@make(reads=True)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--now", is_flag=True, help="Take also what became unreachable only lately; the same as --grace 0.")
@click.option("--grace", type=Span(), metavar="SECONDS", help="How long dead things stay (14d).")
@click.option(
    "--reflog-expire",
    type=Span(moments=True),
    metavar="WHEN",
    help="How long reflogs keep what they name: a span, a date, now or never (as --grace).",
)
@click.option(
    "--keep-last",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep the artifacts only of the N newest commits of each profile.",
)
@click.option("--older-than", type=Span(), metavar="AGE", help="Take the artifacts of commits that are older.")
@click.option("--drop-build-inputs", is_flag=True, help="Take what no artifact refers to at run time.")
@click.option("--why", "wanted", metavar="ID", help="Delete nothing; print what keeps this.")
@click.option("--assume-dead", multiple=True, metavar="HOST", help="Let go what commands on that machine hold.")
def gc(
    app: App,
    dry_run: bool,
    now: bool,
    grace: float | None,
    reflog_expire: float | None,
    keep_last: int | None,
    older_than: float | None,
    drop_build_inputs: bool,
    wanted: str | None,
    assume_dead: tuple[str, ...],
) -> int:
    """Delete what no profile, tag, checkout or pin reaches.

    Artifacts, prefixes, sources, archives, failed builds and git objects go. Commits and sources of history stay, so
    that whatever --keep-last, --older-than and --drop-build-inputs take can be built again.
    """
    if now and grace:
        raise UsageError("--now is --grace 0: give one of them")
    policy = Policy(
        0 if now else DEFAULT_GRACE if grace is None else int(grace),
        reflog_expire,
        keep_last,
        int(older_than) if older_than is not None else None,
        drop_build_inputs,
    )
    if is_other(app.path):
        processes.look(app.path)
    if wanted is not None:
        return _why(app, policy, wanted)
    for host in assume_dead:
        for what in [*roots.assume_dead(app.store, host), *locks.assume_dead(app.store.inside("locks"), host)]:
            app.say(f"let go: {what}")
    _collect(app, policy, dry_run=dry_run)
    return 0


def _collect(app: App, policy: Policy, *, dry_run: bool) -> None:
    store = app.store
    if dry_run:
        with store.lock(shared=True, purpose="gc -n"):
            found = plan(store, policy)
    else:
        found = collect(store, policy, progress=app.progress)
        from hashdist.workflow.modules import prune_trees  # noqa: PLC0415 - takes longer to load than `gc -n` to run

        prune_trees(store)
    app.emit(_document(found, dry_run=dry_run), lambda: _lines(found, dry_run=dry_run))


def _why(app: App, policy: Policy, wanted: str) -> int:
    store = app.store
    with store.lock(shared=True, purpose="gc --why"):
        thing = find_thing(store, wanted)
        chain = why(mark(store, policy), thing)
    shown = [words(store, link) for link in chain or ()]

    def lines() -> Iterator[str]:
        if chain is None:
            yield f"nothing keeps {words(store, thing)}: gc takes it"
        for depth, text in enumerate(shown):
            yield "  " * depth + text

    app.emit({"id": str(thing), "chain": shown}, lines)
    return 0 if chain is not None else 1


def _document(found: GcPlan, *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "bytes": found.size,
        "inodes": found.inodes,
        "object_bytes": found.object_bytes,
        "held_bytes": sum(held.size for held in found.held),
        "held": [
            {
                "by": held.root.kind,
                "name": held.root.name,
                "until": time_text(held.root.until) if held.root.until is not None else None,
                "artifacts": held.artifacts,
                "sources": held.sources,
                "bytes": held.size,
                "inodes": held.inodes,
            }
            for held in found.held
        ],
        "paths": [{"path": victim.path, "bytes": victim.size, "inodes": victim.inodes} for victim in found.files],
        "refs": sorted(found.refs),
    }


def _lines(found: GcPlan, *, dry_run: bool) -> Iterator[str]:
    for victim in found.files:
        yield f"{human_size(victim.size):>10}  {victim.inodes:>7} files  {victim.path}"
    sources = sum(name.startswith("refs/sources/") for name in found.refs)
    yield f"{human_size(found.object_bytes):>10}  git objects, {sources} sources"
    verb = "would be deleted" if dry_run else "deleted"
    yield f"{human_size(found.size):>10}  {found.inodes:>7} files  {verb}"
    for held in found.held[:_SHOWN]:
        yield f"{human_size(held.size):>10}  {held.inodes:>7} files  held by {_held(held)}"
    rest = found.held[_SHOWN:]
    if rest:
        size, inodes = sum(held.size for held in rest), sum(held.inodes for held in rest)
        yield f"{human_size(size):>10}  {inodes:>7} files  held by {len(rest)} more: hdist gc -n --json lists them"
    if any(held.root.until is not None for held in found.held):
        yield "hdist gc --now takes what is held until a time"


def _held(held: Held) -> str:
    sources = f" ({held.sources} sources)" if held.sources else ""
    return f"{held.root}{sources}"


command = gc
