"""Artifacts: every file must be there, with its bytes and its mode, and nothing else."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from hashdist.errors import HashdistError
from hashdist.objects import manifest
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import CommitId, SpecId
from hashdist.objects.manifest import ManifestEntry
from hashdist.objects.record import ArtifactRecord, read_record
from hashdist.objects.tree import Mode, show_name

from .findings import Finding, Kind

if TYPE_CHECKING:
    from hashdist.store.store import Store

#: Bytes and files of a batch.
_BATCH_BYTES, _BATCH = 16 << 20, 500
_CHUNK = 4 << 20
_WRITE = 0o222
_LINK, _DIRECTORY, _EXECUTABLE = Mode.SYMLINK.value, Mode.DIRECTORY.value, Mode.EXECUTABLE.value


class Wanted(NamedTuple):
    """A file as the manifest says it should be."""

    path: bytes
    """Its full path."""
    mode: int
    """Its mode in git's terms."""
    size: int | None
    """Its bytes."""
    sha256: str | None
    """Of these."""
    target: bytes | None
    """A link's target."""
    ours: bool
    """Whether it lies in the artifact, and not on the host."""


class Batch(NamedTuple):
    """Some files of one artifact to look at."""

    artifact: ArtifactId
    """Whose they are."""
    wanted: tuple[Wanted, ...]
    """The files."""
    host: bool
    """Whether links lead to host software."""
    quick: bool
    """Whether bytes are left unread."""
    size: int
    """Their bytes."""


class Checked(NamedTuple):
    """What looking at a batch gave."""

    size: int
    """Bytes that were read."""
    files: int
    """How many."""
    findings: list[Finding]
    """What is wrong with them."""


def look(store: Store, spec: SpecId, commit: CommitId, *, quick: bool) -> tuple[list[Batch], list[Finding]]:
    """The work on one artifact, and what can be told without it."""
    try:
        record, _ = read_record(store.objects, commit)
        entries = manifest.decode(record.manifest)
    except HashdistError as error:
        return [], [Finding("damaged", "record", f"refs/artifacts/{spec}", error.message, spec=spec)]
    if record.spec.id != spec:
        words = f"is of another spec, {record.spec.id}"
        return [], [Finding("damaged", "record", f"refs/artifacts/{spec}", words, spec=spec)]
    path = store.artifacts.own_path(record.spec.artifact)
    artifact = record.spec.artifact
    if not os.path.isdir(path):
        return [], [Finding("missing", "artifact", path, "is not there", artifact, spec)]
    gone = [
        Finding("missing", "artifact", one, f"{artifact} refers to it, and it is gone from upstream", artifact, spec)
        for one in store.artifacts.gone_from(spec)
    ]
    try:
        extra = gone + list(_names(record, path, entries))
    except FileNotFoundError:  # gc is taking it
        extra = []
    return list(_cut(record, path, entries, quick=quick)), extra


def _cut(record: ArtifactRecord, path: str, entries: tuple[ManifestEntry, ...], *, quick: bool) -> Iterator[Batch]:
    root = os.fsencode(path)
    wanted: list[Wanted] = []
    size = 0
    for entry in entries:
        ours = not entry.path.startswith(b"/")
        place = os.path.join(root, entry.path)
        wanted.append(Wanted(place, entry.mode.value, entry.size, entry.sha256, entry.target, ours))
        size += entry.size or 0
        if size >= _BATCH_BYTES or len(wanted) >= _BATCH:
            yield _batch(record, wanted, size, quick=quick)
            wanted, size = [], 0
    if wanted:
        yield _batch(record, wanted, size, quick=quick)


def _batch(record: ArtifactRecord, wanted: list[Wanted], size: int, *, quick: bool) -> Batch:
    return Batch(record.spec.artifact, tuple(wanted), record.spec.host is not None, quick, size)


def _names(record: ArtifactRecord, path: str, entries: tuple[ManifestEntry, ...]) -> Iterator[Finding]:
    """What is there that nobody put there."""
    artifact = record.spec.artifact
    if os.stat(path).st_mode & 0o022 and not os.stat(path).st_mode & stat.S_ISGID:
        yield Finding("mode", "artifact", path, "can be written to", artifact, artifact.spec)
    known = {entry.path for entry in entries}
    by_links = record.spec.host is not None  # whose directories are not named
    root = os.fsencode(path)
    pending = [b""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(root, folder)) as found:
            for entry in found:
                name = os.path.join(folder, entry.name)
                directory = entry.is_dir(follow_symlinks=False)
                if name not in known and not (by_links and directory):
                    words = "was not there when it was sealed"
                    yield Finding("extra", "artifact", os.fsdecode(entry.path), words, artifact, artifact.spec)
                elif directory:
                    pending.append(name)


def check(batch: Batch) -> Checked:
    """Look at the files of a batch."""
    found = []
    for wanted in batch.wanted:
        fault = _host_fault(wanted, quick=batch.quick) if batch.host else _fault(wanted, quick=batch.quick)
        if fault is not None:
            kind, words = fault
            path = os.fsdecode(wanted.path)
            found.append(Finding(kind, "artifact", path, words, batch.artifact, batch.artifact.spec))
    return Checked(0 if batch.quick else batch.size, len(batch.wanted), found)


def _fault(wanted: Wanted, *, quick: bool) -> tuple[Kind, str] | None:
    try:
        status = os.lstat(wanted.path)
        if wanted.mode == _LINK:
            if not stat.S_ISLNK(status.st_mode):
                return "damaged", "is no link any more"
            target = os.readlink(wanted.path)
            return None if target == wanted.target else ("damaged", f"leads to '{show_name(target)}'")
        if wanted.mode == _DIRECTORY:
            if not stat.S_ISDIR(status.st_mode):
                return "damaged", "is no directory any more"
            return _mode_fault(status.st_mode, stat.S_IXUSR | stat.S_IRUSR)
        if not stat.S_ISREG(status.st_mode):
            return "damaged", "is no file any more"
        if status.st_size != wanted.size:
            return "damaged", f"has {status.st_size} bytes, not {wanted.size}"
        if not quick and _sha256(wanted.path, status.st_size) != wanted.sha256:
            return "damaged", "its bytes are others"
    except FileNotFoundError:
        return "missing", "is not there"
    except NotADirectoryError:
        return "missing", "is not there"
    except OSError as error:
        return "damaged", f"cannot be read: {error.strerror}"
    executable = stat.S_IXUSR if wanted.mode == _EXECUTABLE else 0
    if status.st_mode & stat.S_IXUSR != executable:
        return "mode", "can be run" if not executable else "cannot be run"
    return _mode_fault(status.st_mode, stat.S_IRUSR)


def _mode_fault(mode: int, needed: int) -> tuple[Kind, str] | None:
    shared_directory = stat.S_ISDIR(mode) and mode & stat.S_ISGID
    if mode & _WRITE and not shared_directory:
        return "mode", "can be written to"
    return None if mode & needed == needed else ("mode", "cannot be read")


def _host_fault(wanted: Wanted, *, quick: bool) -> tuple[Kind, str] | None:
    """Links are ours; what they lead to is the host's, and drifts."""
    try:
        status = os.lstat(wanted.path)
        is_link = stat.S_ISLNK(status.st_mode)
        if wanted.mode == _LINK and not (is_link and wanted.target in {None, os.readlink(wanted.path)}):
            return _ours_or_drifted(wanted, "leads elsewhere")
        if wanted.size is None or wanted.mode == _DIRECTORY:
            return None
        reached = os.stat(wanted.path)
        if reached.st_size != wanted.size:
            return "drifted", f"has {reached.st_size} bytes, not {wanted.size}"
        if not quick and wanted.sha256 and _sha256(wanted.path, reached.st_size) != wanted.sha256:
            return "drifted", "its bytes are others"
    except (FileNotFoundError, NotADirectoryError):
        if os.path.lexists(wanted.path):
            return "drifted", "what it leads to is not there"
        return _ours_or_drifted(wanted, "is not there")
    except OSError:
        return None  # closed to us, as it may have been when it was captured
    return None


def _ours_or_drifted(wanted: Wanted, words: str) -> tuple[Kind, str]:
    return ("missing" if words == "is not there" else "damaged") if wanted.ours else "drifted", words


def _sha256(path: bytes, size: int) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if size <= _CHUNK:
            data = os.read(fd, size + 1)
            if len(data) == size:
                return hashlib.sha256(data, usedforsecurity=False).hexdigest()
            os.lseek(fd, 0, os.SEEK_SET)
        digest = hashlib.sha256()
        while chunk := os.read(fd, _CHUNK):
            digest.update(chunk)
        return digest.hexdigest()
    finally:
        os.close(fd)
