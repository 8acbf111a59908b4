"""Modulefiles of prefixes and artifacts, in Tcl: both Environment Modules and Lmod read them.

They name what never changes and set neither LD_LIBRARY_PATH nor PYTHONPATH.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .variables import Variable, directories

#: The line by which a modulefile of ours is known again, with what it leads to.
MARK = "# made by hashdist for "
_PLAIN = re.compile(r"[A-Za-z0-9_./:+@=-]+\Z")
#: Where programs look anyway as long as these are unset; once set, a part of the list must say so.
_ONLY_IF_SET = frozenset({"MANPATH", "INFOPATH", "XDG_DATA_DIRS"})


@dataclass(frozen=True, slots=True)
class Module:
    """A modulefile that is wanted."""

    name: str
    """What it is called, without the version: others of that name conflict with it."""
    version: str
    """The rest of its name."""
    prefix: str
    """What it leads to."""
    whatis: Sequence[str]
    """Lines for ``module whatis``, the first one short."""
    family: str | None = None
    """Of which family only one is loaded at a time; Environment Modules knows families from 5.1 on."""


def modulefile(module: Module) -> str:
    """The text of a modulefile."""
    lines = [
        "#%Module1.0",
        f"{MARK}{module.prefix}",
        "proc ModulesHelp { } {",
        *(f"  puts stderr {_word(line)}" for line in (*module.whatis, f"Prefix: {module.prefix}")),
        "}",
        *(f"module-whatis {_word(line)}" for line in module.whatis),
        f"conflict {_word(module.name)}",
    ]
    if module.family is not None:
        lines.append(f"family {_word(module.family)}")
    for variable, folders in directories(module.prefix):
        if variable.shells == "all":
            lines += _prepend(variable, folders)
    return "\n".join([*lines, ""])


def _prepend(variable: Variable, folders: Sequence[str]) -> list[str]:
    lines = [f"prepend-path {variable.name} {_word(folder)}" for folder in reversed(folders)]
    if variable.name in _ONLY_IF_SET:
        # unset they mean the usual places, which prepending would hide and appending could not take back
        return [f"if {{[info exists env({variable.name})]}} {{", *(f"  {line}" for line in lines), "}"]
    return lines


def _word(text: str) -> str:
    """A text as one word of Tcl, in which nothing is substituted."""
    if _PLAIN.match(text):
        return text
    escaped = re.sub(r'([\\"$\[\]{}])', r"\\\1", text)
    return '"' + "".join(char if char.isprintable() else " " for char in escaped) + '"'
