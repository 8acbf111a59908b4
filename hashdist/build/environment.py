"""Runner 1: the rules of the environment a build gets. A change of any of them is a new runner.

Nothing of the user's environment enters. PATH is the ``bin`` of the inputs and nothing else; packages come
before host software, base last. Search variables name the inputs' directories, then those that environment
modules list; LD_RUN_PATH makes what is linked run during the build; pkg-config looks nowhere else. Time is
1980-01-01, the locale is C.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashdist import elf
from hashdist.objects.spec import Spec
from hashdist.stack.presets import BASE

RUNNER = 1
#: Lists that have their place elsewhere, or are a build's own.
_RULED = {"PATH", "PKG_CONFIG_PATH", "PREFIX", "FILES", "HOME", "TMPDIR"}
_PKG_CONFIG = ("lib/pkgconfig", "lib64/pkgconfig", "share/pkgconfig")
#: The time of every file, and SOURCE_DATE_EPOCH: the first moment that zip files can hold.
EPOCH = 315532800


@dataclass(frozen=True, slots=True)
class Input:
    """An input that is there."""

    name: str
    """What the spec calls it."""
    path: str
    """Its artifact."""
    spec: Spec
    """What it was made from."""

    @property
    def library_directories(self) -> list[str]:
        """Where its shared libraries are found at run time; none for those of the system, which are found anyway."""
        if self.spec.host is None:
            return self.directories("lib", "lib64")
        found = dict.fromkeys(self.spec.host.paths.get("LD_RUN_PATH", ()))
        system = set(map(os.path.realpath, elf.system_directories()))
        for folder in self.directories("lib"):
            links = (os.path.join(folder, name) for name in sorted(os.listdir(folder)) if ".so" in name)
            real = dict.fromkeys(os.path.dirname(os.path.realpath(link)) for link in links)
            found |= {one: None for one in real if one not in system}
        return list(found)

    def directories(self, *names: str) -> list[str]:
        """Those of its directories that exist."""
        places = (os.path.join(self.path, name) for name in names)
        return [place for place in places if os.path.isdir(place)]


@dataclass(frozen=True, slots=True)
class Workplace:
    """The directories of one build."""

    root: str
    """All below it is ours: home, tmp, files, src, log."""
    prefix: str
    """Where the artifact goes."""

    def inside(self, name: str) -> str:
        """One of them."""
        return os.path.join(self.root, name)


def in_order(inputs: Sequence[Input]) -> list[Input]:
    """Packages, then host software, then base; by name."""
    return sorted(inputs, key=lambda one: (one.name == BASE, one.spec.host is not None, one.name))


def environment(spec: Spec, inputs: Sequence[Input], place: Workplace, *, jobs: int) -> dict[str, str]:
    """The whole environment of a build's commands."""
    ordered = in_order(inputs)
    env: dict[str, str] = {}
    for one in reversed(ordered):
        env |= one.spec.host.environment if one.spec.host else {}
    env |= {
        "PATH": _join(ordered, "PATH", "bin", "sbin"),
        "PREFIX": place.prefix,
        "FILES": place.inside("files"),
        "HOME": place.inside("home"),
        "TMPDIR": place.inside("tmp"),
        "HDIST_JOBS": str(jobs),
        "SOURCE_DATE_EPOCH": str(EPOCH),
        "LC_ALL": "C",
        "TZ": "UTC",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        **_search_variables(ordered, place.prefix),
        **{directory_variable(one.name): one.path for one in ordered},
    }
    return env | dict(spec.env)


def _search_variables(ordered: Sequence[Input], prefix: str) -> dict[str, str]:
    """Packages come before host software, in each list."""
    packages = [one for one in ordered if one.spec.host is None]
    wide = [one for one in ordered if one.spec.host is None or one.directories("include", "lib", "share")]
    python = [
        path
        for one in packages
        for lib in one.directories("lib")
        for name in sorted(os.listdir(lib))
        if name.startswith("python") and os.path.isdir(path := os.path.join(lib, name, "site-packages"))
    ]
    run_path = [path for one in ordered for path in one.library_directories]
    found = {
        "CPATH": _join(ordered, "CPATH", "include"),
        "LIBRARY_PATH": _join(ordered, "LIBRARY_PATH", "lib", "lib64"),
        "LD_RUN_PATH": ":".join([os.path.join(prefix, "lib"), *run_path]),
        "CMAKE_PREFIX_PATH": ":".join([*(one.path for one in wide), *_replayed(ordered, "CMAKE_PREFIX_PATH")]),
        "ACLOCAL_PATH": _join(ordered, "ACLOCAL_PATH", "share/aclocal"),
        "PYTHONPATH": ":".join([*python, *_replayed(ordered, "PYTHONPATH")]),
        # where it is empty pkg-config must not look into the system either
        "PKG_CONFIG_LIBDIR": ":".join(
            [
                *(path for one in ordered for path in one.directories(*_PKG_CONFIG)),
                *_replayed(ordered, "PKG_CONFIG_PATH"),
            ]
        )
        or "/nonexistent",
    }
    others = {name for one in ordered if one.spec.host for name in one.spec.host.paths}
    for name in sorted(others - found.keys() - _RULED):
        found[name] = ":".join(_replayed(ordered, name))
    return {name: value for name, value in found.items() if value}


def _join(ordered: Sequence[Input], variable: str, *names: str) -> str:
    """The directories of these names in all inputs, then what host software lists in the variable."""
    own = [path for one in ordered for path in one.directories(*names)]
    return ":".join([*own, *_replayed(ordered, variable)])


def _replayed(ordered: Sequence[Input], variable: str) -> list[str]:
    """What environment modules put into a list of directories."""
    return [path for one in ordered if one.spec.host for path in one.spec.host.paths.get(variable, ())]


def directory_variable(name: str) -> str:
    """The variable that names an input's artifact: ``zlib-ng`` gives ``ZLIB_NG_DIR``."""
    words = re.sub(r"[^A-Za-z0-9]", "_", name).upper()
    return f"{'_' if words[0].isdigit() else ''}{words}_DIR"


def as_shell(env: Mapping[str, str], commands: Sequence[str], *, directory: str) -> str:
    """The script of a build; run by hand it does the same again, from anywhere."""
    lines = ["#!/bin/sh", "# env -i sh build.sh does again what hdist build did", "set -e", f"cd '{directory}'"]
    lines += [
        f"export {name}='{value.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}'"
        for name, value in sorted(env.items())
    ]
    return "\n".join([*lines, "set -x", *commands]) + "\n"
