"""``pkgconfig:NAME``: a library by what its ``.pc`` file says, and those that it requires."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import replace

from hashdist import process
from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.found import Found
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.trees import is_shared, tree_files

from .linking import links_for
from .package import find_package

_SECONDS = 30


def find_pkgconfig(name: str, host: LiveHost) -> Found:
    """Ask pkg-config; a package that owns the ``.pc`` file is taken as a whole. Raises `HostNotFoundError`."""
    asker = _Asker(host)
    version = asker.say("--modversion", name)
    names = [name, *asker.required(name)]
    files = [asker.file(one) for one in names]
    places = [host.ways.place(path) for path in files]
    owners = host.owners(places)
    if places[0] in owners:
        packages = dict.fromkeys(owners[place] for place in places if place in owners)
        parts = [find_package(host.database(package), package, host) for package in packages]
        return replace(
            parts[0],
            finder="pkgconfig",
            version=version,
            artifact_version=version,
            links={link: target for part in reversed(parts) for link, target in part.links.items()},
            packages=tuple(dict.fromkeys(package for part in parts for package in part.packages)),
        )
    links = links_for([*files, *_headers(name, asker), *_libraries(name, asker)], host)
    watched = tuple(sorted({os.path.dirname(target) for target in links.values()}))
    found = Found("pkgconfig", version, version, "content", links, facts={name: version})
    return replace(found, watched=tuple(one for one in watched if not is_shared(one)))


class _Asker:
    """Puts questions to pkg-config."""

    def __init__(self, host: LiveHost) -> None:
        program = host.which("pkg-config") or host.which("pkgconf")
        if program is None:
            raise HostNotFoundError(
                "this host has no pkg-config", hint="apt-get install pkgconf, or write path: instead"
            )
        self._program = program
        self._env = {
            **host.env,
            "LC_ALL": "C",
            "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
            "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1",
        }

    def say(self, *question: str) -> str:
        """Its answer; raises `HostNotFoundError` with its words."""
        try:
            said = process.run([self._program, "--print-errors", *question], env=self._env, timeout=_SECONDS)
        except process.ProgramFailedError as error:
            words = " ".join(error.stderr.split()) or "it said nothing"
            raise HostNotFoundError(
                f"pkg-config does not find '{question[-1]}': {words[:200]}", hint="say where it is: PKG_CONFIG_PATH"
            ) from error
        return said.decode(errors="surrogateescape").strip()

    def words(self, *question: str) -> list[str]:
        """Its answer, as words."""
        return shlex.split(self.say(*question))

    def file(self, name: str) -> str:
        """The ``.pc`` file of a name."""
        return os.path.join(self.say("--variable=pcfiledir", name), f"{name}.pc")

    def required(self, name: str) -> list[str]:
        """The names that a name requires, and those that they require."""
        found: dict[str, None] = {}
        pending = [name]
        while pending:
            one = pending.pop()
            lines = [
                *self.say("--print-requires", one).split("\n"),
                *self.say("--print-requires-private", one).split("\n"),
            ]
            for word in (line.split()[0] for line in lines if line.strip()):
                if word not in found and word != name:
                    found[word] = None
                    pending.append(word)
        return list(found)


def _headers(name: str, asker: _Asker) -> Iterator[str]:
    for folder in dict.fromkeys(word[2:] for word in asker.words("--cflags-only-I", name)):
        real = os.path.realpath(folder)
        if is_shared(real):
            raise HostNotFoundError(
                f"'{name}' has its headers in '{real}', among those of others",
                hint="name what is wanted: path:DIRECTORY, or the package that has it",
            )
        yield from tree_files(real) if os.path.isdir(real) else ()


def _libraries(name: str, asker: _Asker) -> Iterator[str]:
    """The files of its libraries: shared, static, and under the name that the loader wants."""
    folders = [word[2:] for word in asker.words("--libs-only-L", name)]
    names = [word[2:] for word in asker.words("--libs-only-l", name)]
    for library in names:
        stems = (f"lib{library}.so", f"lib{library}.a")
        for folder in folders:
            present = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
            found = [one for one in present if one in stems or one.startswith(f"{stems[0]}.")]
            if found:
                yield from (os.path.join(folder, one) for one in found)
                break
