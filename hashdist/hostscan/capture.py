"""A capture: the links a build gets, the files they stand for, and what makes it the same software again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from hashdist.errors import NotFoundError
from hashdist.objects import manifest
from hashdist.objects.manifest import ManifestEntry, file_sha256
from hashdist.objects.spec import HostPart, Platform, Spec
from hashdist.objects.tree import Mode


class HostNotFoundError(NotFoundError):
    """Software that the host does not have."""

    code = "host_not_found"


@dataclass(frozen=True, slots=True)
class Found:
    """What a finder found, not read yet."""

    finder: str
    """Which kind of finder it was."""
    version: str
    """As the software calls itself."""
    artifact_version: str
    """The part of it that stands in paths."""
    identity: str
    """What makes it the same, unless the stack file chose otherwise."""
    links: Mapping[str, str]
    """Path in the prefix to absolute target."""
    files: Iterable[str] = ()
    """Absolute paths of what it uses besides."""
    runtime: Iterable[str] = ()
    """Likewise, but recorded only: the C library that is loaded at run time, by its ABI."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Names and versions, or an ABI."""


@dataclass(frozen=True, slots=True)
class HostCapture:
    """Host software as it is now."""

    name: str
    """The host entry's name."""
    version: str
    """As the software calls itself."""
    spec: Spec
    """The host spec that follows."""
    manifest: bytes
    """All that was captured, whatever the identity."""
    links: Mapping[str, str]
    """Path in the prefix to absolute target."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the manifest."""
        return hashlib.sha256(self.manifest).hexdigest()


def capture(name: str, found: Found, *, identity: str | None, platform: Platform) -> HostCapture:
    """Read and hash what was found; raises `HostNotFoundError` for what cannot be read."""
    identity = identity or found.identity
    links = [_entry(path.encode(), target, link=True) for path, target in found.links.items()]
    paths = sorted(set(found.files) - set(found.links.values()))
    with ThreadPoolExecutor() as pool:
        decisive = [*_completed(links, pool), *pool.map(_file, paths)]
        recorded = list(pool.map(_file, sorted(set(found.runtime) - set(paths))))
    spec = Spec(
        name=name,
        version=found.artifact_version,
        platform=platform,
        host=HostPart(found.finder, identity, dict(found.facts)),
        manifest=manifest.encode(decisive) if identity == "content" else None,
    )
    return HostCapture(name, found.version, spec, manifest.encode([*decisive, *recorded]), found.links)


def _entry(path: bytes, target: str, *, link: bool) -> ManifestEntry:
    return ManifestEntry(path, Mode.SYMLINK if link else Mode.FILE, target=os.fsencode(target))


def _completed(links: list[ManifestEntry], pool: ThreadPoolExecutor) -> Iterable[ManifestEntry]:
    """The links with size and hash of what they reach."""

    def complete(entry: ManifestEntry) -> ManifestEntry:
        assert entry.target is not None, "links have targets"
        size, digest = _measure(os.fsdecode(entry.target))
        return ManifestEntry(entry.path, entry.mode, size, digest, entry.target)

    return pool.map(complete, links)


def _file(path: str) -> ManifestEntry:
    size, digest = _measure(path)
    mode = Mode.EXECUTABLE if os.access(path, os.X_OK) else Mode.FILE
    return ManifestEntry(os.fsencode(path), mode, size, digest)


def _measure(path: str) -> tuple[int, str]:
    try:
        before = os.stat(path)
        digest = file_sha256(path)
        after = os.stat(path)
    except OSError as error:
        raise HostNotFoundError(f"'{path}' cannot be read: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise HostNotFoundError(f"'{path}' changed while it was read", hint="try again")
    return before.st_size, digest
