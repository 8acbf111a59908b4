"""The union of artifacts: which directory or link stands at each path of a prefix.

Every file is a link of its own in a real directory, so nothing that is written into a directory of a prefix
could reach an artifact.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from hashdist.errors import ConflictError
from hashdist.objects.artifact_id import ArtifactId

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Member:
    """An artifact in a prefix."""

    artifact: ArtifactId
    """Which one."""
    path: str
    """Where it lies."""


@dataclass(slots=True)
class LinkPlan:
    """What a prefix consists of."""

    directories: list[str] = field(default_factory=list)
    """Relative paths, parents first."""
    links: dict[str, str] = field(default_factory=dict)
    """Relative path to the artifact's file."""


class PathConflictError(ConflictError):
    """Artifacts that have different files at one path; each line names the path and both owners."""

    code = "path_conflict"


def union(members: Sequence[Member], *, reserved: Collection[str] = ()) -> LinkPlan:
    """Plan the union of artifacts; equal files never conflict.

    `reserved` are paths that the prefix has for itself. Raises `PathConflictError`, all conflicts at once.
    """
    plan = LinkPlan()
    owners: dict[str, Member] = {}
    directories: dict[str, Member] = {}
    conflicts: list[str] = []
    for member in members:
        pending = [""]
        while pending:
            folder = pending.pop()
            with os.scandir(os.path.join(member.path, folder)) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    path = f"{folder}{entry.name}"
                    other = owners.get(path) or (
                        directories.get(path) if not entry.is_dir(follow_symlinks=False) else None
                    )
                    if entry.is_dir(follow_symlinks=False):
                        if other is not None:
                            conflicts.append(_conflict(path, other, member))
                            continue
                        if path not in directories:
                            directories[path] = member
                            plan.directories.append(path)
                        pending.append(f"{path}/")
                    elif other is None:
                        owners[path] = member
                        plan.links[path] = entry.path
                    elif path in directories or not _same(plan.links[path], entry.path):
                        conflicts.append(_conflict(path, other, member))
    conflicts += [
        f"'{path}' is in '{(owners.get(path) or directories[path]).artifact.name}', and every prefix has its own"
        for path in sorted(reserved)
        if path in owners or path in directories
    ]
    if conflicts:
        more = [f"and {len(conflicts) - _SHOWN} more"] if len(conflicts) > _SHOWN else []
        raise PathConflictError(
            "\n".join([*conflicts[:_SHOWN], *more]),
            hint="set build-only = true for one of them, or remove it from the stack",
        )
    plan.directories.sort()
    return plan


def _conflict(path: str, one: Member, two: Member) -> str:
    return f"'{path}' is in both '{one.artifact.name}' and '{two.artifact.name}', and not the same"


def _same(one: str, two: str) -> bool:
    if os.path.islink(one) or os.path.islink(two):
        return os.path.islink(one) and os.path.islink(two) and os.readlink(one) == os.readlink(two)
    return filecmp.cmp(one, two, shallow=False) and os.access(one, os.X_OK) == os.access(two, os.X_OK)
