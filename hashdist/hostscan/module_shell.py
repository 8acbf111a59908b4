"""Load environment modules in a child shell of Lmod or Environment Modules, and see what changes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashdist import process

from .errors import HostNotFoundError

_INITS = (
    "/usr/share/lmod/lmod/init/bash",
    "/opt/ohpc/admin/lmod/lmod/init/bash",
    "/usr/share/modules/init/bash",
    "/usr/share/Modules/init/bash",
    "/usr/local/Modules/init/bash",
    "/etc/profile.d/lmod.sh",
    "/etc/profile.d/z00_lmod.sh",
    "/etc/profile.d/modules.sh",
)
_PURGE = r"""
. "$1" >/dev/null 2>&1
type module >/dev/null 2>&1 || exit 90
module --force purge >/dev/null 2>&1 || module purge >/dev/null 2>&1
printf '%s' "$MODULEPATH"
"""
_LOAD = r"""
. "$1" >/dev/null 2>&1
shift
type module >/dev/null 2>&1 || exit 90
env -0
printf 'HDIST-LOADED\0'
for name in "$@"; do
    before="$LOADEDMODULES"
    if ! module load "$name" >/dev/null || [ "$LOADEDMODULES" = "$before" ]; then
        case ":$LOADEDMODULES:" in
            *":$name:"*|*":$name/"*) continue ;;
        esac
        printf '\nHDIST-FAILED %s\n' "$name" >&2
        exit 91
    fi
done
env -0
"""
#: What the child shell knows, so that a capture depends on the modules and not on who makes it.
_NEUTRAL = {
    "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME": "/nonexistent",
    "USER": "hdist",
    "LOGNAME": "hdist",
    "LC_ALL": "C",
    "TERM": "dumb",
}
#: Settings of the module systems themselves.
_SETTINGS = re.compile(
    r"(?:MODULEPATH|MODULESHOME|MODULERCFILE|LMOD_(?!DEFAULT_MODULEPATH)\w+|MODULES_(?!LM)\w+|TCLLIBPATH)\Z"
)
_NOT_LOADED = 91
#: The module system's own memory, and what is no concern of builds.
_INTERNAL = re.compile(
    r"(?:LOADEDMODULES|_LMFILES_|__?LMOD|LMOD_|_ModuleTable|MODULEPATH|MODULES|__MODULES_|MODULESHOME|SHLVL|PWD|OLDPWD"
    r"|_$|BASH_|LD_(?!LIBRARY_PATH$|RUN_PATH$)|HOME$|USER$|LOGNAME$|LC_ALL$|MANPATH$|INFOPATH$|TMPDIR$|TERM$)"
)
_PATHS = re.compile(r".*(?:PATH|_DIRS)\Z")
_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Change:
    """What loading modules changed."""

    loaded: tuple[str, ...]
    """All modules that are loaded now, those that others brought included."""
    files: tuple[str, ...]
    """Their modulefiles."""
    paths: Mapping[str, tuple[str, ...]]
    """Directories added to lists, by variable, in order."""
    variables: Mapping[str, str]
    """Other variables that were set."""
    env: Mapping[str, str]
    """The whole environment."""


def load(names: Sequence[str], env: Mapping[str, str]) -> Change:
    """Load modules one after the other, after whatever is loaded was purged.

    `env` says where modules are (``MODULEPATH``, ``MODULESHOME``); what else is in it does not matter, as the child
    shell has a neutral environment. Raises `HostNotFoundError`.
    """
    init = _find_init(env)
    bash = shutil.which("bash", path=env.get("PATH", os.defpath))
    if init is None or bash is None:
        raise HostNotFoundError(
            "this host has no module system: neither Lmod nor Environment Modules was found",
            hint="if it has one, say where: MODULESHOME",
        )
    inner = {name: value for name, value in env.items() if _SETTINGS.match(name)} | _NEUTRAL
    if env.get("LOADEDMODULES"):  # what is loaded may have added places where others are
        whole = {name: value for name, value in env.items() if not name.startswith(("BASH_ENV", "BASH_FUNC"))}
        inner["MODULEPATH"] = os.fsdecode(_shell(bash, _PURGE, [init], whole))
    said = _shell(bash, _LOAD, [init, *names], inner)
    before, _, after = said.partition(b"HDIST-LOADED\0")
    return _compare(_variables(before), _variables(after))


def _shell(bash: str, script: str, arguments: Sequence[str], env: Mapping[str, str]) -> bytes:
    command = [bash, "--noprofile", "--norc", "-c", script, "hdist", *arguments]
    try:
        return process.run(command, env=env, timeout=_SECONDS)
    except process.ProgramTimeoutError as error:
        raise HostNotFoundError(f"loading the modules {', '.join(arguments[1:])} does not end") from error
    except process.ProgramFailedError as error:
        raise _failure(error, arguments[0]) from error


def _find_init(env: Mapping[str, str]) -> str | None:
    home = env.get("MODULESHOME")
    places = [os.path.join(home, "init", "bash")] if home else []
    return next((path for path in (*places, *_INITS) if os.path.isfile(path)), None)


def _failure(error: process.ProgramFailedError, init: str) -> HostNotFoundError:
    if error.status != _NOT_LOADED:
        return HostNotFoundError(
            f"the module system of this host does not start: {init}", hint="say where it is: MODULESHOME"
        )
    words, _, name = error.stderr.rpartition("HDIST-FAILED ")
    reason = " ".join(words.split())[:200] or "it says nothing, and nothing is loaded"
    return HostNotFoundError(
        f"module '{name.strip()}' cannot be loaded: {reason}", hint="see what there is: module avail"
    )


def _variables(data: bytes) -> dict[str, str]:
    pairs = (os.fsdecode(one).partition("=") for one in data.split(b"\0") if b"=" in one)
    return {name: value for name, _, value in pairs}


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _compare(before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    paths: dict[str, tuple[str, ...]] = {}
    variables = {}
    for name, value in sorted(after.items()):
        if _INTERNAL.match(name) or before.get(name) == value:
            continue
        if not _is_text(name + value):
            raise HostNotFoundError(f"what modules set in '{name}' is not UTF-8")
        if _PATHS.match(name):
            old = before.get(name, "").split(":")
            entries = tuple(one for one in value.split(":") if os.path.isabs(one) and one not in old)
            if entries:
                paths[name] = tuple(dict.fromkeys(entries))
        else:
            variables[name] = value
    old_files = before.get("_LMFILES_", "").split(":")
    files = tuple(one for one in after.get("_LMFILES_", "").split(":") if one and one not in old_files)
    loaded = tuple(one for one in after.get("LOADEDMODULES", "").split(":") if one)
    return Change(loaded, files, paths, variables, after)
