"""Scans as commits: what a host was found to have, when, and on which machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hashdist.errors import DamagedError, InvalidError, NotFoundError
from hashdist.objects import canonical, manifest
from hashdist.objects.commits import Commit
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId, SpecId, TreeId
from hashdist.objects.manifest import quote_name, unquote_name
from hashdist.objects.spec import read_spec
from hashdist.objects.tree import Entry, Mode
from hashdist.refs import names
from hashdist.refs.database import RefDatabase
from hashdist.refs.names import check_ref_name
from hashdist.stack.packages import HostEntry

from .capture import HostCapture, PackageLine
from .host_class import host_class

FORMAT = 1
_HOST = "Host: "
#: How far back a scan of a certain spec is looked for.
_FAR = 1000


class NotAScanError(NotFoundError):
    """A commit that is no host scan."""


@dataclass(frozen=True, slots=True)
class Where:
    """A host, and what it has in common with others."""

    host: str
    """Its name."""
    host_class: str
    """Operating system release and machine, or what the site calls it."""

    @classmethod
    def here(cls, named_class: str | None = None) -> Where:
        """The host we are on."""
        return cls(os.uname().nodename, named_class or host_class())


@dataclass(frozen=True, slots=True)
class Scan:
    """A recorded scan."""

    commit: Commit
    """The commit that holds it."""
    name: str
    """The host entry's name."""
    entry: HostEntry
    """What was asked for."""
    finder: str
    """The finder that fitted, as it was written."""
    version: str
    """As the software calls itself."""
    spec: SpecId
    """The host spec that followed."""
    packages: tuple[PackageLine, ...]
    """The packages that own what was captured."""
    watched: tuple[str, ...]
    """Directories in which a new file would change what is found."""

    @property
    def host(self) -> str:
        """The machine that was scanned first with this outcome."""
        lines = [line for line in self.commit.message.split("\n") if line.startswith(_HOST)]
        return lines[-1][len(_HOST) :] if lines else ""

    def manifest(self, objects: ObjectDatabase) -> bytes:
        """Everything that was captured."""
        found = objects.find(self.commit.tree, "manifest")
        if found is None:
            raise DamagedError(f"host scan {self.commit.id} has no manifest")
        return objects.blob(found.id)

    def capture(self, objects: ObjectDatabase) -> HostCapture:
        """What was captured."""
        data = self.manifest(objects)
        spec = read_spec(objects, self.spec)
        return HostCapture(
            self.name, self.finder, self.version, spec, data, self.packages, link_targets(data), self.watched
        )


def link_targets(data: bytes) -> dict[str, str]:
    """The links of a prefix, of all that a manifest lists, with where they lead to."""
    entries = manifest.decode(data)
    return {
        os.fsdecode(entry.path): os.fsdecode(entry.target)
        for entry in entries
        if not entry.path.startswith(b"/") and entry.target is not None
    }


def scan_ref(host_class: str, name: str) -> str:
    """The ref of a name's scans; raises `InvalidError` for what cannot be one."""
    return names.HOSTS + check_ref_name(f"{host_class}/{name}", what="host entry")


def write_scan(objects: ObjectDatabase, capture: HostCapture, entry: HostEntry) -> TreeId:
    """Write the tree of a scan: ``scan.json``, ``spec/``, ``manifest``, ``packages``."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "name": capture.name,
        "find": list(entry.find),
        "identity": entry.identity,
        "finder": capture.finder,
        "version": capture.version,
        "watched": [quote_name(os.fsencode(path)) for path in capture.watched],
    }
    packages = "".join(f"{line}\n" for line in capture.packages)
    return objects.add_nested(
        {
            "scan.json": Entry(b"x", Mode.FILE, objects.add_blob(canonical.dumps(document))),
            "spec": Entry(b"x", Mode.DIRECTORY, capture.spec.write(objects)),
            "manifest": Entry(b"x", Mode.FILE, objects.add_blob(capture.manifest)),
            "packages": Entry(b"x", Mode.FILE, objects.add_blob(packages.encode())),
        }
    )


def read_scan(objects: ObjectDatabase, id: CommitId) -> Scan:
    """Read a scan; raises `NotAScanError` for a commit that is none, `InvalidError` for a newer format."""
    commit = objects.commit(id)
    entries = {entry.name: entry.id for entry in objects.tree(commit.tree)}
    if not entries.keys() >= {b"scan.json", b"spec", b"manifest", b"packages"}:
        raise NotAScanError(f"commit {id[:12]} is no host scan")
    document: Any = canonical.loads(objects.blob(entries[b"scan.json"]))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidError(f"not a host scan of format {FORMAT}", hint="a newer hdist may have written it")
    try:
        packages = tuple(map(PackageLine.parse, objects.blob(entries[b"packages"]).decode().splitlines()))
        entry = HostEntry(document["name"], tuple(document["find"]), document["identity"])
        return Scan(
            commit,
            entry.name,
            entry,
            document["finder"],
            document["version"],
            SpecId(entries[b"spec"]),
            packages,
            tuple(os.fsdecode(unquote_name(text)) for text in document["watched"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidError(f"bad host scan {id[:12]}: {error}") from error


def newest_scans(refs: RefDatabase, objects: ObjectDatabase, host_class: str) -> dict[str, Scan]:
    """The newest scan of each name, for a class of hosts."""
    prefix = f"{names.HOSTS}{host_class}/"
    found = {}
    for ref, commit in sorted(refs.all(prefix).items()):
        with contextlib.suppress(NotAScanError):
            found[ref[len(prefix) :]] = read_scan(objects, commit)
    return found


def history(objects: ObjectDatabase, start: CommitId) -> Iterator[Scan]:
    """A scan and those before it, newest first."""
    seen: set[CommitId] = set()
    pending = [start]
    while pending:
        pending.sort(key=lambda one: objects.commit(one).time)
        id = pending.pop()
        if id in seen:
            continue
        seen.add(id)
        with contextlib.suppress(NotAScanError):
            scan = read_scan(objects, id)
            yield scan
            pending += scan.commit.parents


def scan_of(refs: RefDatabase, objects: ObjectDatabase, name: str, spec: SpecId, host_class: str) -> Scan | None:
    """The newest scan of a name that gave a certain spec on hosts of a class; None if there is none."""
    start = refs.get(scan_ref(host_class, name))
    if start is None:
        return None
    for _, scan in zip(range(_FAR), history(objects, start), strict=False):
        if scan.spec == spec:
            return scan
    return None


def scan_with(refs: RefDatabase, objects: ObjectDatabase, name: str, spec: SpecId) -> Scan | None:
    """The newest scan of a name that gave a certain spec, on hosts of whatever class; None if there is none."""
    for ref in sorted(refs.all("refs/")):
        if ref.startswith((names.HOSTS, "refs/remotes/")) and "/hosts/" in ref and ref.endswith(f"/{name}"):
            for _, scan in zip(range(_FAR), history(objects, refs[ref]), strict=False):
                if scan.spec == spec:
                    return scan
    return None
