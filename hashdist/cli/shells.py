"""Shells: the text that makes each define our function, or change its variables."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from importlib import resources

#: What we know, and the family each belongs to.
FAMILIES = {
    "bash": "sh",
    "zsh": "sh",
    "dash": "sh",
    "ksh": "sh",
    "sh": "sh",
    "fish": "fish",
    "tcsh": "csh",
    "csh": "csh",
}


def program() -> str:
    """The path of the hdist that runs, for functions to call."""
    path = os.path.abspath(sys.argv[0])
    return path if os.access(path, os.X_OK) and os.path.basename(path) == "hdist" else "hdist"


def completing(shell: str) -> str:
    """What makes a shell complete the words of hdist."""
    return _read(f"completion.{shell}")


def initial(shell: str) -> str:
    """What makes a shell have the hdist function; for ``direnv`` its library."""
    if shell == "direnv":
        return _read("direnv.sh").replace("@PROGRAM@", shlex.quote(program()))
    family = FAMILIES[shell]
    if family == "csh":
        # one line: csh's eval knows no others. What is typed stays as it is: quotes, variables, redirections
        helper = str(resources.files(__package__).joinpath("shell", "hdist-csh.sh"))
        run = f'/bin/sh "{helper}" "$_hdist_file" "{program()}" \\!*; set _hdist_status = $status'
        after = 'source "$_hdist_file"; \\rm -f "$_hdist_file"; unset _hdist_file; (exit $_hdist_status)'
        return f"alias hdist 'set _hdist_file = \"`mktemp`\"; {run}; {after}'\n"
    if family == "fish":
        return f"set -g _hdist_program {_fish_word(program())}\n{_read('hdist.fish')}"
    return f"_hdist_program={shlex.quote(program())}\n{_read('hdist.sh')}"


def sourcing(name: str, prefix: str, shell: str) -> str:
    """The line that has a shell load a prefix under a name; the script takes care of what is not exported, too."""
    family = FAMILIES[shell]
    if family == "fish":
        return f"set -g _hdist_name {_fish_word(name)}; source {_fish_word(f'{prefix}/bin/activate.fish')}"
    if family == "csh":
        return f"set _hdist_name = {_csh_word(name)}; source {_csh_word(f'{prefix}/bin/activate.csh')};"
    return f"_hdist_name={shlex.quote(name)}; . {shlex.quote(f'{prefix}/bin/activate')}"


def changes(before: Mapping[str, str], after: Mapping[str, str], shell: str) -> list[str]:
    """The lines that make the variables of a shell what they are in `after`."""
    family = FAMILIES[shell]
    names = sorted({*before, *after})
    return [_line(family, name, after.get(name)) for name in names if before.get(name) != after.get(name)]


def without_paths(prefix: str, shell: str) -> list[str]:
    """The lines that take a prefix out of the paths that zsh and fish keep to themselves."""
    family = FAMILIES[shell]
    if family == "fish":
        return [f"set -g fish_complete_path (string match -v -- {_fish_word(prefix + '/*')} $fish_complete_path)"]
    if family == "csh":
        return []
    return [f"if [ -n \"${{ZSH_VERSION-}}\" ]; then eval 'fpath=(${{fpath:#{prefix}/*}})'; fi"]


def _line(family: str, name: str, value: str | None) -> str:
    if family == "fish":
        if value is None:
            return f"set -e {name}"
        split = f"(string split -- : {_fish_word(value)})" if name.endswith("PATH") else _fish_word(value)
        return f"set -gx {name} {split}"
    if family == "csh":
        return f"unsetenv {name};" if value is None else f"setenv {name} {_csh_word(value)};"
    return f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"


def _fish_word(text: str) -> str:
    return "'" + re.sub(r"(['\\])", r"\\\1", text) + "'"


def _csh_word(text: str) -> str:
    return "'" + text.replace("'", "'\\''").replace("!", "\\!") + "'"


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("shell", name).read_text(encoding="utf-8")
