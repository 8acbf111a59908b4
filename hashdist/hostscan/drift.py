"""Whether a host is still what it was found to be, and what has changed since."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hashdist.errors import HashdistError
from hashdist.objects import manifest
from hashdist.objects.ids import SpecId
from hashdist.objects.tree import Mode

from .capture import HostCapture
from .errors import HostNotFoundError
from .finders.base import BASE_1, is_base
from .finding import scan
from .live import LiveHost
from .scans import link_targets
from .seen import look, save_seen

if TYPE_CHECKING:
    from hashdist.stack.packages import HostEntry
    from hashdist.store.store import Store

    from .scans import Scan

_COMMANDS = ("bin/", "sbin/")
_NOT_RUN = "may not be run"
Kind = Literal["same", "differs", "gone"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file, or a link on the way to one, that is not what it was."""

    path: str
    """Absolute."""
    kind: str
    """'changed', 'gone', 'leads elsewhere', or 'may not be run'."""


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package of another version."""

    name: str
    """Which one."""
    old: str
    """Its version before; empty if it was not there."""
    new: str
    """Its version now; empty if it is gone."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How one host entry has changed."""

    name: str
    """The host entry."""
    kind: Kind
    """'same': a rebuild would be the same; 'differs': it would differ; 'gone': it cannot be used any more."""
    expected: SpecId
    """The spec that should follow."""
    found: SpecId | None
    """The spec that follows now; None if none does."""
    old_version: str
    """What it was, as the software calls itself."""
    new_version: str
    """What it is; empty if it is gone."""
    packages: tuple[PackageChange, ...]
    """Packages that changed."""
    files: tuple[FileChange, ...]
    """Files that changed, of those that were there."""
    reason: str
    """Why it cannot be used; empty if it can."""
    capture: HostCapture | None
    """The software as it is now."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A host entry as it should be."""

    entry: HostEntry
    """What is asked for."""
    spec: SpecId
    """What should follow."""
    version: str
    """What it was, as the software calls itself."""
    scan: Scan | None
    """A scan from which that followed; None if this store knows none of hosts like this one."""


def drifts(store: Store, expected: Sequence[Expected], host: LiveHost, *, machine: str) -> list[Drift]:
    """What has changed; empty, and quickly so, if nothing has: then how all looks is remembered.

    Raises what reading a damaged store or a changing host raises.
    """
    key = _key(expected, host)
    if look(store, machine, key) is not None:
        return []
    began = time.time_ns()
    found = find_drifts(store, expected, host)
    if not found:
        scans = [one.scan for one in expected if one.scan is not None]
        save_seen(store, machine, key, watched_paths(store, scans), entries=len(expected), since=began)
    return found


def _tells_of(finder: str) -> list[str]:
    """What changes when a finder that found nothing might find something."""
    kind, _, rest = finder.partition(":")
    if kind == "dpkg":
        return ["/var/lib/dpkg/info"]
    if kind == "rpm":
        return ["/usr/bin/rpm", "/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/rpm/rpmdb.sqlite"]
    return [rest] if kind == "path" and os.path.isabs(rest) else []


def find_drifts(store: Store, expected: Sequence[Expected], host: LiveHost) -> list[Drift]:
    """What has changed: files are hashed where they look other than when they were hashed last."""
    return [drift for one in expected if (drift := _drift(store, one, host)) is not None]


def _key(expected: Sequence[Expected], host: LiveHost) -> str:
    """Names what is looked at: the same scans, and commands that are still found at the same places."""
    digest = hashlib.sha256()
    for one in sorted(expected, key=lambda one: one.entry.name):
        words = [one.entry.name, one.spec, one.scan.commit.id if one.scan else "", str(one.entry.identity)]
        for finder in one.entry.find:
            words += [finder, *_places(finder, host)]
        digest.update("\0".join(words).encode(errors="surrogateescape") + b"\n")
    return f"seen-{digest.hexdigest()[:40]}"


def _places(finder: str, host: LiveHost) -> list[str]:
    """Where commands that are found on the PATH lie now, and what says where modules are."""
    kind, _, rest = finder.partition(":")
    if is_base(finder):
        return [host.which(name) or "" for name in BASE_1]
    if kind == "path" and not os.path.isabs(rest):
        return [host.which(rest) or ""]
    names = {"module": ("MODULEPATH",), "pkgconfig": ("PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR")}.get(kind, ())
    return [host.env.get(name, "") for name in names]


def watched_paths(store: Store, scans: Iterable[Scan]) -> set[str]:
    """All paths whose look tells that something changed since these scans."""
    found: set[str] = set()
    for one in scans:
        earlier = one.entry.find[: one.entry.find.index(one.finder)] if one.finder in one.entry.find else one.entry.find
        found.update(path for finder in earlier for path in _tells_of(finder))
        found.update(os.fsdecode(path) for path, _ in _lines(one.manifest(store.objects)))
        found.update(one.watched, (line.witness for line in one.packages))
    return found


def _lines(data: bytes) -> list[tuple[bytes, manifest.ManifestEntry]]:
    """The lines of a manifest with the absolute path that each is about."""
    entries = manifest.decode(data)
    return [(entry.path if entry.path.startswith(b"/") else entry.target or b"", entry) for entry in entries]


def _drift(store: Store, one: Expected, host: LiveHost) -> Drift | None:
    files: tuple[FileChange, ...] = ()
    packages: tuple[PackageChange, ...] = ()
    if one.scan is not None:
        files = tuple(_changed_files(one.scan.manifest(store.objects), host))
        packages = tuple(_changed_packages(one.scan, host))
        first = one.scan.finder == one.entry.find[0]
        if not files and not packages and not one.scan.watched and first and _same_place(store, one, host):
            return None
    try:
        capture = scan(one.entry, host)
    except HostNotFoundError as error:
        return Drift(one.entry.name, "gone", one.spec, None, one.version, "", packages, files, error.message, None)
    if closed := [target for link, target in capture.links.items() if _is_closed_program(link, target, files)]:
        words = f"'{closed[0]}' may not be run any more"
        return Drift(one.entry.name, "gone", one.spec, None, one.version, "", packages, files, words, None)
    kind: Kind = "same" if capture.spec.id == one.spec else "differs"
    if (
        kind == "same"
        and one.scan is not None
        and capture.manifest == one.scan.manifest(store.objects)
        and not packages
    ):
        return None
    return Drift(
        one.entry.name,
        kind,
        one.spec,
        capture.spec.id,
        one.version,
        capture.version,
        packages,
        files,
        "",
        capture,
    )


def _is_closed_program(link: str, target: str, files: tuple[FileChange, ...]) -> bool:
    """Whether a command has become one that nobody may run."""
    return any(change.kind == _NOT_RUN for change in files if change.path == target) and link.startswith(_COMMANDS)


def _same_place(store: Store, one: Expected, host: LiveHost) -> bool:
    """Whether commands found on the PATH are still those that were captured."""
    assert one.scan is not None, "called with one"
    finder = one.scan.finder
    if is_base(finder):
        targets = link_targets(one.scan.manifest(store.objects))
        return all(targets.get(f"bin/{name}", "") == (host.which(name) or "") for name in BASE_1)
    kind, _, rest = finder.partition(":")
    if kind in {"module", "pkgconfig"}:
        return False
    if kind != "path" or os.path.isabs(rest):
        return True
    return link_targets(one.scan.manifest(store.objects)).get(f"bin/{os.path.basename(rest)}") == host.which(rest)


def _changed_files(data: bytes, host: LiveHost) -> list[FileChange]:
    found = []
    wanted: dict[str, manifest.ManifestEntry] = {}
    for path, entry in _lines(data):
        name = os.fsdecode(path)
        if entry.mode is Mode.DIRECTORY or not entry.path.startswith(b"/"):
            place = os.path.realpath(name)
            if not os.path.exists(place):
                found.append(FileChange(name, "gone"))
            elif os.fsdecode(entry.path).startswith(_COMMANDS) and not os.access(place, os.X_OK):
                found.append(FileChange(name, _NOT_RUN))
            elif entry.sha256 is not None:
                wanted[place] = entry
        elif entry.mode is Mode.SYMLINK:
            found += _changed_hop(name, os.fsdecode(entry.target or b""))
        elif not os.path.lexists(name):
            found.append(FileChange(name, "gone"))
        else:
            wanted[name] = entry
    plain = sorted(name for name in wanted if os.path.isfile(name))
    measured = host.hasher.measure(plain, may_fail=frozenset(plain))
    for name, entry in wanted.items():
        one = measured.get(name)
        executable = entry.mode is Mode.EXECUTABLE if entry.path.startswith(b"/") else one and one.executable
        if one is None or (one.size, one.sha256, one.executable) != (entry.size, entry.sha256, executable):
            found.append(FileChange(name, "changed"))
    return sorted(set(found), key=lambda change: change.path)


def _changed_hop(path: str, target: str) -> list[FileChange]:
    try:
        now = os.readlink(path)
    except FileNotFoundError:
        return [FileChange(path, "gone")]
    except OSError:
        return [FileChange(path, "changed")]
    return [] if now == target else [FileChange(path, "leads elsewhere")]


def _changed_packages(scan: Scan, host: LiveHost) -> list[PackageChange]:
    found = []
    for manager in sorted({line.manager for line in scan.packages}):
        database = host.dpkg if manager == "dpkg" else host.rpm
        lines = [line for line in scan.packages if line.manager == manager]
        try:
            versions: Mapping[str, str] = database.versions([line.name for line in lines])
        except HashdistError as error:
            if not isinstance(error, HostNotFoundError):
                raise
            versions = {}
        found += [
            PackageChange(line.name, line.version, versions.get(line.name, ""))
            for line in lines
            if versions.get(line.name) != line.version
        ]
    return found
