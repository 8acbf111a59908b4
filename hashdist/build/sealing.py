"""Seal an artifact: no write bits, one time for all files, every byte hashed, references found, record written.

Order: modes, then hashes (nobody can write any more), then sync, then the record; an artifact without a
record does not exist.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashdist.errors import HashdistError
from hashdist.fsutil.atomic import publish, sync_directory
from hashdist.fsutil.modes import sealed_directory_mode
from hashdist.fsutil.staging import sync_tree
from hashdist.objects import manifest
from hashdist.objects.ids import CommitId, SpecId
from hashdist.objects.manifest import ManifestEntry
from hashdist.objects.record import ArtifactRecord, write_record
from hashdist.objects.spec import Spec
from hashdist.objects.tree import Mode, show_name
from hashdist.preload.report import Report
from hashdist.refs import names

from .environment import EPOCH

if TYPE_CHECKING:
    from hashdist.store.store import Store

_CHUNK = 8 << 20


class UnfitResultError(HashdistError):
    """What a build left cannot be an artifact; the message goes on from the package's name."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a build left besides its files."""

    log: bytes
    """All it printed."""
    unresolved: tuple[str, ...]
    """``file: library`` for what nobody provides."""
    seconds: int
    """How long it took."""
    jail: Report | None = None
    """What the jail saw; None: there was none."""


def seal(
    store: Store,
    spec: Spec,
    path: str,
    outcome: Outcome,
    *,
    closure: Mapping[SpecId, str],
    paths: Mapping[SpecId, str] | None = None,
    behind: Iterable[SpecId] = (),
) -> CommitId:
    """Make the directory at `path` the artifact of `spec`; `closure` gives the hash part of each input's path.

    `paths` tells where inputs lie that are in another store; `behind` are referred to by what links lead to.

    Call `take_over` first. Raises `HashdistError` for an empty directory, and for what is no file or link.
    """
    assert set(behind) <= set(spec.inputs.values()), "what is not named by a spec may be collected"
    entries, found = freeze(path, closure)
    references = {*found, *behind}
    record = ArtifactRecord(
        spec=spec,
        manifest=manifest.encode(entries),
        log=outcome.log,
        references=tuple(sorted(references)),
        unresolved=outcome.unresolved,
        seconds=outcome.seconds,
        host=os.uname().nodename,
        jail=outcome.jail.document() if outcome.jail else None,
        elsewhere={id: place for id, place in (paths or {}).items() if id in references},
    )
    return enter(store, record, path, reason=f"build: {spec.name} {spec.version}")


def enter(store: Store, record: ArtifactRecord, path: str, *, reason: str, besides: Iterable[Spec] = ()) -> CommitId:
    """Make a frozen directory durable and its artifact known: its record comes last.

    `besides` are specs that the record names and that may not be here.
    """
    if store.durable:
        sync_tree(path)
        sync_directory(os.path.dirname(path))
    spec = record.spec
    # what was built is worth any wait
    with store.lock(shared=True, purpose=f"seal {spec.name}", timeout=None):
        for other in besides:
            other.write(store.objects)
        commit = write_record(
            store.objects, record, inputs=spec.inputs, parents=(), identity=store.author, time=store.now()
        )
        with store.refs.transaction(reason) as transaction:
            transaction.set(names.ARTIFACTS + spec.id, commit)
    return commit


def freeze(path: str, closure: Mapping[SpecId, str]) -> tuple[list[ManifestEntry], set[SpecId]]:
    """Take write bits and times away, then tell what is there, and which of `closure` stand in it.

    Raises `UnfitResultError`.
    """
    _freeze(path)
    entries, references = _read(path, {id: part.encode() for id, part in closure.items()})
    if not entries:
        raise UnfitResultError("wrote nothing to its PREFIX")
    return entries, references


def take_over(path: str) -> None:
    """Make everything below `path` ours to read and change, and nobody else's: hard links become files.

    A hard link could reach into something that is sealed already, or stay writable from outside.
    """
    os.chmod(path, 0o755)
    for folder, folders, files in os.walk(path, onerror=_raise):
        for name in folders:
            below = os.path.join(folder, name)
            if not os.path.islink(below):
                os.chmod(below, 0o755)
        for name in files:
            file = os.path.join(folder, name)
            status = os.lstat(file)
            if stat.S_ISREG(status.st_mode):
                executable = bool(status.st_mode & stat.S_IXUSR)
                if status.st_nlink > 1:
                    _own_copy(file)
                os.chmod(file, 0o755 if executable else 0o644)


def _own_copy(file: str) -> None:
    temporary = f"{file}.hdist-copy"
    with open(file, "rb") as old, open(temporary, "xb") as new:
        while chunk := old.read(_CHUNK):
            new.write(chunk)
    publish(temporary, file, durable=False)


def _raise(error: OSError) -> None:
    raise error


def _freeze(path: str) -> None:
    """Take all write bits and times away; modes are set, not inherited, so set-id bits go too."""
    directory_mode = sealed_directory_mode(path)
    for folder, folders, files in os.walk(path, topdown=False, onerror=_raise):
        for name in files:
            file = os.path.join(folder, name)
            status = os.lstat(file)
            if stat.S_ISREG(status.st_mode):
                os.chmod(file, 0o555 if status.st_mode & stat.S_IXUSR else 0o444)
            os.utime(file, (EPOCH, EPOCH), follow_symlinks=False)
        for name in folders:
            below = os.path.join(folder, name)
            if os.path.islink(below):
                os.utime(below, (EPOCH, EPOCH), follow_symlinks=False)
        os.chmod(folder, directory_mode)
        os.utime(folder, (EPOCH, EPOCH))


def _read(path: str, wanted: Mapping[SpecId, bytes]) -> tuple[list[ManifestEntry], set[SpecId]]:
    """Hash all files and look for hash parts of inputs, each file read once."""
    root = os.fsencode(path)
    listed = [os.path.join(folder, name) for folder, folders, files in os.walk(root) for name in (*folders, *files)]
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda file: _entry(root, file, wanted), listed)
        found = list(results)
    references = {id for _, ids in found for id in ids}
    return [entry for entry, _ in found], references


def _entry(root: bytes, file: bytes, wanted: Mapping[SpecId, bytes]) -> tuple[ManifestEntry, set[SpecId]]:
    name = os.path.relpath(file, root)
    status = os.lstat(file)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(file)
        return ManifestEntry(name, Mode.SYMLINK, target=target), {id for id, part in wanted.items() if part in target}
    if stat.S_ISDIR(status.st_mode):
        return ManifestEntry(name, Mode.DIRECTORY), set()
    if not stat.S_ISREG(status.st_mode):
        raise UnfitResultError(f"left '{show_name(name)}', which is not a file, a link or a directory")
    mode = Mode.EXECUTABLE if status.st_mode & stat.S_IXUSR else Mode.FILE
    digest, references = _digest(file, wanted)
    return ManifestEntry(name, mode, status.st_size, digest, None), references


def _digest(file: bytes, wanted: Mapping[SpecId, bytes]) -> tuple[str, set[SpecId]]:
    digest = hashlib.sha256()
    found: set[SpecId] = set()
    overlap = max((len(part) for part in wanted.values()), default=1) - 1
    tail = b""
    with open(file, "rb", buffering=0) as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
            window = tail + chunk
            found.update(id for id, part in wanted.items() if id not in found and part in window)
            tail = window[len(window) - overlap :] if overlap else b""
    return digest.hexdigest(), found
