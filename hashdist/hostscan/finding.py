"""From a host entry of a stack file to a capture of the live system."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace

from hashdist.objects.spec import Platform
from hashdist.stack.packages import HostEntry

from .capture import Found, HostCapture, HostNotFoundError, capture
from .commands import command_version, find_base
from .python import find_python, is_python
from .toolchain import find_toolchain, is_compiler


def scan(entry: HostEntry, *, env: Mapping[str, str], platform: Platform) -> HostCapture:
    """Capture what a host entry names; `env` is the user's environment, of which PATH counts.

    The first finder that fits is taken. Raises `HostNotFoundError` with what each of them said.
    """
    failures = []
    for finder in entry.find:
        try:
            found = _find(finder, env)
        except HostNotFoundError as error:
            failures.append(error)
            continue
        if entry.identity == "version" and found.identity != "version":
            found = replace(found, facts={**found.facts, "version": found.version})
        return capture(entry.name, found, identity=entry.identity, platform=platform)
    words = "; ".join(str(failure) for failure in failures)
    raise HostNotFoundError(f"host entry '{entry.name}': {words}", hint=failures[-1].hint) from failures[-1]


def _find(finder: str, env: Mapping[str, str]) -> Found:
    kind, _, rest = finder.partition(":")
    if finder.startswith("base@"):
        return find_base(int(finder.partition("@")[2]), env=env)
    if kind != "path":
        raise HostNotFoundError(f"unknown finder '{finder}'")
    path = _locate(rest, env)
    if is_python(path):
        return find_python(path, env=env)
    if is_compiler(path):
        return find_toolchain(path, env=env)
    version = command_version(path, env)
    target = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    shown = "0" if version.startswith("sha256-") else version
    return Found("path", version, shown, "content", {f"bin/{os.path.basename(path)}": target}, facts={})


def _locate(text: str, env: Mapping[str, str]) -> str:
    """The program that a path or a command name means."""
    path = text if os.path.isabs(text) else shutil.which(text, path=env.get("PATH", ""))
    if path is None or not os.path.exists(path):
        raise HostNotFoundError(
            f"no program '{text}'", hint=f"install it, or write where it is: path:/…/{os.path.basename(text)}"
        )
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        raise HostNotFoundError(f"'{path}' is not a program")
    return path
