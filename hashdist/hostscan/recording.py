"""Keep captures: each scan that differs is a commit, and a capture that builds use is an artifact of links."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hashdist.fsutil.locks import locked
from hashdist.fsutil.modes import make_directories, sealed_directory_mode
from hashdist.fsutil.removal import discard
from hashdist.fsutil.staging import staged_directory
from hashdist.objects.ids import CommitId
from hashdist.objects.record import ArtifactRecord, write_record
from hashdist.refs import names

from .capture import HostCapture
from .memory import note_scan
from .scans import Where, scan_ref, write_scan

if TYPE_CHECKING:
    from hashdist.stack.packages import HostEntry
    from hashdist.store.store import Store


def record_scan(store: Store, capture: HostCapture, entry: HostEntry, *, where: Where | None = None) -> CommitId:
    """Commit a capture to ``refs/hosts/<class>/<name>``, unless the newest one there is the same.

    So hosts that are alike share one commit. `where` is the host; None means this one.
    """
    where = where or Where.here()
    ref = scan_ref(where.host_class, capture.name)
    tree = write_scan(store.objects, capture, entry)
    with store.refs.transaction(f"host scan on {where.host}") as transaction:
        before = store.refs.get(ref)
        if before is not None and store.objects.commit(before).tree == tree:
            note_scan(store, where.host, ref, before)
            return before
        message = f"{capture.name} {capture.version}\n\nHost: {where.host}\n"
        commit = store.objects.add_commit(
            tree, parents=(before,) if before else (), identity=store.author, time=store.now(), message=message
        )
        store.sync_objects()
        transaction.update(ref, commit, old=before)
    note_scan(store, where.host, ref, commit)
    return commit


def join_scans(store: Store, ref: str, theirs: CommitId) -> CommitId | None:
    """Have the scans of a name here follow those of another machine too, so that both histories can be one's.

    Returns what the other one's ref can move on to; None if there is nothing that it has not got.
    """
    objects = store.objects
    with store.refs.transaction("host scans joined") as transaction:
        mine = store.refs[ref]
        base = objects.merge_base(mine, theirs)
        newest, other = objects.commit(mine), objects.commit(theirs)
        if base == theirs:
            return mine if mine != theirs else None
        if base == mine or newest.tree == other.tree:
            return None
        joined = objects.add_commit(
            newest.tree, parents=(mine, theirs), identity=store.author, time=store.now(), message=newest.message
        )
        store.sync_objects()
        transaction.update(ref, joined, old=mine)
    return joined


def realise(store: Store, capture: HostCapture) -> str:
    """Make the artifact of links for a capture, if it is not there, and return its path."""
    artifact = capture.spec.artifact
    there = store.artifacts.path(artifact)
    if _is_known(store, capture) and _leads_where(there, capture):
        return there
    path = store.artifacts.claim(artifact)
    make_directories(os.path.dirname(path))
    lock = locked(store.lock_path(f"spec-{artifact.spec}"), purpose=f"scan of {capture.name}", waiting=store.waiting)
    with lock, store.lock(shared=True, purpose="host scan"):
        if os.path.isdir(path) and not _leads_where(path, capture):
            # the same software, but elsewhere or of more files than when the links were made
            discard(path, store.inside("trash"))
        if not os.path.isdir(path):
            with staged_directory(path, durable=store.durable) as staging:
                for link, target in capture.links.items():
                    os.makedirs(os.path.dirname(os.path.join(staging, link)), exist_ok=True)
                    os.symlink(target, os.path.join(staging, link))
                mode = sealed_directory_mode(path)
                for folder, _, _ in os.walk(staging):
                    os.chmod(folder, mode if folder != staging else mode | 0o700)
            os.chmod(path, mode)
        if _is_known(store, capture):
            return path
        earlier = store.artifacts.own_record(artifact.spec)
        record = ArtifactRecord(capture.spec, capture.manifest, b"", (), (), 0, os.uname().nodename)
        parents = (earlier,) if earlier else ()
        commit = write_record(
            store.objects, record, inputs={}, parents=parents, identity=store.author, time=store.now()
        )
        with store.refs.transaction("host scan") as transaction:
            transaction.set(names.ARTIFACTS + artifact.spec, commit)
    return path


def _is_known(store: Store, capture: HostCapture) -> bool:
    """Whether the artifact is there, and its record lists what was captured: by its ABI, other files are the same."""
    if capture.spec.artifact not in store.artifacts:
        return False
    return store.artifacts.record(capture.spec.artifact.spec).manifest == capture.manifest


def _leads_where(path: str, capture: HostCapture) -> bool:
    """Whether an artifact's links lead where the capture says."""
    try:
        return all(os.readlink(os.path.join(path, link)) == target for link, target in capture.links.items())
    except OSError:
        return False
