"""Which variables lead to what is in a prefix: one table for shells, modulefiles and programs run in it.

LD_LIBRARY_PATH and PYTHONPATH are not among them and never will be: libraries are found by run paths, packages by
the prefix's own Python, and both variables break programs outside the prefix. LD_RUN_PATH goes with LIBRARY_PATH,
so that what is linked against a prefix also runs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

Shells = Literal["all", "zsh", "fish"]


@dataclass(frozen=True, slots=True)
class Variable:
    """A search path."""

    name: str
    """What it is called."""
    directories: tuple[str, ...]
    """Those of a prefix that it lists, where they are there; '' is the prefix itself."""
    default: str = ""
    """What stands behind ours where it was unset: as programs take an unset one."""
    shells: Shells = "all"
    """Whose it is; those of one shell are not exported."""


VARIABLES: tuple[Variable, ...] = (
    Variable("PATH", ("bin", "sbin")),
    # an empty element stands for where they look anyway
    Variable("MANPATH", ("share/man", "man"), default=":"),
    Variable("INFOPATH", ("share/info", "info"), default=":"),
    Variable("PKG_CONFIG_PATH", ("lib/pkgconfig", "lib64/pkgconfig", "share/pkgconfig")),
    Variable("CMAKE_PREFIX_PATH", ("",)),
    Variable("ACLOCAL_PATH", ("share/aclocal",)),
    Variable("CPATH", ("include",)),
    Variable("LIBRARY_PATH", ("lib", "lib64")),
    Variable("LD_RUN_PATH", ("lib", "lib64")),
    # programs' data: bash-completion, fish, icons, desktop files
    Variable("XDG_DATA_DIRS", ("share",), default=":/usr/local/share:/usr/share"),
    Variable("FPATH", ("share/zsh/site-functions", "share/zsh/vendor-completions"), shells="zsh"),
    Variable("fish_complete_path", ("share/fish/vendor_completions.d",), shells="fish"),
)
_LIBRARIES = {"LIBRARY_PATH", "LD_RUN_PATH"}
_OF_DEVELOPERS = (
    "include",
    "lib/pkgconfig",
    "lib64/pkgconfig",
    "share/pkgconfig",
    "lib/cmake",
    "lib64/cmake",
    "share/cmake",
)


def directories(prefix: str, at: str | None = None) -> list[tuple[Variable, list[str]]]:
    """The variables that have something to list, with the directories in `prefix`.

    With `at` they are named as they will be called there.
    """
    at = prefix if at is None else at
    found = []
    for variable in VARIABLES:
        there = [folder for folder in variable.directories if _counts(prefix, variable, folder)]
        if there:
            found.append((variable, [os.path.join(at, folder) if folder else at for folder in there]))
    return found


def _counts(prefix: str, variable: Variable, folder: str) -> bool:
    if not folder:
        return any(os.path.isdir(os.path.join(prefix, one)) for one in _OF_DEVELOPERS)
    place = os.path.join(prefix, folder)
    if not os.path.isdir(place):
        return False
    if variable.name not in _LIBRARIES:
        return True
    return any(name.endswith(".a") or ".so" in name for name in os.listdir(place))
