"""What differs between two scans: of one host at two times, or of two hosts."""

from __future__ import annotations

from dataclasses import dataclass

from hashdist.objects import manifest
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.refs.database import RefDatabase

from .drift import FileChange, PackageChange
from .scans import Scan, history, read_scan

_REMOTES = "refs/remotes/"


@dataclass(frozen=True, slots=True)
class ScanChange:
    """A name whose scans differ."""

    name: str
    """The host entry."""
    old: Scan | None
    """One scan; None if there is none."""
    new: Scan | None
    """The other."""
    packages: tuple[PackageChange, ...]
    """Packages of other versions."""
    files: tuple[FileChange, ...]
    """Files that differ: 'changed', 'gone' or 'new'."""

    @property
    def same_spec(self) -> bool:
        """Whether builds with either are the same."""
        return self.old is not None and self.new is not None and self.old.spec == self.new.spec


def compare_scans(objects: ObjectDatabase, old: dict[str, Scan], new: dict[str, Scan]) -> list[ScanChange]:
    """The names whose scans differ, sorted."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        one, two = old.get(name), new.get(name)
        if one is not None and two is not None and one.commit.tree == two.commit.tree:
            continue
        found.append(ScanChange(name, one, two, package_changes(one, two), _file_changes(objects, one, two)))
    return found


def package_changes(old: Scan | None, new: Scan | None) -> tuple[PackageChange, ...]:
    """The packages of other versions."""
    before = {line.name: line.version for line in old.packages} if old else {}
    after = {line.name: line.version for line in new.packages} if new else {}
    return tuple(
        PackageChange(name, before.get(name, ""), after.get(name, ""))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def _file_changes(objects: ObjectDatabase, old: Scan | None, new: Scan | None) -> tuple[FileChange, ...]:
    if old is None or new is None:
        return ()
    before, after = _by_path(old.manifest(objects)), _by_path(new.manifest(objects))
    found = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            kind = "gone" if path not in after else "new" if path not in before else "changed"
            found.append(FileChange(path, kind))
    return tuple(found)


def _by_path(data: bytes) -> dict[str, str]:
    return {entry.path.decode(errors="surrogateescape"): str(entry) for entry in manifest.decode(data)}


def scans_of_host(refs: RefDatabase, objects: ObjectDatabase, host: str) -> dict[str, Scan]:
    """The newest scan of each name that a host made, here or on a host whose refs were fetched; may be empty."""
    found: dict[str, Scan] = {}
    for ref, start in sorted(refs.all("refs/").items()):
        if not ref.startswith(names.HOSTS) and not (ref.startswith(_REMOTES) and "/hosts/" in ref):
            continue
        scan = next((one for one in history(objects, start) if one.host == host), None)
        if scan is not None and (scan.name not in found or found[scan.name].commit.time < scan.commit.time):
            found[scan.name] = scan
    return found


def previous(objects: ObjectDatabase, scan: Scan) -> Scan | None:
    """The scan before; None for the first."""
    parents: tuple[CommitId, ...] = scan.commit.parents
    return read_scan(objects, parents[0]) if parents else None
