"""A capture: the links a build gets, the files they stand for, and what makes it the same software again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hashdist import elf
from hashdist.objects import manifest
from hashdist.objects.manifest import ManifestEntry
from hashdist.objects.spec import HostPart, Spec
from hashdist.objects.tree import Mode

from .closing import Closed, close
from .errors import HostNotFoundError
from .found import Found
from .hashing import Measured
from .live import LiveHost
from .packages import Package, abi_version, is_by_abi


@dataclass(frozen=True, slots=True)
class PackageLine:
    """A package that a capture uses."""

    manager: str
    """'dpkg' or 'rpm'."""
    name: str
    """The package."""
    version: str
    """As its manager has it."""
    identity: str
    """By what it counts: 'content', 'version' or 'abi'."""
    witness: str
    """A file that changes whenever the package does."""

    def __str__(self) -> str:
        """Give the line, without its end."""
        return f"{self.manager}\t{self.name}\t{self.version}\t{self.identity}\t{self.witness}"

    @classmethod
    def parse(cls, line: str) -> PackageLine:
        """Read a line."""
        return cls(*line.split("\t"))


@dataclass(frozen=True, slots=True)
class HostCapture:
    """Host software as it is now."""

    name: str
    """The host entry's name."""
    finder: str
    """The finder that fitted, as it was written."""
    version: str
    """As the software calls itself."""
    spec: Spec
    """The host spec that follows."""
    manifest: bytes
    """All that was captured, whatever the identity."""
    packages: tuple[PackageLine, ...]
    """The packages that own it."""
    links: Mapping[str, str]
    """Path in the prefix to absolute target."""
    watched: tuple[str, ...]
    """Directories in which a new file would change what is found."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the manifest."""
        return hashlib.sha256(self.manifest).hexdigest()


def capture(name: str, finder: str, found: Found, host: LiveHost, *, identity: str | None) -> HostCapture:
    """Close, read and hash what was found; raises `HostNotFoundError` for what is not there or cannot be read."""
    identity = identity or found.identity
    closed = close(found, host)
    measured = _measure(found, closed, host)
    decisive = [*_links(closed, measured), *_decisive(found, closed, measured)]
    reached = _reached(closed)
    recorded = [_file(path, measured) for path in closed.recorded if path not in reached and path in measured]
    hops = [ManifestEntry(os.fsencode(place), Mode.SYMLINK, target=os.fsencode(text)) for place, text in closed.hops]
    part = HostPart(found.finder, identity, _facts(found, closed, identity), found.environment, found.paths)
    spec = Spec(
        name=name,
        version=found.artifact_version,
        platform=host.platform,
        host=part,
        manifest=manifest.encode(decisive) if identity == "content" else None,
    )
    everything = manifest.encode([*decisive, *recorded, *hops])
    return HostCapture(name, finder, found.version, spec, everything, _lines(closed), found.links, found.watched)


def _measure(found: Found, closed: Closed, host: LiveHost) -> dict[str, Measured]:
    """Hash what is reached. What lies in a tree is not read, and files of packages that are needed may be closed."""
    trees = tuple(f"{tree}/" for tree in found.trees)
    reached = {way.final for way in closed.ways.values()}
    for way in closed.ways.values():
        if os.path.isdir(way.final):
            raise HostNotFoundError(f"'{way.place}' is a directory, which no link may open")
    unread = {path for path in reached if path.startswith(trees)}
    paths = sorted({*reached, *closed.decisive, *closed.recorded} - unread)
    return host.hasher.measure(paths, may_fail=frozenset(closed.recorded) - reached)


def _reached(closed: Closed) -> set[str]:
    """Files that a link of the prefix names directly: its line stands for theirs."""
    return {way.final for way in closed.ways.values() if way.place == way.final}


def _links(closed: Closed, measured: Mapping[str, Measured]) -> Iterator[ManifestEntry]:
    for path, way in closed.ways.items():
        one = measured.get(way.final)
        size, digest = (one.size, one.sha256) if one else (None, None)
        yield ManifestEntry(os.fsencode(path), Mode.SYMLINK, size, digest, os.fsencode(way.place))


def _decisive(found: Found, closed: Closed, measured: Mapping[str, Measured]) -> Iterator[ManifestEntry]:
    reached = _reached(closed)
    for path in closed.decisive:
        if path not in reached:
            yield _file(path, measured)
    for tree in found.trees:
        yield ManifestEntry(os.fsencode(tree), Mode.DIRECTORY)


def _file(path: str, measured: Mapping[str, Measured]) -> ManifestEntry:
    one = measured[path]
    mode = Mode.EXECUTABLE if one.executable else Mode.FILE
    return ManifestEntry(os.fsencode(path), mode, one.size, one.sha256)


def _facts(found: Found, closed: Closed, identity: str) -> dict[str, str]:
    """Names and versions that identify it: with 'content' those of what it needs, else its own."""
    if identity == "content":
        needed = {package.name: package.version for package in closed.needed}
        promised = {package.source: abi_version(package) for package in closed.promised if is_by_abi(package)}
        return {**closed.libc, **promised, **needed, **found.abi}
    if identity == "version":
        return {**found.facts, **({} if found.identity == "version" else {"version": found.version})}
    if found.identity == "abi":
        return dict(found.facts)
    finals = {way.final for path, way in closed.ways.items() if path.startswith("lib/") and ".so" in path}
    names = sorted({name for final in finals if (name := elf.soname(final))})
    return {"sonames": " ".join(names)} if names else {"version": found.version}


def _lines(closed: Closed) -> tuple[PackageLine, ...]:
    groups: tuple[tuple[str, tuple[Package, ...]], ...] = (
        ("content", closed.named),
        ("version", closed.needed),
        ("abi", closed.promised),
    )
    lines = [
        PackageLine(package.manager, package.name, package.version, identity, package.witness)
        for identity, packages in groups
        for package in packages
    ]
    return tuple(sorted(lines, key=lambda line: (line.name, line.manager)))
