"""Runner 1: the rules of the environment a build gets. A change of any of them is a new runner.

Nothing of the user's environment enters. PATH is the ``bin`` of the inputs and nothing else; packages come
before host software, base last. Search variables name the inputs' directories; LD_RUN_PATH makes what is
linked run during the build; pkg-config looks nowhere else. Time is 1980-01-01, the locale is C.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashdist.objects.spec import Spec
from hashdist.stack.presets import BASE

RUNNER = 1
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
    packages = [one for one in ordered if one.spec.host is None]
    env = {
        "PATH": ":".join(path for one in ordered for path in one.directories("bin", "sbin")),
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
        **_search_variables(packages, place.prefix),
        **{directory_variable(one.name): one.path for one in ordered},
    }
    return env | dict(spec.env)


def _search_variables(packages: Sequence[Input], prefix: str) -> dict[str, str]:
    def join(*names: str) -> str:
        return ":".join(path for one in packages for path in one.directories(*names))

    libraries = join("lib", "lib64")
    python = [
        path
        for one in packages
        for lib in one.directories("lib")
        for name in sorted(os.listdir(lib))
        if name.startswith("python") and os.path.isdir(path := os.path.join(lib, name, "site-packages"))
    ]
    found = {
        "CPATH": join("include"),
        "LIBRARY_PATH": libraries,
        "LD_RUN_PATH": ":".join(filter(None, (os.path.join(prefix, "lib"), libraries))),
        "CMAKE_PREFIX_PATH": ":".join(one.path for one in packages),
        "ACLOCAL_PATH": join("share/aclocal"),
        "PYTHONPATH": ":".join(python),
    }
    # where it is empty pkg-config must not look into the system either
    pkg_config = join("lib/pkgconfig", "lib64/pkgconfig", "share/pkgconfig") or "/nonexistent"
    return {name: value for name, value in found.items() if value} | {"PKG_CONFIG_LIBDIR": pkg_config}


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
