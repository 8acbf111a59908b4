"""``hdist gc``: delete what nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make, human_size
from hashdist.gc.marking import DEFAULT_GRACE
from hashdist.gc.plan import GcPlan, plan
from hashdist.gc.sweeping import collect
from hashdist.workflow.modules import prune_trees


@make(reads=True)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--now", is_flag=True, help="Take also what became unreachable only lately; the same as --grace 0.")
@click.option("--grace", type=click.IntRange(min=0), metavar="SECONDS", help="How long dead things stay; two weeks.")
def gc(app: App, dry_run: bool, now: bool, grace: int | None) -> None:
    """Delete what no profile, tag or checkout reaches.

    Artifacts, prefixes, sources, archives, failed builds and git objects go.
    """
    seconds = 0 if now else DEFAULT_GRACE if grace is None else grace
    store = app.store
    if dry_run:
        with store.lock(shared=True, purpose="gc -n"):
            found = plan(store, grace=seconds)
    else:
        found = collect(store, grace=seconds, progress=app.progress)
        prune_trees(store)
    held = 0
    if seconds:
        with store.lock(shared=True, purpose="gc"):
            rest = plan(store, grace=0)
        held = rest.size - (found.size if dry_run else 0)
    app.emit(_document(found, dry_run=dry_run, held=held), lambda: _lines(found, dry_run=dry_run, held=held))


def _document(found: GcPlan, *, dry_run: bool, held: int) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "bytes": found.size,
        "inodes": found.inodes,
        "object_bytes": found.object_bytes,
        "held_bytes": held,
        "paths": [{"path": victim.path, "bytes": victim.size, "inodes": victim.inodes} for victim in found.files],
        "refs": sorted(found.refs),
    }


def _lines(found: GcPlan, *, dry_run: bool, held: int) -> Iterator[str]:
    for victim in found.files:
        yield f"{human_size(victim.size):>10}  {victim.inodes:>7} files  {victim.path}"
    sources = sum(name.startswith("refs/sources/") for name in found.refs)
    yield f"{human_size(found.object_bytes):>10}  git objects, {sources} sources"
    words = "would be deleted" if dry_run else "deleted"
    yield f"{human_size(found.size):>10}  {found.inodes:>7} files  {words}"
    if held > 0:
        yield f"{human_size(held):>10}  died less than {found.grace // 3600} hours ago: hdist gc --now takes it too"


command = gc
