"""Put prefixes into an environment and take them out again, in any order: the rule that the shells follow too.

Nothing is remembered of whole values, so what users change in between stays. Loading puts the prefix's
directories in front; unloading takes each out where it stands. A variable that was unset or empty before anything
was loaded is so again when nothing of ours nor of the user's is left in it. The state is in two variables:
``HDIST_LOADED``, ``NAME PREFIX`` for each loaded prefix, the last one first, and ``HDIST_BASE``, ``VARIABLE=unset``
or ``VARIABLE=empty``; both are lists with colons. Shells add ``VARIABLE=local`` for what was set and not exported, and
make it so again when nothing is loaded any more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from hashdist.errors import InvalidError

from .variables import VARIABLES, directories

LOADED = "HDIST_LOADED"
BASE = "HDIST_BASE"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A prefix in an environment."""

    name: str
    """What it was loaded as."""
    prefix: str
    """Its path."""

    def __str__(self) -> str:
        """Give what the state variable has for it."""
        return f"{self.name} {self.prefix}"


def loaded(env: Mapping[str, str]) -> list[Loaded]:
    """The prefixes in an environment, the last loaded first."""
    found = []
    for text in env.get(LOADED, "").split(":"):
        name, space, prefix = text.partition(" ")
        if space:
            found.append(Loaded(name, prefix))
    return found


def load(env: Mapping[str, str], name: str, prefix: str) -> dict[str, str]:
    """The environment with a prefix in front; what was loaded as `name` from the same store before is unloaded.

    What was loaded last stays as it is. Raises `InvalidError` for a path that no search path can hold.
    """
    check_path(prefix)
    there = loaded(env)
    if there and there[0].prefix == prefix:
        return dict(env)
    for one in there:
        same_store = os.path.dirname(one.prefix) == os.path.dirname(prefix)
        if one.prefix == prefix or (one.name == name and same_store):
            env = unload(env, one.prefix)
    found = dict(env)
    for variable, folders in directories(prefix):
        if variable.shells == "all":
            for folder in reversed(folders):
                _add(found, variable.name, folder, variable.default)
    found[LOADED] = _put(str(Loaded(name, prefix)), found.get(LOADED, ""))
    return found


def unload(env: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The environment without a prefix, whether that is still there or not."""
    found = dict(env)
    for variable in VARIABLES:
        if variable.shells == "all":
            for folder in variable.directories:
                _remove(found, variable.name, os.path.join(prefix, folder) if folder else prefix, variable.default)
    for one in loaded(env):
        if one.prefix == prefix:
            found[LOADED] = without(found[LOADED], str(one))
    if not found.get(LOADED):
        found.pop(LOADED, None)
        found.pop(BASE, None)
    return found


def check_path(prefix: str) -> None:
    """Raise `InvalidError` unless search paths and shells can hold this path."""
    if ":" in prefix or any(ord(char) < ord(" ") for char in prefix):
        raise InvalidError(
            f"no search path can hold '{prefix}'", hint="a store whose path has no colon: hdist init PATH"
        )


def _add(env: dict[str, str], name: str, entry: str, default: str) -> None:
    value = env.get(name)
    if not value:
        # nothing of ours is in it: what was recorded before counts no more
        for state in ("unset", "empty"):
            env[BASE] = without(env.get(BASE, ""), f"{name}={state}")
        env[BASE] = _put(f"{name}={'unset' if value is None else 'empty'}", env[BASE])
        env[name] = entry + default
    else:
        env[name] = f"{entry}:{value}"


def _remove(env: dict[str, str], name: str, entry: str, default: str) -> None:
    if name not in env or f":{entry}:" not in f":{env[name]}:":
        return
    env[name] = without(env[name], entry)
    if env[name] not in {"", default[1:]}:
        return
    for state in ("unset", "empty"):
        if f":{name}={state}:" in f":{env.get(BASE, '')}:":
            env[BASE] = without(env[BASE], f"{name}={state}")
            if state == "unset":
                del env[name]
            else:
                env[name] = ""
            return


def without(value: str, entry: str) -> str:
    """A list without the first element that is `entry`, all else byte for byte."""
    before, found, after = f":{value}:".partition(f":{entry}:")
    return f"{before}:{after}"[1:-1] if found else value


def _put(entry: str, value: str) -> str:
    return f"{entry}:{value}" if value else entry
