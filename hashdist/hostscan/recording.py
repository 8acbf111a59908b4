"""Keep captures: each scan that differs is a commit, and a capture that builds use is an artifact of links."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hashdist.fsutil.locks import locked
from hashdist.fsutil.removal import discard
from hashdist.fsutil.staging import staged_directory
from hashdist.objects.ids import CommitId
from hashdist.objects.record import ArtifactRecord, write_record
from hashdist.objects.tree import Entry, Mode
from hashdist.refs import names

from .capture import HostCapture
from .platform import host_class

if TYPE_CHECKING:
    from hashdist.store.store import Store


def record_scan(store: Store, capture: HostCapture) -> CommitId:
    """Commit a capture to ``refs/hosts/<class>/<name>``, unless the newest one there is the same."""
    ref = f"{names.HOSTS}{host_class()}/{capture.name}"
    tree = store.objects.add_nested(
        {
            "spec": Entry(b"x", Mode.DIRECTORY, capture.spec.write(store.objects)),
            "manifest": Entry(b"x", Mode.FILE, store.objects.add_blob(capture.manifest)),
        }
    )
    with store.refs.transaction("host scan") as transaction:
        before = store.refs.get(ref)
        if before is not None and store.objects.commit(before).tree == tree:
            return before
        message = f"{capture.name} {capture.version}\n\nHost: {os.uname().nodename}\n"
        commit = store.objects.add_commit(
            tree, parents=(before,) if before else (), identity=store.author, time=store.now(), message=message
        )
        store.sync_objects()
        transaction.update(ref, commit, old=before)
    return commit


def realise(store: Store, capture: HostCapture) -> str:
    """Make the artifact of links for a capture, if it is not there, and return its path."""
    artifact = capture.spec.artifact
    path = store.artifacts.claim(artifact)
    if artifact in store.artifacts and all(os.path.exists(os.path.join(path, link)) for link in capture.links):
        return path
    _discard_dangling(store, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    lock = locked(store.lock_path(f"spec-{artifact.spec}"), purpose=f"scan of {capture.name}", waiting=store.waiting)
    with lock, store.lock(shared=True, purpose="host scan"):
        if not os.path.isdir(path):
            with staged_directory(path) as staging:
                for link, target in capture.links.items():
                    os.makedirs(os.path.dirname(os.path.join(staging, link)), exist_ok=True)
                    os.symlink(target, os.path.join(staging, link))
                for folder, _, _ in os.walk(staging):
                    os.chmod(folder, 0o555 if folder != staging else 0o755)
            os.chmod(path, 0o555)
        record = ArtifactRecord(capture.spec, capture.manifest, b"", (), (), 0, os.uname().nodename)
        commit = write_record(store.objects, record, inputs={}, parents=(), identity=store.author, time=store.now())
        with store.refs.transaction("host scan") as transaction:
            transaction.set(names.ARTIFACTS + artifact.spec, commit)
    return path


def _discard_dangling(store: Store, path: str) -> None:
    """Take links away that lead nowhere: the same software may have moved on the host since they were made."""
    if os.path.isdir(path) and any(
        not os.path.exists(os.path.join(folder, name)) for folder, _, files in os.walk(path) for name in files
    ):
        discard(path, store.inside("trash"))
