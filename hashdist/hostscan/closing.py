"""Close what was found: everything that it needs to run, by package where one is known, else file by file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .errors import HostNotFoundError
from .found import Found
from .hops import Hop, Way
from .layout import is_documentation, is_local
from .libc import is_libc_runtime, libc_version
from .live import LiveHost
from .packages import Package, is_by_abi
from .requirements import requirements
from .unowned import is_generated


@dataclass(frozen=True, slots=True)
class Closed:
    """All that a capture is made of."""

    ways: dict[str, Way]
    """For each link of the prefix the way it leads."""
    named: tuple[Package, ...]
    """Packages that are identified by their content."""
    needed: tuple[Package, ...]
    """Packages that are identified by their version."""
    promised: tuple[Package, ...]
    """Packages that are identified by their ABI, and what only those need."""
    decisive: tuple[str, ...]
    """Canonical paths of files that identify it by their content, but for those that links reach."""
    recorded: tuple[str, ...]
    """Canonical paths of all other files."""
    hops: tuple[Hop, ...]
    """Every link on the way to any of them."""
    libc: Mapping[str, str]
    """The version of a C library that no package knows."""

    @property
    def packages(self) -> tuple[Package, ...]:
        """All packages."""
        return (*self.named, *self.needed, *self.promised)


def close(found: Found, host: LiveHost) -> Closed:
    """Find everything that `found` needs; raises `HostNotFoundError` for what is not there."""
    closing = _Closing(found, host)
    closing.run()
    return closing.result()


class _Closing:
    def __init__(self, found: Found, host: LiveHost) -> None:
        self.found = found
        self.host = host
        self.hops: dict[str, str] = {}
        self.ways = {path: self._way(target) for path, target in found.links.items()}
        self.finals = {way.final for way in self.ways.values()}
        # whether what a package brings can run is its manager's business
        asked = () if found.packages else self.ways.items()
        self._run_by_name = {way.final for path, way in asked if path.startswith(("bin/", "sbin/"))}
        self.decisive = {self._final(path) for path in found.files}
        self.recorded = {self._final(path) for path in found.recorded}
        self.named = {package.name: package for package in found.packages}
        self.packages = dict(self.named)
        self.direct = dict(self.named)
        self.owner: dict[str, Package] = {}
        self.loose: set[str] = set()
        self._closed: frozenset[str] = frozenset()

    def run(self) -> None:
        """Go on until nothing new is needed."""
        self._close_packages()
        for path, package in self._own(self.finals | self.decisive | self.recorded).items():
            self.packages[package.name] = self.direct[package.name] = package
            if path in self.finals:
                self.named[package.name] = package
        self._close_packages()
        looked: set[str] = set()
        pending = self._programs()
        while pending:
            looked |= pending
            needed = {self._final(path) for one in sorted(pending) for path in self._requirements(one)}
            new = needed - self.owner.keys() - looked
            owned = self._own(new)
            self.direct |= {package.name: package for package in owned.values()}
            self.packages |= self.direct
            self._close_packages()
            self.loose |= new - owned.keys()
            pending = new - owned.keys()

    def result(self) -> Closed:
        """What came together."""
        sources = {package.source for package in self.named.values() if not is_by_abi(package)}
        near = self._near()
        named, needed, promised = [], [], []
        for _, package in sorted(self.packages.items()):
            if is_by_abi(package) or package.name not in near:
                promised.append(package)
            elif package.name in self.named or package.source in sources:
                named.append(package)
            else:
                needed.append(package)
        decisive: set[str] = set()
        # what links reach has lines of its own, so that it is watched
        recorded = self.recorded | self.finals
        for package in (*named, *needed, *promised):
            files = self._package_files(package)
            decisive |= files if package in named else set()
            recorded |= files
        libc = {path for path in self.loose - self.owner.keys() if is_libc_runtime(path)}
        loose = (self.decisive | self.loose) - self.owner.keys() - libc
        decisive = {
            path for path in decisive if not is_documentation(path) and not is_local(self.host.inside(path))
        } | loose
        recorded |= self.decisive | self.loose
        return Closed(
            self.ways,
            tuple(named),
            tuple(needed),
            tuple(promised),
            tuple(sorted(decisive)),
            tuple(sorted(recorded - decisive)),
            tuple(sorted(self.hops.items())),
            libc_version(libc),
        )

    def _near(self) -> set[str]:
        """The packages that are needed other than by the C library and its like alone."""
        near: set[str] = set()
        for database in self.host.databases:
            own = [package for package in self.direct.values() if package.manager == database.manager]
            near |= {package.name for package in database.closure(own, beyond_abi=False)} if own else set()
        return near

    def _close_packages(self) -> None:
        names = frozenset(self.packages)
        if names == self._closed:
            return
        for database in self.host.databases:
            own = [package for package in self.packages.values() if package.manager == database.manager]
            for package in database.closure(own) if own else ():
                if package.name not in self._closed:
                    self.owner |= dict.fromkeys(database.files(package), package)
                self.packages[package.name] = package
        self._closed = frozenset(self.packages)

    def _own(self, paths: set[str]) -> dict[str, Package]:
        """Which of these belong to a package: those of the closure are known, others are looked for."""
        known = {path: self.owner[path] for path in paths if path in self.owner}
        found = self.host.owners(paths - known.keys())
        self.owner |= found
        return known | found

    def _programs(self) -> set[str]:
        """What is run by itself: what links reach, and what no package knows."""
        programs = {way.final for path, way in self.ways.items() if path.split("/")[0] in {"bin", "sbin", "lib"}}
        trees = tuple(f"{tree}/" for tree in self.found.trees)
        unowned = {path for path in self.decisive | self.recorded if path not in self.owner and _may_run(path)}
        return {path for path in programs | unowned if not (trees and path.startswith(trees) and "/bin/" not in path)}

    def _requirements(self, path: str) -> Iterable[str]:
        strict = path in self._run_by_name
        try:
            needed = requirements(path, self.host, search=self.found.search, strict=strict, owned=path in self.owner)
        except PermissionError as error:
            raise HostNotFoundError(f"'{path}' cannot be read: {error.strerror}") from error
        trees = tuple(f"{tree}/" for tree in self.found.trees)
        return [one for one in needed if not (trees and one.startswith(trees))]

    def _package_files(self, package: Package) -> set[str]:
        """The plain files that a package's paths lead to; its links are hops, and some packages bring dead ones."""
        files = set()
        for path in self.host.files(package):
            if is_generated(path):
                continue
            way = self.host.ways.follow(path)
            self.hops |= way.hops
            if os.path.isfile(way.final):
                files.add(way.final)
        return files

    def _way(self, path: str) -> Way:
        way = self.host.ways.follow(path)
        self.hops |= way.hops
        if not os.path.lexists(way.final):
            words = f"'{path}' is gone" if way.final == way.place else f"'{path}' leads to '{way.final}', which is gone"
            raise HostNotFoundError(words)
        return way

    def _final(self, path: str) -> str:
        return self._way(path).final


def _may_run(path: str) -> bool:
    return ".so" in os.path.basename(path) or os.access(path, os.X_OK)
