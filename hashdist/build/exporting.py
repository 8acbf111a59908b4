"""Write an artifact into one file; see `hashdist.build.artifact_file`."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import zstandard

from hashdist.errors import ConflictError
from hashdist.fsutil.atomic import publish, sync_directory, unique_suffix
from hashdist.objects import manifest
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import ObjectId
from hashdist.objects.manifest import ManifestEntry
from hashdist.objects.tree import Mode
from hashdist.progress import SILENT, Progress
from hashdist.store.artifacts import NotBuiltError

from .artifact_file import FILES, HEADER, LOG, MANIFEST, SPECS, Header, file_name
from .environment import EPOCH

if TYPE_CHECKING:
    from hashdist.store.store import Store

_LEVEL = 10


def export_artifact(store: Store, artifact: ArtifactId, folder: str, *, progress: Progress = SILENT) -> str:
    """Write an artifact's file into a directory, wholly or not at all, and return its path.

    One of that name that is there already stays. Raises `NotBuiltError`, or `ConflictError` for host software, which
    is of its machine.
    """
    if artifact not in store.artifacts:
        raise NotBuiltError(f"'{artifact}' is not built", hint="hdist build")
    record = store.artifacts.record(artifact.spec)
    if record.spec.host is not None:
        raise ConflictError(
            f"'{artifact}' is software of this host, which does not travel", hint="hdist host scan there"
        )
    place = os.path.join(folder, file_name(artifact))
    if os.path.exists(place):
        return place
    root = store.artifacts.path(artifact)
    header = Header(
        artifact.spec,
        root,
        record.spec.inputs,
        record.references,
        record.unresolved,
        record.seconds,
        record.host,
        record.jail,
        record.elsewhere,
    )
    entries = sorted(manifest.decode(record.manifest), key=lambda entry: entry.path)
    temporary = f"{place}.tmp-{unique_suffix()}"
    try:
        with open(temporary, "xb") as raw, progress.task(f"export {artifact.name}", len(entries), "file") as task:
            compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
            with (
                compressor.stream_writer(raw, closefd=False) as stream,
                tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar,
            ):
                _add(tar, HEADER, header.encode())
                _add(tar, MANIFEST, record.manifest)
                _add(tar, LOG, record.log)
                for id in sorted({artifact.spec, *record.spec.inputs.values()}):
                    for path, data in _files(store, id):
                        _add(tar, f"{SPECS}{id}/{path}", data)
                for entry in entries:
                    _add_file(tar, root, entry)
                    task.advance()
            raw.flush()
            os.fsync(raw.fileno())
        publish(temporary, place, durable=False)
        sync_directory(folder)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return place


def _info(name: str, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mtime, info.mode, info.size = EPOCH, 0o444, size
    return info


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    tar.addfile(_info(name, len(data)), io.BytesIO(data))


def _files(store: Store, root: ObjectId) -> Iterator[tuple[str, bytes]]:
    """The files of a spec."""
    for entry in store.objects.tree(root):
        name = entry.name.decode()
        if entry.mode is Mode.DIRECTORY:
            for below, data in _files(store, entry.id):
                yield f"{name}/{below}", data
        else:
            yield name, store.objects.blob(entry.id)


def _add_file(tar: tarfile.TarFile, root: str, entry: ManifestEntry) -> None:
    info = _info(FILES + os.fsdecode(entry.path))
    if entry.mode is Mode.DIRECTORY:
        info.type, info.mode = tarfile.DIRTYPE, 0o555
        tar.addfile(info)
    elif entry.mode is Mode.SYMLINK:
        info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(entry.target or b"")
        tar.addfile(info)
    else:
        info.size, info.mode = entry.size or 0, 0o555 if entry.mode is Mode.EXECUTABLE else 0o444
        with open(os.path.join(os.fsencode(root), entry.path), "rb") as file:
            tar.addfile(info, file)
