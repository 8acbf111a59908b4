"""Carry a plan out: records first, then the files, then git's own objects. Safe to be killed at any point."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from hashdist import process
from hashdist.fsutil.atomic import sync_directory, unique_suffix
from hashdist.fsutil.removal import remove_tree
from hashdist.objects.git_program import git_env
from hashdist.objects.packed import pack_indexes
from hashdist.progress import SILENT, Progress
from hashdist.store.roots import running

from .plan import GcPlan, Victim, plan

if TYPE_CHECKING:
    from hashdist.store.store import Store


#: Seconds that clocks may differ, and that git counts a second's objects as older.
_ROOM_SECONDS = 60
#: With more packs than these (git's own number) each object is looked for in too many places.
_MANY_PACKS = 50


def collect(store: Store, *, grace: int, progress: Progress = SILENT) -> GcPlan:
    """Plan and carry out, with nobody else in the middle of anything; return what went.

    Raises `DamagedError` (nothing is deleted then) or `BusyError`.
    """
    with store.lock(shared=False, purpose="gc"):
        found = plan(store, grace=grace)
        for path in found.answers:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        if found.refs:
            with store.refs.transaction("gc") as transaction:
                for name, commit in found.refs.items():
                    transaction.delete(name, old=commit)
            sync_directory(store.git)
        for victim in found.artifacts:
            process.kill_by_environment("PREFIX", victim.path)  # what a crashed build left running there
        moved = [_to_trash(store, victim) for victim in found.files]
    # what is in the trash goes before git writes anything, so that all of this works on a full disk
    with progress.task("deleting", len(moved), "item") as task:
        for path in moved:
            remove_tree(path)
            task.advance()
    with store.lock(shared=False, purpose="gc"):
        _remove_empty_parents(store, found)
        _collect_objects(store, found)
    return found


def _to_trash(store: Store, victim: Victim) -> str:
    """Take a victim away by one rename; what cannot be renamed is deleted where it is."""
    trash = store.inside("trash")
    if os.path.dirname(victim.path) == trash:
        return victim.path
    place = os.path.join(trash, unique_suffix())
    try:
        if os.path.isdir(victim.path) and not os.path.islink(victim.path):
            os.chmod(victim.path, 0o755)
        os.rename(victim.path, place)
    except FileNotFoundError:
        return place
    except OSError:
        return victim.path
    return place


def _collect_objects(store: Store, found: GcPlan) -> None:
    """Let git drop what nothing reaches, reflogs included once their time is over.

    What was written since the oldest running command began stays, with some room for clocks; and packs are
    left alone while one runs, since it may be about to name an old object that it found there.
    """
    env = git_env(store.git, store.search_path)
    at_work = running(store, drop_stale=True)
    now = store.now()
    limits = [now - found.grace, *([at_work.since] if at_work.since is not None else [])]
    entries = "now" if found.grace == 0 and at_work.since is None else f"@{min(limits)}"
    objects = "now" if at_work.since is None else f"@{at_work.since - _ROOM_SECONDS}"
    with store.refs.still("gc"):
        process.run(["git", "reflog", "expire", "--expire=never", f"--expire-unreachable={entries}", "--all"], env=env)
        process.run(["git", "pack-refs", "--all"], env=env)
        many = len(pack_indexes(os.path.join(store.git, "objects", "pack"))) > _MANY_PACKS
        if at_work.since is None and (found.refs or found.grace == 0 or many):
            process.run(["git", "-c", "core.bigFileThreshold=16m", "repack", "-a", "-d", "-q"], env=env)
        process.run(["git", "prune", f"--expire={objects}"], env=env)


def _remove_empty_parents(store: Store, found: GcPlan) -> None:
    root = os.path.join(store.config.path, "artifacts")
    for victim in found.artifacts:
        folder = os.path.dirname(victim.path)
        while folder.startswith(root + "/"):
            try:
                os.rmdir(folder)
            except OSError:
                break
            folder = os.path.dirname(folder)
