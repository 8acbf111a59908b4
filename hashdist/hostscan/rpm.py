"""The package database of rpm, asked of the ``rpm`` program, as its format differs between systems."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hashdist import process

from .errors import HostNotFoundError
from .hops import Ways
from .layout import is_documentation, is_local
from .packages import Package, is_by_abi
from .trees import is_shared, is_there

_IDENTITY = "%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}"
_PACKAGE = (
    f"P\\t{_IDENTITY}\\t%{{NAME}}\\t%|EPOCH?{{%{{EPOCH}}:}}:{{}}|%{{VERSION}}-%{{RELEASE}}\\t%{{ARCH}}\\t%{{SOURCERPM}}\\n"
    "[F\\t%{FILEFLAGS}\\t%{FILENAMES}\\n][R\\t%{REQUIRENAME}\\n]"
)
_DOC, _GHOST = 2, 64
#: Packages of which several versions are installed beside each other.
_SEVERAL = re.compile(r"(?:kernel(?:-(?:core|devel|modules[\w-]*|debug[\w-]*))?|gpg-pubkey)\Z")
_SECONDS = 60
#: Requirements in one question; the kernel limits the length of a command.
_BATCH = 500


class RpmDatabase:
    """The packages that rpm knows, where it is configured to keep them (``~/.rpmmacros`` and all)."""

    manager = "rpm"

    def __init__(self, env: Mapping[str, str], ways: Ways) -> None:
        self._env = {**env, "LC_ALL": "C"}
        self._ways = ways
        self._known: dict[str, Package] = {}
        self._needs: dict[str, list[str]] = {}
        self._listed: dict[str, list[tuple[int, str]]] = {}
        self._files: dict[str, list[str]] = {}
        self._placed: dict[str, Package] = {}
        self._ids: dict[str, str] = {}
        self._path: str | None = None

    @staticmethod
    def is_here(env: Mapping[str, str]) -> bool:
        """Whether there is an ``rpm`` to ask."""
        return shutil.which("rpm", path=env.get("PATH")) is not None

    def find(self, name: str) -> Package:
        """The installed package of that name (``NAME`` or ``NAME.ARCH``); raises `HostNotFoundError`."""
        if not self.is_here(self._env):
            raise HostNotFoundError("this host has no rpm", hint="write dpkg: or path: instead")
        answer = self._ask("--qf", _PACKAGE, name)
        found = self._read(answer)
        if not found:
            raise HostNotFoundError(f"no package '{name}' is installed", hint=f"dnf install {name}")
        exact = [package for package in found if package.name == name]
        return (exact or sorted(found, key=lambda package: package.name))[-1]

    def closure(self, packages: Iterable[Package], *, beyond_abi: bool = True) -> list[Package]:
        """These and whatever provides what they require, and so on."""
        found = {package.name: package for package in packages}
        pending = list(found.values())
        asked: set[str] = set()
        while pending:
            pending = [package for package in pending if beyond_abi or not is_by_abi(package)]
            self._fill([package for package in pending if package.name not in self._needs])
            wanted = sorted({need for package in pending for need in self._needs[package.name]} - asked)
            asked |= set(wanted)
            pending = [package for package in self._providers(wanted) if package.name not in found]
            found |= {package.name: package for package in pending}
        return [found[name] for name in sorted(found)]

    def files(self, package: Package) -> Sequence[str]:
        """Its files and links by canonical path; raises `HostNotFoundError` for one that is not there."""
        if package.name not in self._files:
            self._fill([package] if package.name not in self._listed else [])
            self._files[package.name] = sorted(set(self._existing(package)))
            self._placed |= dict.fromkeys(self._files[package.name], package)
        return self._files[package.name]

    def owners(self, paths: Iterable[str]) -> dict[str, Package]:
        """Which of these belong to a package, and to which."""
        wanted = set(paths)
        found = {path: self._placed[path] for path in wanted if path in self._placed}
        wanted -= found.keys()
        if not wanted or not self.is_here(self._env) or not os.path.isdir(self._database()):
            return found
        spelled = sorted(wanted | {path.removeprefix("/usr") for path in wanted if path.startswith("/usr/lib")})
        packages = []
        for start in range(0, len(spelled), _BATCH):
            answer = self._ask("--qf", f"P\\t{_IDENTITY}\\n", "-f", *spelled[start : start + _BATCH])
            packages += [line.split("\t")[1] for line in answer.splitlines() if line.startswith("P\t")]
        for package in self._named(dict.fromkeys(packages)):
            for _, path in self._listed[package.name]:
                if (place := self._ways.place(path)) in wanted:
                    found[place] = package
        return found

    def versions(self, names: Iterable[str]) -> dict[str, str]:
        """The versions of those of these that are installed."""
        wanted = sorted(names)
        for start in range(0, len(wanted), _BATCH):
            self._read(self._ask("--qf", _PACKAGE, *wanted[start : start + _BATCH]))
        installed = {package.name: package.version for package in self._known.values()}
        return {name: installed[name] for name in wanted if name in installed}

    def state(self) -> object:
        """Differs after anything was installed or removed."""
        path = self._witness()
        found = []
        for one in (path, f"{path}-wal"):
            try:
                status = os.stat(one)
            except OSError:
                continue
            found.append((one, status.st_mtime_ns, status.st_size))
        return found

    def _database(self) -> str:
        """The file that changes whenever anything is installed; else the directory."""
        if self._path is None:
            self._path = process.run(["rpm", "--eval", "%{_dbpath}"], env=self._env, timeout=_SECONDS).decode().strip()
        return self._path

    def _witness(self) -> str:
        place = self._database()
        for name in ("rpmdb.sqlite", "Packages.db", "Packages"):
            if os.path.exists(os.path.join(place, name)):
                return os.path.join(place, name)
        return place

    def _ask(self, *arguments: str) -> str:
        """What ``rpm -q`` answers; 'not installed' is an answer too. Raises `HostNotFoundError` if it cannot look."""
        if not os.path.isdir(self._database()):
            raise HostNotFoundError(f"no database of rpm: '{self._database()}' is not there")
        try:
            return process.run(["rpm", "-q", *arguments], env=self._env, timeout=_SECONDS).decode(errors="replace")
        except process.ProgramTimeoutError as error:
            raise HostNotFoundError(
                "rpm does not answer: its database may be locked", hint="see who holds it: fuser -v /var/lib/rpm/*"
            ) from error
        except process.ProgramFailedError as error:
            problems = [line for line in error.stderr.splitlines() if line.startswith("error:")]
            unowned = all("No such file" in line for line in problems)
            if problems and not unowned:
                words = problems[0].removeprefix("error:").strip()
                raise HostNotFoundError(f"the database of rpm cannot be read: {words}") from error
            return error.stdout.decode(errors="replace")

    def _read(self, answer: str) -> list[Package]:
        found = []
        package: Package | None = None
        for line in answer.split("\n"):
            kind, _, rest = line.partition("\t")
            if kind == "P":
                id, name, version, arch, source = rest.split("\t")
                package = self._take(id, name, version, arch, source)
                found.append(package)
                self._needs[package.name], self._listed[package.name] = [], []
            elif package is not None and kind == "F":
                flags, _, path = rest.partition("\t")
                self._listed[package.name].append((int(flags), path))
            elif package is not None and kind == "R" and not rest.startswith(("rpmlib(", "(", "config(")):
                self._needs[package.name].append(rest)
        return found

    def _take(self, id: str, name: str, version: str, arch: str, source: str) -> Package:
        native = arch in {os.uname().machine, "noarch", "(none)"}
        shown = name if native else f"{name}.{arch}"
        if _SEVERAL.match(name):
            shown = f"{name}-{version}.{arch}"
        self._ids[shown] = id
        stem = source.removesuffix(".src.rpm").removesuffix(".nosrc.rpm")
        self._known[id] = Package(self.manager, shown, version, stem.rsplit("-", 2)[0], self._witness())
        return self._known[id]

    def _fill(self, packages: Sequence[Package]) -> None:
        if packages:
            self._read(self._ask("--qf", _PACKAGE, *(self._ids[package.name] for package in packages)))

    def _providers(self, needs: Sequence[str]) -> Iterator[Package]:
        """Whoever provides these; what nobody provides is left out, as rpm itself saw to the rest."""
        ids: dict[str, None] = {}
        for start in range(0, len(needs), _BATCH):
            batch = needs[start : start + _BATCH]
            answer = self._ask("--whatprovides", "--qf", f"P\\t{_IDENTITY}\\n", *batch)
            ids |= dict.fromkeys(line.split("\t")[1] for line in answer.splitlines() if line.startswith("P\t"))
        yield from self._named(ids)

    def _named(self, ids: Iterable[str]) -> list[Package]:
        unknown = [id for id in ids if id not in self._known]
        if unknown:
            self._read(self._ask("--qf", _PACKAGE, *unknown))
        return [self._known[id] for id in ids]

    def _existing(self, package: Package) -> Iterator[str]:
        for flags, path in self._listed[package.name]:
            place = self._ways.place(path)
            if os.path.isdir(place) and (not os.path.islink(place) or is_shared(place)):
                continue
            there = is_there(place)
            if there:
                yield place
            elif there is False and not flags & (_DOC | _GHOST) and not is_documentation(place) and not is_local(place):
                raise HostNotFoundError(
                    f"'{path}' of package '{package.name}' is gone", hint=f"dnf reinstall {package.name}"
                )
