"""``path:``: a program, a shared library or a directory, by where it lies or by its name."""

from __future__ import annotations

import os
import re

from hashdist import elf
from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.found import Found
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.trees import is_shared, tree_files

from .asking import command_version
from .linking import lay_out
from .mpi import find_mpi, is_mpi_wrapper
from .python import find_python, is_python
from .toolchain import find_toolchain, is_compiler

_LIBRARY = re.compile(r"lib.+\.(?:so(?:\.[\w.]+)?|a)\Z")
_VERSION = re.compile(r"(?:^|[-_/])v?(\d[\w.+~]*)\Z")


def find_path(text: str, host: LiveHost) -> Found:
    """Find what a path or a command's name means; raises `HostNotFoundError`."""
    path = _locate(text, host)
    if os.path.isdir(path):
        return _directory(host.ways.follow(path).final, host)
    if _LIBRARY.match(os.path.basename(path)):
        return _library(path, host)
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        raise HostNotFoundError(f"'{path}' is not a program, a library or a directory")
    if is_python(path):
        return find_python(path, host)
    if is_mpi_wrapper(path):
        return find_mpi(path, host)
    if is_compiler(path):
        return find_toolchain(path, host)
    return _program(path, host)


def _locate(text: str, host: LiveHost) -> str:
    if os.path.isabs(text):
        path: str | None = text
    elif _LIBRARY.match(text):
        path = next(
            (one for folder in elf.system_directories() if os.path.exists(one := os.path.join(folder, text))), None
        )
    else:
        path = host.which(text)
    if path is not None and os.path.islink(path) and not os.path.exists(path):
        way = host.ways.follow(path)  # raises for a loop
        raise HostNotFoundError(f"'{text}' leads to '{way.final}', which is gone")
    if path is None or not os.path.exists(path):
        raise HostNotFoundError(
            f"no program '{text}'", hint=f"install it, or write where it is: path:/…/{os.path.basename(text)}"
        )
    return path if path == "/" else path.rstrip("/")


def _program(path: str, host: LiveHost) -> Found:
    version = command_version(path, host.env)
    shown = "0" if version.startswith("sha256-") else version
    target = host.ways.place(path)
    return Found("path", version, shown, "content", {f"bin/{os.path.basename(path)}": target})


def _library(path: str, host: LiveHost) -> Found:
    real = os.path.realpath(path)
    version = re.search(r"\.so\.(\d[\w.]*)\Z", real)
    links = {f"lib/{os.path.basename(path)}": host.ways.place(path)}
    shown = version[1] if version else "0"
    return Found("path", shown, shown, "content", links)


def _directory(path: str, host: LiveHost) -> Found:
    if is_shared(path):
        raise HostNotFoundError(
            f"'{path}' holds what many packages brought",
            hint="name what is wanted of it: a program, a library, a package",
        )
    files = list(tree_files(path))
    if not files:
        raise HostNotFoundError(f"there is nothing in '{path}'")
    links = lay_out(files, host, lambda one: one[len(path) + 1 :])
    folders = {os.path.dirname(one) for one in files} | {path}
    version = _VERSION.search(path)
    shown = version[1] if version else "0"
    return Found("path", shown, shown, "content", links, watched=tuple(sorted(folders)))
