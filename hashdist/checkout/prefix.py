"""Make prefixes: one directory of links for each set of artifacts, named by what it is made of, never changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashdist.fsutil.locks import locked
from hashdist.fsutil.staging import staged_directory
from hashdist.objects import canonical

from .links import LinkPlan, Member, union
from .python import check_prefix, pyvenv_config, script_for

if TYPE_CHECKING:
    from hashdist.store.store import Store

FORMAT = 1
#: Digits of a prefix's name.
DIGITS = 32
DOCUMENT = ".hashdist.json"


@dataclass(frozen=True, slots=True)
class PrefixPlan:
    """A prefix that is wanted."""

    name: str
    """Its directory's name: the hash of its members and of the rules of linking."""
    path: str
    """Where it lies, or will."""
    members: tuple[Member, ...]
    """The artifacts, sorted by name."""


def plan(store: Store, members: Sequence[Member]) -> PrefixPlan:
    """Name the prefix of these artifacts; nothing is read."""
    ordered = tuple(sorted(members, key=lambda member: member.artifact))
    name = hashlib.sha256(_document(ordered)).hexdigest()[:DIGITS]
    return PrefixPlan(name, os.path.join(store.config.path, "prefixes", name), ordered)


def make(store: Store, plan: PrefixPlan, *, env: Mapping[str, str]) -> str:
    """Make the prefix if it is not there, and return its path.

    Raises `PathConflictError` or `PrefixPythonError`, and then there is none. `env` is for running its Python.
    """
    if os.path.isdir(plan.path):
        return plan.path
    links = union(plan.members, reserved=(DOCUMENT, "pyvenv.cfg"))
    with locked(store.lock_path("prefixes"), purpose="make a prefix", waiting=store.waiting):
        if not os.path.isdir(plan.path):
            with staged_directory(plan.path) as staging:
                _fill(staging, plan, links)
                if "bin/python3" in links.links:
                    check_prefix(staging, env=env)
                _freeze(staging, links)
            os.chmod(plan.path, 0o555)
    return plan.path


def _document(members: Sequence[Member]) -> bytes:
    return canonical.dumps({"format": FORMAT, "artifacts": [str(member.artifact) for member in members]})


def _fill(staging: str, plan: PrefixPlan, links: LinkPlan) -> None:
    for directory in links.directories:
        os.mkdir(os.path.join(staging, directory))
    python = links.links.get("bin/python3")
    # both lie in the store, two levels down: relative targets are short enough to live in the inode
    store = os.path.dirname(os.path.dirname(plan.path))
    for path, target in links.links.items():
        place = os.path.join(staging, path)
        if python and path.startswith("bin/"):
            script = script_for(target, os.path.join(plan.path, "bin", "python3"))
            if script is not None:
                _write(place, script, 0o555)
                continue
        up = "../" * (path.count("/") + 2)
        os.symlink(up + target[len(store) + 1 :], place)
    if python:
        _write(os.path.join(staging, "pyvenv.cfg"), pyvenv_config(python).encode(), 0o444)
    _write(os.path.join(staging, DOCUMENT), _document(plan.members), 0o444)


def _write(path: str, data: bytes, mode: int) -> None:
    with open(path, "xb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)


def _freeze(staging: str, links: LinkPlan) -> None:
    for directory in reversed(links.directories):
        os.chmod(os.path.join(staging, directory), 0o555)
