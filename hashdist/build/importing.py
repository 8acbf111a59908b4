"""Take an artifact from its file, every byte checked, in place of a build; see `hashdist.build.artifact_file`."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import zstandard

from hashdist.errors import ConflictError, HashdistError
from hashdist.fsutil.holders import WORK
from hashdist.fsutil.locks import locked
from hashdist.objects import canonical, manifest
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import SpecId
from hashdist.objects.importing import Limits
from hashdist.objects.manifest import ManifestEntry
from hashdist.objects.record import ArtifactRecord
from hashdist.objects.spec import Spec, from_json
from hashdist.objects.tree import Mode, show_name
from hashdist.progress import SILENT, Progress
from hashdist.store.roots import in_use

from .artifact_file import FILES, HEADER, LOG, MANIFEST, SPECS, ArtifactFileError, Header
from .job import staged
from .sealing import enter, freeze

if TYPE_CHECKING:
    from hashdist.store.store import Store

_CHUNK = 1 << 20
#: Bytes of one file that is not the artifact's own: log, manifest, specs.
_LARGEST = 256 << 20
_WINDOW = 1 << 27


class OtherStoreError(ConflictError):
    """An artifact that was made for a store at another path, which stands in its files."""

    code = "other_store"


def import_artifact(
    store: Store,
    path: str,
    *,
    wanted: SpecId | None = None,
    limits: Limits | None = None,
    progress: Progress = SILENT,
) -> tuple[ArtifactId, bool]:
    """Take the artifact in a file into the store; return it, and whether it was not there before.

    `wanted` is the spec that it should be of. Raises `ArtifactFileError`, or `OtherStoreError` for one that was made
    for another path; then nothing of it is in the store.
    """
    with _opened(path) as tar:
        reader = _Reader(tar, limits or Limits())
        header, spec = reader.head(wanted)
        artifact = spec.artifact
        place = store.artifacts.path(artifact)
        if header.path != place:
            raise OtherStoreError(
                f"'{artifact}' was made to lie at '{header.path}', in this store that is '{place}'",
                hint="its path stands in its files: build it here instead",
            )
        for id, there in header.elsewhere.items():
            if not os.path.isdir(there):
                raise OtherStoreError(f"'{artifact}' refers to '{there}' ({id[:12]}), which is not there")
        lock = locked(
            store.lock_path(f"spec-{spec.id}"),
            timeout=None,
            purpose=f"import of {spec.name}",
            lease=WORK,
            waiting=store.waiting,
        )
        with in_use(store, [spec.id], purpose="artifact import"), lock:
            if artifact in store.artifacts:
                return artifact, False
            with staged(store, spec) as workplace:
                with progress.task(f"import {spec.name}", len(reader.entries), "file") as task:
                    for _ in reader.unpack(workplace.prefix):
                        task.advance()
                _seal(store, spec, header, reader, workplace.prefix)
    return artifact, True


@contextmanager
def _opened(path: str) -> Iterator[tarfile.TarFile]:
    if not os.path.exists(path):
        raise ArtifactFileError(f"no file '{path}'")
    try:
        opened = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise ArtifactFileError(f"'{path}' cannot be read: {error.strerror}") from error
    try:
        with (
            opened as raw,
            zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(raw) as stream,
            tarfile.open(fileobj=stream, mode="r|", errors="surrogateescape") as tar,
        ):
            yield tar
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise ArtifactFileError(f"'{path}' is no artifact's file, or damaged: {error}") from error


class _Reader:
    """Reads a file from its beginning to its end."""

    def __init__(self, tar: tarfile.TarFile, limits: Limits) -> None:
        self._tar = tar
        self._limits = limits
        self.manifest = b""
        self.log = b""
        self.specs: dict[SpecId, dict[str, bytes]] = {}
        self.entries: dict[bytes, ManifestEntry] = {}
        self._pending: tarfile.TarInfo | None = None

    def head(self, wanted: SpecId | None) -> tuple[Header, Spec]:
        """Read all that stands before the artifact's own files, and check it."""
        header = Header.decode(self._next(HEADER))
        if wanted is not None and header.spec != wanted:
            raise ArtifactFileError(f"it is of spec {header.spec[:12]}, not {wanted[:12]}")
        self.manifest, self.log = self._next(MANIFEST), self._next(LOG)
        needed = {header.spec, *header.inputs.values()}
        for id in sorted(needed):
            self.specs[id] = {}
        self._read_specs(needed)
        specs = {id: _spec(id, files) for id, files in self.specs.items()}
        spec = specs[header.spec]
        if spec.host is not None or dict(spec.inputs) != dict(header.inputs):
            raise ArtifactFileError("its header and its spec differ")
        if not set(header.references) <= needed:
            raise ArtifactFileError("it refers to what is none of its inputs")
        self._check_manifest()
        return header, spec

    def _read_specs(self, needed: set[SpecId]) -> None:
        while (member := self._tar.next()) is not None:
            if not member.name.startswith(SPECS):
                self._pending = member
                return
            id, _, path = member.name[len(SPECS) :].partition("/")
            if id not in needed or not path:
                raise ArtifactFileError(f"it has a spec that nothing asks for: {id[:40]}")
            self.specs[SpecId(id)][path] = self._data(member)
        self._pending = None

    def _next(self, name: str) -> bytes:
        member = self._tar.next()
        if member is None or member.name != name:
            raise ArtifactFileError(f"it has no '{name}' where that should be")
        return self._data(member)

    def _data(self, member: tarfile.TarInfo) -> bytes:
        if not member.isreg() or member.size > _LARGEST:
            raise ArtifactFileError(f"'{member.name[:60]}' is no file, or larger than {_LARGEST} bytes")
        file = self._tar.extractfile(member)
        assert file is not None, "it is a file"
        return file.read()

    def _check_manifest(self) -> None:
        total = 0
        try:
            entries = manifest.decode(self.manifest)
        except HashdistError as error:
            raise ArtifactFileError(error.message) from error
        folders = {b""}
        for entry in sorted(entries, key=lambda entry: entry.path):
            parent, _, last = entry.path.rpartition(b"/")
            odd = (
                entry.path.startswith(b"/") or b"//" in entry.path or b"\0" in entry.path or entry.path in self.entries
            )
            if odd or parent not in folders or last in {b"", b".", b".."}:
                raise ArtifactFileError(f"its manifest has a name that cannot be: '{show_name(entry.path)}'")
            if entry.mode is Mode.DIRECTORY:
                folders.add(entry.path)
            self.entries[entry.path] = entry
            total += entry.size or 0
        if total > self._limits.size or len(self.entries) > self._limits.entries:
            raise ArtifactFileError(f"it has {total} bytes in {len(self.entries)} entries (limits: size, entries)")

    def unpack(self, prefix: str) -> Iterator[bytes]:
        """Write the artifact's files below an empty directory, each checked against the manifest."""
        root = os.fsencode(prefix)
        seen = set()
        member = self._pending
        while member is not None:
            path = os.fsencode(member.name.removeprefix(FILES))
            entry = self.entries.get(path)
            if entry is None or not member.name.startswith(FILES) or path in seen:
                raise ArtifactFileError(f"it has '{member.name[:80]}', of which its manifest says nothing")
            parent = path.rpartition(b"/")[0]
            if parent and parent not in seen:
                raise ArtifactFileError(f"it has '{member.name[:80]}' before the directory that it is in")
            seen.add(path)
            self._write(os.path.join(root, path), member, entry)
            yield path
            member = self._tar.next()
        missing = self.entries.keys() - seen
        if missing:
            raise ArtifactFileError(f"it lacks '{show_name(min(missing))}' and {len(missing) - 1} more")

    def _write(self, place: bytes, member: tarfile.TarInfo, entry: ManifestEntry) -> None:
        if entry.mode is Mode.DIRECTORY and member.isdir():
            os.mkdir(place, 0o755)
        elif entry.mode is Mode.SYMLINK and member.issym() and os.fsencode(member.linkname) == entry.target:
            os.symlink(entry.target, place)
        elif entry.mode in {Mode.FILE, Mode.EXECUTABLE} and member.isreg() and member.size == entry.size:
            file = self._tar.extractfile(member)
            assert file is not None, "it is a file"
            if _copy(file, place, executable=entry.mode is Mode.EXECUTABLE) != entry.sha256:
                raise ArtifactFileError(f"'{show_name(entry.path)}' has other bytes than its manifest says")
        else:
            raise ArtifactFileError(f"'{show_name(entry.path)}' is not what its manifest says")


def _copy(file: IO[bytes], place: bytes, *, executable: bool) -> str:
    digest = hashlib.sha256()
    fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    with open(fd, "wb") as out:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
        os.fchmod(fd, 0o755 if executable else 0o644)
    return digest.hexdigest()


def _spec(id: SpecId, files: Mapping[str, bytes]) -> Spec:
    """The spec of some files, which must have a certain id."""
    try:
        document = canonical.loads(files["build.json"])
        inside = {path[len("files/") :]: data for path, data in files.items() if path.startswith("files/")}
        spec = from_json(document, files=inside, manifest=files.get("manifest"))
    except (KeyError, HashdistError) as error:
        raise ArtifactFileError(f"spec {id[:12]} in it cannot be read: {error}") from error
    if spec.id != id:
        raise ArtifactFileError(f"spec {id[:12]} in it is another one")
    return spec


def _seal(store: Store, spec: Spec, header: Header, reader: _Reader, prefix: str) -> None:
    """Make what was unpacked an artifact: last of all comes its record."""
    entries, _ = freeze(prefix, {})
    if manifest.encode(entries) != manifest.encode(reader.entries.values()):
        raise ArtifactFileError("what was unpacked is not what its manifest says")
    record = ArtifactRecord(
        spec=spec,
        manifest=manifest.encode(entries),
        log=reader.log,
        references=header.references,
        unresolved=header.unresolved,
        seconds=header.seconds,
        host=header.host,
        jail=header.jail,
        elsewhere=header.elsewhere,
    )
    others = [_spec(id, files) for id, files in reader.specs.items()]
    enter(store, record, prefix, reason=f"import: {spec.name} {spec.version}", besides=others)
