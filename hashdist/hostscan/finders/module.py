"""``module:A/1,B/2``: environment modules, loaded in this order; what they add is captured and replayed in builds."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

from hashdist import elf
from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.found import Found
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.module_shell import Change, load
from hashdist.hostscan.trees import folders_of, is_shared, tree_files

from .toolchain import find_toolchain, is_compiler

_TOP = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "libexec", "include", "share", "etc"})
#: Files that say which version is meant when none is named.
_DEFAULTS = (".version", ".modulerc", ".modulerc.lua")
_TOKEN = re.compile(r"[^\w.+~-]")


@dataclass(frozen=True, slots=True)
class _Root:
    """A directory in which software was installed."""

    path: str
    """Canonical."""
    papers: tuple[str, ...]
    """What EasyBuild or Spack left beside it, that tells all of it; empty if neither made it."""


def find_module(text: str, host: LiveHost) -> Found:
    """Load the modules in a child shell and see what they add; raises `HostNotFoundError`."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    change = load(names, host.env)
    inside = host.with_env(change.env)
    roots = _roots(change)
    links = _programs(change, inside)
    own = tuple(f"{root.path}/" for root in roots)
    told = tuple(f"{root.path}/" for root in roots if root.papers)
    files = [*change.files, *(paper for root in roots for paper in root.papers)]
    read = [one for root in roots if not root.papers for one in tree_files(root.path)]
    files += [one for one in read if os.path.isfile(one)]
    version = names[-1].partition("/")[2] or "0"
    facts = {name.partition("/")[0]: name.partition("/")[2] or "0" for name in change.loaded}
    search = tuple(one for one in change.paths.get("LD_LIBRARY_PATH", ()) if not is_shared(os.path.realpath(one)))
    found = Found(
        "module",
        version,
        _TOKEN.sub("-", version).strip("-") or "0",
        "content",
        links,
        files=sorted(set(files)),
        facts=facts,
        trees=tuple(root.path for root in roots if root.papers),
        environment=change.variables,
        paths=_replayed(change, links, search),
        search=search,
        watched=tuple(sorted({*folders_of(read), *_module_folders(change)})),
    )
    driver = next((path for name, path in sorted(links.items()) if is_compiler(name) and path.startswith(own)), None)
    return _with_compiler(found, driver, inside, told) if driver else found


def _module_folders(change: Change) -> set[str]:
    """Where a new modulefile, or a new default, would change what a name means."""
    found = {folder for folder in change.env.get("MODULEPATH", "").split(":") if os.path.isabs(folder)}
    found |= {os.path.dirname(path) for path in change.files}
    defaults = (os.path.join(folder, name) for folder in sorted(found) for name in _DEFAULTS)
    return found | {path for path in defaults if os.path.exists(path)}


def _with_compiler(found: Found, driver: str, host: LiveHost, told: tuple[str, ...]) -> Found:
    """With what a compiler among them uses outside: the C library, the linker."""
    asked = find_toolchain(driver, host, folders=host.env.get("PATH", "").split(":"))
    return replace(
        found,
        links={**asked.links, **found.links},
        files=sorted({*found.files, *(one for one in asked.files if not (told and one.startswith(told)))}),
        recorded=[one for one in asked.recorded if not (told and one.startswith(told))],
        abi=asked.abi,
        watched=(*found.watched, *asked.watched),
    )


def _roots(change: Change) -> list[_Root]:
    """The directories that hold what the modules bring, none of them inside another."""
    entries = [entry for entries in change.paths.values() for entry in entries]
    candidates = {_root_of(entry) for entry in entries} | {
        value for value in change.variables.values() if os.path.isabs(value) and _is_root(value)
    }
    real = sorted({os.path.realpath(path) for path in candidates if path and os.path.isdir(path)})
    found: list[_Root] = []
    for path in real:
        if not is_shared(path) and not any(path.startswith(f"{one.path}/") for one in found):
            found.append(_Root(path, _papers(path)))
    return found


def _root_of(entry: str) -> str | None:
    parts = os.path.normpath(entry).split("/")
    places = [number for number, part in enumerate(parts) if part in _TOP]
    return "/".join(parts[: places[-1]]) if places and os.path.isabs(entry) else None


def _is_root(path: str) -> bool:
    return any(os.path.isdir(os.path.join(path, name)) for name in ("bin", "lib", "lib64", "include"))


def _papers(root: str) -> tuple[str, ...]:
    folder = os.path.join(root, "easybuild")
    if os.path.isdir(folder) and (recipes := sorted(name for name in os.listdir(folder) if name.endswith(".eb"))):
        return tuple(os.path.join(folder, name) for name in recipes)
    spec = os.path.join(root, ".spack", "spec.json")
    return (spec,) if os.path.isfile(spec) else ()


def _programs(change: Change, host: LiveHost) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in change.paths.get("PATH", ()):
        if is_shared(os.path.realpath(folder)) or not os.path.isdir(folder):
            continue
        for name in _names(folder):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                found.setdefault(f"bin/{name}", host.ways.place(path))
    return found


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise HostNotFoundError(f"'{folder}' cannot be read: {error.strerror}") from error


def _replayed(change: Change, links: dict[str, str], search: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The lists that builds get. Libraries are found by run paths; only programs without any need more."""
    found = {
        name: tuple(one for one in entries if not is_shared(os.path.realpath(one)))
        for name, entries in change.paths.items()
    }
    found["LD_RUN_PATH"] = search
    if not any(_needs(path, search) for path in links.values()):
        found.pop("LD_LIBRARY_PATH", None)
    return {name: entries for name, entries in found.items() if entries}


def _needs(path: str, search: tuple[str, ...]) -> bool:
    """Whether a program would not run without being told where its libraries are."""
    dynamic = elf.read_dynamic(path) if search else None
    if dynamic is None:
        return False
    own = [*elf.origin(dynamic.runpath, os.path.realpath(path)), *elf.system_directories()]
    return any(
        not elf.find_library(name, own, dynamic.machine) and elf.find_library(name, search, dynamic.machine)
        for name in dynamic.needed
    )
