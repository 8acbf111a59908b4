"""Carry a plan out: records first, then the files, then git's own objects. Safe to be killed at any point."""

from __future__ import annotations

import contextlib
import errno
import math
import os
from typing import TYPE_CHECKING

from hashdist import process
from hashdist.errors import DamagedError
from hashdist.fsutil.atomic import publish, sync_directory, unique_suffix
from hashdist.fsutil.holders import WORK
from hashdist.fsutil.removal import remove_tree
from hashdist.objects.git_program import git_env
from hashdist.objects.ids import SpecId
from hashdist.objects.repacking import live_objects, prune, repack
from hashdist.objects.workers import WAITING, spread
from hashdist.progress import SILENT, Progress
from hashdist.refs import names
from hashdist.store.roots import running

from .module_links import prune_links
from .plan import GcPlan, Victim, plan
from .policy import Policy

if TYPE_CHECKING:
    from hashdist.store.store import Store


#: Seconds by which clocks may differ.
_ROOM_SECONDS = 60
_LEFT = frozenset({errno.EBUSY, errno.ENOTEMPTY, errno.ESTALE, errno.EACCES, errno.EPERM})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def collect(store: Store, policy: Policy, *, progress: Progress = SILENT) -> GcPlan:
    """Plan and carry out, with nobody else in the middle of anything; return what went.

    Raises `DamagedError` (nothing is deleted then) or `BusyError`.
    """
    with store.lock(shared=False, purpose="gc", lease=WORK):
        found = plan(store, policy)
        for path in found.answers:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        if found.alive is not None and found.alive.at_work.since is None:
            with store.refs.still("gc"):
                _trim_reflogs(store, found)
        refs_gone = _delete_refs(store, found)
        for path in found.unsealed:
            process.kill_by_environment("PREFIX", path)
        moved = [_to_trash(store, victim) for victim in found.files]
    # what is in the trash goes before git writes anything, so that all of this works on a full disk
    with progress.task("deleting", len(moved), "item") as task:
        for _ in spread(_remove, moved, processes=WAITING):
            task.advance()
    with store.lock(shared=False, purpose="gc", lease=WORK):
        if not refs_gone:
            _delete_refs(store, found, late=True)
        _remove_empty_parents(store, found)
        prune_links(store)
        _collect_objects(store, found)
    return found


def _delete_refs(store: Store, found: GcPlan, *, late: bool = False) -> bool:
    """Delete the refs that go; False when there is no room even for that.

    `late`: their artifacts have gone already. What was made anew meanwhile stays.
    """
    refs = found.refs
    if late:
        here = {names.ARTIFACTS + spec for spec, _ in store.artifacts.all() if _is_there(store, spec)}
        refs = {name: id for name, id in refs.items() if store.refs.get(name) == id and name not in here}
    if not refs:
        return True
    try:
        with store.refs.transaction("gc") as transaction:
            for name, commit in refs.items():
                # what was brought back since it was looked at is for the next gc
                if not name.startswith(names.UNDO) or store.refs.get(name) == commit:
                    transaction.delete(name, old=commit)
    except OSError as error:
        if late or error.errno not in _FULL:
            raise
        return False
    sync_directory(store.git)
    return True


def _is_there(store: Store, spec: str) -> bool:
    record = store.artifacts.record(SpecId(spec))
    return os.path.isdir(store.artifacts.own_path(record.spec.artifact))


def _to_trash(store: Store, victim: Victim) -> str:
    """Take a victim away by one rename; what cannot be renamed is deleted where it is."""
    trash = store.inside("trash")
    if os.path.dirname(victim.path) == trash:
        return victim.path
    place = os.path.join(trash, unique_suffix())
    try:
        if os.path.isdir(victim.path) and not os.path.islink(victim.path):
            with contextlib.suppress(PermissionError):  # another member's, of whose group we are
                os.chmod(victim.path, 0o755)
        publish(victim.path, place, durable=False)
    except FileNotFoundError:
        return place
    except OSError:
        return victim.path
    return place


def _remove(path: str) -> None:
    """Delete something; what a network file system keeps because it is open is left to the next gc.

    So is what another member of a group left closed to us.
    """
    try:
        remove_tree(path)
    except OSError as error:
        if error.errno not in _LEFT:
            raise


def _collect_objects(store: Store, found: GcPlan) -> None:
    """Drop the objects that nothing reaches, reflogs included once their time is over.

    What was written since the oldest running command began stays, with some room for clocks; and packs are
    left alone while one runs, since it may be about to name an old object that it found there.
    """
    at_work = running(store, drop_stale=True)
    before = math.inf if at_work.since is None else at_work.since - _ROOM_SECONDS
    with store.refs.still("gc"):
        store.refs.pack()
        live = live_objects(store.git, store.search_path)
        everything = bool(found.refs) or found.policy.grace == 0
        if at_work.since is None and not repack(store.objects, live, everything=everything):
            settings = ["-c", "core.bigFileThreshold=16m", "-c", "core.fsync=all", "-c", "repack.writeBitmaps=false"]
            process.run(["git", *settings, "repack", "-a", "-d", "-q"], env=git_env(store.git, store.search_path))
        prune(store.objects, live, before=before)


def _trim_reflogs(store: Store, found: GcPlan) -> None:
    """Drop the lines whose time is over, but for those that name what is alive anyway: `main@{1}` goes far back."""
    alive = found.alive
    assert alive is not None, "it was planned"
    for name in store.refs.reflog_names(names.ROOTS):
        store.refs.trim_reflog(
            name, lambda entry: all(commit is None or commit in alive.commits for commit in (entry.old, entry.new))
        )
    with contextlib.suppress(DamagedError):  # it keeps nothing; undo tells of it
        store.refs.trim_operations(lambda operation: operation.commits <= alive.commits.keys())


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
