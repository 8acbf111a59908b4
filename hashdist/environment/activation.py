"""The scripts of a prefix that load it into a shell and unload it: static, so that loading starts no program.

``. PREFIX/bin/activate`` and ``. PREFIX/bin/deactivate``, with ``.fish`` and ``.csh`` beside them. Shell functions
call a prefix by a name: they set ``_hdist_name`` before.
"""

from __future__ import annotations

import functools
import os
from importlib import resources

from .loading import BASE, LOADED
from .variables import VARIABLES, Variable, directories

_NAMES = ("activate", "deactivate")
#: What every prefix has in `bin`.
SCRIPTS = tuple(f"bin/{name}{suffix}" for name in _NAMES for suffix in ("", ".fish", ".csh"))


def scripts(prefix: str, at: str) -> dict[str, bytes]:
    """The scripts of the prefix that lies at `prefix` and will lie at `at`: path to content."""
    name = os.path.basename(at)[:12]
    there = directories(prefix, at)
    texts = {
        "activate": _sh_load(name, at, there),
        "deactivate": f"{library_sh()}\n_hdist_unload '{at}'\n_hdist_done\n",
        "activate.fish": _fish_load(name, at, there),
        "deactivate.fish": f"{library_fish()}\n_hdist_unload '{at}'\n_hdist_done\n",
        "activate.csh": _csh(at, "activate"),
        "deactivate.csh": _csh(at, "deactivate"),
    }
    return {f"bin/{name}": text.encode() for name, text in texts.items()}


@functools.cache
def library_sh() -> str:
    """The functions for POSIX shells, as text."""
    unload = [
        f"  _hdist_remove {variable.name} \"$1{'/' if folder else ''}{folder}\" '{variable.default}'"
        for variable in VARIABLES
        if variable.shells == "all"
        for folder in variable.directories
    ]
    of_zsh = [
        f"    _hdist_remove {variable.name} \"$1/{folder}\" ''"
        for variable in VARIABLES
        if variable.shells == "zsh"
        for folder in variable.directories
    ]
    unload += ['  if [ -n "${ZSH_VERSION-}" ]; then', *of_zsh, "  fi"]
    names = [*(variable.name for variable in VARIABLES if variable.shells == "all"), LOADED, BASE]
    return (
        _read("library.sh")
        .replace("@UNLOAD@", "\n".join(unload))
        .replace("@PRINT@", "\n".join(f"    _hdist_print {name}" for name in names))
    )


@functools.cache
def library_fish() -> str:
    """The functions for fish, as text."""
    unload = [
        f"    _hdist_remove {variable.name} \"$argv[1]{'/' if folder else ''}{folder}\" '{variable.default}'"
        for variable in VARIABLES
        if variable.shells != "zsh"
        for folder in variable.directories
    ]
    return _read("library.fish").replace("@UNLOAD@", "\n".join(unload))


def _sh_load(name: str, at: str, there: list[tuple[Variable, list[str]]]) -> str:
    lines = [
        library_sh(),
        f"if _hdist_load \"${{_hdist_name:-{name}}}\" '{at}'; then",
        *(f"  {line}" for line in _adds(there, "all")),
    ]
    of_zsh = _adds(there, "zsh")
    if of_zsh:
        lines += ['  if [ -n "${ZSH_VERSION-}" ]; then', *(f"    {line}" for line in of_zsh), "  fi"]
    loaded = f'"${{_hdist_name:-{name}}} {at}${{{LOADED}:+:${LOADED}}}"'
    return "\n".join([*lines, f"  _hdist_put {LOADED} {loaded}", "fi", "_hdist_done", ""])


def _fish_load(name: str, at: str, there: list[tuple[Variable, list[str]]]) -> str:
    return "\n".join(
        [
            library_fish(),
            f"set -q _hdist_name; or set -l _hdist_name '{name}'",
            f"if _hdist_load $_hdist_name '{at}'",
            *(f"    {line}" for line in [*_adds(there, "all"), *_adds(there, "fish")]),
            f'    if test -n "${LOADED}"',
            f'        set -gx {LOADED} "$_hdist_name {at}:${LOADED}"',
            "    else",
            f'        set -gx {LOADED} "$_hdist_name {at}"',
            "    end",
            "end",
            "_hdist_done",
            "",
        ]
    )


def _adds(there: list[tuple[Variable, list[str]]], shells: str) -> list[str]:
    return [
        f"_hdist_add {variable.name} '{folder}' '{variable.default}'"
        for variable, folders in there
        if variable.shells == shells
        for folder in reversed(folders)
    ]


def _csh(at: str, script: str) -> str:
    # csh has neither functions nor the means to take an element out of a list
    return (
        "if (! $?_hdist_name) set _hdist_name = ''\n"
        f'eval "`/usr/bin/env _hdist_csh=1 _hdist_name=$_hdist_name:q /bin/sh {at}/bin/{script}`"\n'
        "unset _hdist_name\n"
    )


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("shell", name).read_text(encoding="utf-8")
