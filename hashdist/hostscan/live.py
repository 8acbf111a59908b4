"""The live host, as one scan sees it: the user's environment, package managers, links, and hashes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping

from hashdist.objects.spec import Platform
from hashdist.progress import SILENT, Progress

from .alternatives import alternative_links
from .dpkg import DpkgDatabase
from .errors import HostChangingError
from .hashing import Hasher, Memory
from .hops import Ways
from .packages import Package, PackageDatabase
from .platform import this_platform
from .rpm import RpmDatabase

#: Where programs of packages look for others.
_SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"


class LiveHost:
    """What finders look at. Made anew for each scan, as it remembers what it saw."""

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        platform: Platform | None = None,
        memory: Memory | None = None,
        progress: Progress = SILENT,
        patience: float = 30.0,
    ) -> None:
        """`env` is the user's environment: PATH, what names package databases, what module systems keep there.

        Package managers that are at work are waited for, for `patience` seconds.
        """
        self.env = dict(env)
        self.platform = platform or this_platform()
        self.ways = Ways()
        self.memory = memory if memory is not None else Memory({})
        self._progress = progress
        self._root = env.get("DPKG_ROOT", "").rstrip("/")
        self.hasher = Hasher(self.memory, progress)
        self.dpkg = DpkgDatabase(env, self.ways, patience=patience, progress=progress)
        self.rpm = RpmDatabase(env, self.ways)
        self._alternatives: dict[str, str] | None = None

    def with_env(self, env: Mapping[str, str]) -> LiveHost:
        """The same host, for a user with another environment."""
        return LiveHost(env, platform=self.platform, memory=self.memory, progress=self._progress)

    def inside(self, path: str) -> str:
        """A path as it would be if the system in ``DPKG_ROOT`` were the running one."""
        return path.removeprefix(self._root) or "/"

    @property
    def databases(self) -> list[PackageDatabase]:
        """The package databases that are here."""
        found: list[PackageDatabase] = []
        if DpkgDatabase.is_here(self.env):
            found.append(self.dpkg)
        if RpmDatabase.is_here(self.env):
            found.append(self.rpm)
        return found

    def database(self, package: Package) -> PackageDatabase:
        """Where a package comes from."""
        return self.dpkg if package.manager == "dpkg" else self.rpm

    def owners(self, paths: Iterable[str]) -> dict[str, Package]:
        """Which of these canonical paths belong to packages, and to which."""
        left = set(paths)
        found: dict[str, Package] = {}
        for database in self.databases:
            found |= database.owners(left - found.keys())
        return found

    def files(self, package: Package) -> list[str]:
        """The files and links of a package, by canonical path."""
        return list(self.database(package).files(package))

    def alternatives(self) -> dict[str, str]:
        """Links that no package owns, such as ``/usr/bin/cc``, to the files they lead to now."""
        if self._alternatives is None:
            self._alternatives = alternative_links()
        return self._alternatives

    def which(self, name: str) -> str | None:
        """A command on the user's PATH, with its directory canonical."""
        found = shutil.which(name, path=self.env.get("PATH", os.defpath))
        return self.ways.place(os.path.abspath(found)) if found else None

    def which_in_system(self, name: str) -> str | None:
        """A command in the system's own directories, whatever the user's PATH: for what packages use."""
        found = shutil.which(name, path=_SYSTEM_PATH)
        return self.ways.place(found) if found else None

    def state(self) -> object:
        """Differs after anything was installed or removed."""
        return [database.state() for database in self.databases]

    def refuse_change(self, before: object, packages: Iterable[tuple[str, str, str]]) -> None:
        """Raise `HostChangingError` if, since `before` was the state, one of `packages` came, went or changed.

        They are given by manager, name and version.
        """
        if self.state() == before:
            return
        now = LiveHost(self.env, platform=self.platform)
        known = list(packages)
        for database in (now.dpkg, now.rpm):
            versions = {name: version for manager, name, version in known if manager == database.manager}
            if versions and database.versions(versions) != versions:
                raise HostChangingError("packages were installed while the host was scanned", hint="try again")
