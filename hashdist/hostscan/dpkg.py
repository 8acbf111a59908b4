"""Debian's package database, read where dpkg keeps it; nothing is run, nothing is locked."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hashdist.progress import SILENT, Progress

from .errors import HostChangingError, HostNotFoundError
from .hops import Ways
from .layout import is_documentation, is_local
from .packages import Package, is_by_abi
from .trees import is_shared, is_there

_WORD = re.compile(r"\s*([^\s:(\[<]+)(?::([\w-]+))?")
_READABLE = {"Package", "Status", "Version", "Source", "Provides", "Depends", "Pre-Depends", "Architecture"}
#: Beyond this many names it is quicker to look at all paths.
_FEW = 30
#: Seconds between two looks at whether dpkg has ended.
_MOMENT = 0.1
_INSTALLED = {"installed", "triggers-pending", "triggers-awaited"}


@dataclass(frozen=True, slots=True)
class _Stanza:
    package: Package
    arch: str
    depends: str
    listing: str


class DpkgDatabase:
    """The packages that dpkg knows; `env` may hold ``DPKG_ROOT`` and ``DPKG_ADMINDIR``, as for dpkg itself."""

    manager = "dpkg"

    def __init__(self, env: Mapping[str, str], ways: Ways, *, patience: float = 0, progress: Progress = SILENT) -> None:
        """While dpkg works on it, it is waited for, for `patience` seconds."""
        self._patience = patience
        self._progress = progress
        self._root = env.get("DPKG_ROOT", "").rstrip("/")
        self._admin = env.get("DPKG_ADMINDIR") or f"{self._root}/var/lib/dpkg"
        self._ways = ways
        self._stanzas: dict[tuple[str, str], _Stanza] = {}
        self._provides: dict[str, list[_Stanza]] = {}
        self._native = ""
        self._loaded = False
        self._state: object = None
        self._broken: dict[str, str] = {}
        self._files: dict[str, list[str]] = {}
        self._placed: dict[str, Package] = {}
        self._lists: list[tuple[_Stanza, bytes]] = []
        self._diversions: dict[str, tuple[str, str]] | None = None

    @staticmethod
    def is_here(env: Mapping[str, str]) -> bool:
        """Whether there is such a database."""
        root = env.get("DPKG_ROOT", "").rstrip("/")
        return os.path.exists(os.path.join(env.get("DPKG_ADMINDIR") or f"{root}/var/lib/dpkg", "status"))

    def find(self, name: str) -> Package:
        """The installed package of that name (``NAME`` or ``NAME:ARCH``); raises `HostNotFoundError`."""
        self._load()
        plain, _, arch = name.partition(":")
        stanza = self._choose(plain, arch or self._native)
        if stanza is not None and (not arch or stanza.arch == arch):
            return stanza.package
        if not self._stanzas:
            raise HostNotFoundError(f"the database of dpkg is empty: {self._admin}")
        if name in self._broken:
            raise HostNotFoundError(
                f"package '{name}' is {self._broken[name]}, not installed", hint="mend it: dpkg --configure -a"
            )
        raise HostNotFoundError(f"no package '{name}' is installed", hint=f"apt-get install {name}")

    def closure(self, packages: Iterable[Package], *, beyond_abi: bool = True) -> list[Package]:
        """These and what they depend on, and so on; of alternatives the first that is installed."""
        self._load()
        found: dict[str, Package] = {}
        pending = list(packages)
        while pending:
            package = pending.pop()
            if package.name in found:
                continue
            found[package.name] = package
            if beyond_abi or not is_by_abi(package):
                stanza = self._stanza(package)
                pending += [self._satisfy(clause, stanza) for clause in stanza.depends.split(",") if clause]
        return [found[name] for name in sorted(found)]

    def files(self, package: Package) -> Sequence[str]:
        """Its files and links by canonical path; raises `HostNotFoundError` for one that is not there."""
        if package.name not in self._files:
            self._files[package.name] = sorted(self._existing(package))
            self._placed |= dict.fromkeys(self._files[package.name], package)
        return self._files[package.name]

    def owners(self, paths: Iterable[str]) -> dict[str, Package]:
        """Which of these belong to a package, and to which."""
        wanted = set(paths)
        if not wanted:
            return {}
        found = {path: self._placed[path] for path in wanted if path in self._placed}
        wanted -= found.keys()
        if not wanted:
            return found
        self._load()
        names = {os.path.basename(path) for path in wanted}
        for stanza, data in self._mentioning(names):
            for path in self._paths(stanza, data):
                if path[path.rfind("/") + 1 :] in names and (place := self._ways.place(path)) in wanted:
                    found[place] = stanza.package
        return found

    def _mentioning(self, names: set[str]) -> Iterator[tuple[_Stanza, bytes]]:
        """The packages that may have files of these names: few of 100,000 paths are worth being taken apart."""
        if not self._lists:
            for stanza in self._stanzas.values():
                # what is removed just now has no files any more
                with contextlib.suppress(OSError), open(stanza.listing, "rb") as file:
                    self._lists.append((stanza, file.read()))
        words = [b"/%b\n" % os.fsencode(name) for name in names] if len(names) <= _FEW else [b"/"]
        yield from (one for one in self._lists if any(word in one[1] for word in words))

    def versions(self, names: Iterable[str]) -> dict[str, str]:
        """The versions of those of these that are installed."""
        self._load()
        installed = {stanza.package.name: stanza.package.version for stanza in self._stanzas.values()}
        return {name: installed[name] for name in names if name in installed}

    def state(self) -> object:
        """Differs after anything was installed or removed."""
        try:
            status = os.stat(os.path.join(self._admin, "status"))
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _stanza(self, package: Package) -> _Stanza:
        name, _, arch = package.name.partition(":")
        stanza = self._choose(name, arch or self._native)
        assert stanza is not None, "packages come from here"
        return stanza

    def _choose(self, name: str, arch: str) -> _Stanza | None:
        for one in (arch, "all", self._native):
            if (name, one) in self._stanzas:
                return self._stanzas[name, one]
        return None

    def _satisfy(self, clause: str, needing: _Stanza) -> Package:
        """The installed package that a clause such as ``a (>= 1) | b`` means."""
        for alternative in clause.split("|"):
            word = _WORD.match(alternative)
            if not word:
                continue
            stanza = self._choose(word[1], needing.arch if needing.arch != "all" else self._native)
            if stanza is None and (providers := self._provides.get(word[1])):
                stanza = min(providers, key=lambda one: (one.arch != needing.arch, one.package.name))
            if stanza is not None:
                return stanza.package
        raise HostNotFoundError(
            f"package '{needing.package.name}' needs '{clause.strip()}', which is not installed",
            hint="mend it: apt-get -f install",
        )

    def _load(self) -> None:
        if self._loaded:
            return
        self._refuse_changing()
        self._state = self.state()
        path = os.path.join(self._admin, "status")
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read()
        except FileNotFoundError as error:
            raise HostNotFoundError(f"no database of dpkg: '{path}' is not there") from error
        except OSError as error:
            raise HostNotFoundError(f"the database of dpkg cannot be read: {path}: {error.strerror}") from error
        fields = [_fields(stanza) for stanza in text.split("\n\n") if stanza.strip()]
        self._loaded = True
        self._native = next((one["Architecture"] for one in fields if one.get("Package") == "dpkg"), "")
        if not self._native:
            known = [one.get("Architecture", "all") for one in fields]
            self._native = next((arch for arch in known if arch != "all"), "all")
        for one in fields:
            self._take(one)

    def _take(self, one: dict[str, str]) -> None:
        name, arch = one.get("Package", ""), one.get("Architecture", "")
        state = one.get("Status", "").rpartition(" ")[2]
        if state not in _INSTALLED:
            if name and state not in {"not-installed", "config-files"}:
                self._broken[name] = state
            return
        shown = name if arch in {self._native, "all"} else f"{name}:{arch}"
        listing = os.path.join(self._admin, "info", f"{name}:{arch}.list")
        if not os.path.exists(listing):
            listing = os.path.join(self._admin, "info", f"{name}.list")
        source = one.get("Source", name).partition(" ")[0]
        package = Package(self.manager, shown, one.get("Version", ""), source, listing)
        depends = ",".join(filter(None, (one.get("Pre-Depends"), one.get("Depends"))))
        stanza = self._stanzas[name, arch] = _Stanza(package, arch, depends, listing)
        for provided in one.get("Provides", "").split(","):
            if word := _WORD.match(provided):
                self._provides.setdefault(word[1], []).append(stanza)

    def _refuse_changing(self) -> None:
        """Raise `HostChangingError` while dpkg is at work: it holds its lock, or has changes noted but not merged."""
        end = time.monotonic() + self._patience
        told = False
        while True:
            holder = _lock_holder(os.path.join(self._admin, "lock"))
            pending = self._pending()
            if not holder and not (pending and pending == self._pending()):
                return
            if not holder and not _lock_holder(os.path.join(self._admin, "lock")):
                raise HostChangingError("dpkg was interrupted while it worked", hint="mend it: dpkg --configure -a")
            if time.monotonic() >= end:
                raise HostChangingError(
                    f"packages are being installed (dpkg, pid {holder})", hint="try again when it ends"
                )
            if not told:
                self._progress.note(f"waiting for dpkg (pid {holder}) to end")
                told = True
            time.sleep(_MOMENT)

    def _pending(self) -> list[str]:
        """Changes that dpkg has noted and not merged."""
        try:
            return sorted(name for name in os.listdir(os.path.join(self._admin, "updates")) if name.isdigit())
        except OSError:
            return []

    def _listed(self, stanza: _Stanza) -> Iterator[str]:
        """The paths of a package as its list has them, below the root; those that another one diverts, diverted."""
        try:
            with open(stanza.listing, "rb") as file:
                data = file.read()
        except OSError as error:
            if self.state() != self._state:
                raise HostChangingError("packages were installed while the host was scanned") from error
            raise HostNotFoundError(
                f"the database of dpkg cannot be read: {stanza.listing}: {error.strerror}",
                hint=f"apt-get install --reinstall {stanza.package.name}",
            ) from error
        return self._paths(stanza, data)

    def _paths(self, stanza: _Stanza, data: bytes) -> Iterator[str]:
        """Likewise, for the bytes of its list."""
        diversions = self._read_diversions()
        own = stanza.package.name.partition(":")[0]
        for line in os.fsdecode(data).split("\n"):
            diverted, by = diversions.get(line, (line, own))
            path = line if by == own else diverted
            if path and path != "/.":
                yield self._root + path

    def _existing(self, package: Package) -> Iterator[str]:
        for path in self._listed(self._stanza(package)):
            place = self._ways.place(path)
            system = place.removeprefix(self._root)
            if os.path.isdir(place) and (not os.path.islink(place) or is_shared(system)):
                continue
            there = is_there(place)
            if there:
                yield place
            elif there is False and not is_documentation(system) and not is_local(system):
                raise HostNotFoundError(
                    f"'{path}' of package '{package.name}' is gone",
                    hint=f"apt-get install --reinstall {package.name}",
                )

    def _read_diversions(self) -> dict[str, tuple[str, str]]:
        """Path to where it was diverted, and for which package."""
        if self._diversions is None:
            try:
                with open(os.path.join(self._admin, "diversions"), encoding="utf-8", errors="surrogateescape") as file:
                    lines = file.read().splitlines()
            except OSError:
                lines = []
            self._diversions = {lines[i]: (lines[i + 1], lines[i + 2]) for i in range(0, len(lines) - 2, 3)}
        return self._diversions


def _fields(stanza: str) -> dict[str, str]:
    found = {}
    for line in stanza.split("\n"):
        name, colon, value = line.partition(":")
        if colon and name in _READABLE:
            found[name] = value.strip()
    return found


def _lock_holder(path: str) -> int | None:
    """The process that holds a lock on a file, which we need not be allowed to open."""
    try:
        status = os.stat(path)
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in lines:
        words = line.split()
        if "->" not in words and wanted in words:
            return int(words[words.index(wanted) - 1])
    return None
