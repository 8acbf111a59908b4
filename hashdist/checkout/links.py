"""The union of artifacts: which directory, link or copy stands at each path of a prefix.

A directory that one artifact alone has is one link; where several meet, or a rule says something of what lies
below, or the prefix has files of its own, it is a real directory with links in it. Nothing is written here.
"""

from __future__ import annotations

import filecmp
import json
import os
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from hashdist.errors import ConflictError
from hashdist.objects.artifact_id import ArtifactId
from hashdist.stack.linking import escape

from .rules import Rulebook

_SHOWN = 20
#: Of so many conflicts the line that settles them names each.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Member:
    """An artifact in a prefix."""

    artifact: ArtifactId
    """Which one."""
    path: str
    """Where it lies."""
    at: str = ""
    """The directory of the prefix where its files go; '' is the prefix itself."""
    without: frozenset[str] = frozenset()
    """Names in its own directory that are left out."""

    @property
    def name(self) -> str:
        """What rules call it."""
        return self.artifact.name


@dataclass(slots=True)
class LinkPlan:
    """What a prefix consists of."""

    directories: list[str] = field(default_factory=list)
    """Relative paths of real directories, parents first."""
    links: list[tuple[str, str]] = field(default_factory=list)
    """Relative path, and the artifact's file or directory."""
    each: list[tuple[str, str]] = field(default_factory=list)
    """Relative path of a directory, and the artifact's directory below which each file is linked by itself."""
    copies: list[tuple[str, str]] = field(default_factory=list)
    """Likewise, of what is copied."""

    def all_links(self) -> Iterator[tuple[str, str]]:
        """Every link: relative path, and what it leads to; whole trees are walked for it."""
        yield from self.links
        for path, folder in self.each:
            for directory, _, _, names in walk(path, folder):
                for name in names:
                    yield f"{directory}/{name}", f"{folder}{directory[len(path) :]}/{name}"

    def all_entries(self) -> Iterator[tuple[str, str]]:
        """What is linked, each file by itself or not, and what is copied; trees of single links are not walked."""
        yield from self.links
        yield from self.each
        yield from self.copies

    def target(self, path: str) -> str | None:
        """What the link at `path` leads to; None if there is none."""
        return next((target for place, target in self.links if place == path), None)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two artifacts that differ at one path."""

    path: str
    """Relative to the prefix."""
    owners: tuple[str, str]
    """Whose they are."""
    kinds: tuple[str, str]
    """What each has there: file, directory or link."""

    def __str__(self) -> str:
        """Say so, in one line."""
        one, two = self.owners
        if self.kinds[0] != self.kinds[1]:
            return f"'{one_line(self.path)}' is a {self.kinds[0]} in '{one}' and a {self.kinds[1]} in '{two}'"
        return f"'{one_line(self.path)}' is in both '{one}' and '{two}', and not the same"


class PathConflictError(ConflictError):
    """Artifacts that have different files at one path; each line names the path and both owners."""

    code = "path_conflict"


class OwnPathError(ConflictError):
    """Artifacts that have files where every prefix has its own."""

    code = "own_path"


@dataclass(frozen=True, slots=True)
class _Held:
    """What a member has at a path."""

    member: Member
    at: str
    """Where in the prefix."""
    path: str
    """Where it lies."""
    kind: str
    """file, directory or link."""
    linked: bool = False
    """Whether a link to a directory was followed on the way: none is twice."""


def union(members: Sequence[Member], rules: Rulebook, *, own: Collection[str] = ()) -> LinkPlan:
    """Plan the union of artifacts; equal files never conflict.

    `own` are paths of files that the prefix has for itself. Raises `PathConflictError` with all conflicts, or
    `OwnPathError`.
    """
    return _Union(rules, own).make(members)


class _Union:
    """The plan while it is made."""

    def __init__(self, rules: Rulebook, own: Collection[str]) -> None:
        self._rules = rules
        self._own = own
        #: The directories that are real whoever has them.
        self._real = {parent for path in own for parent in _parents(path)}
        self._plan = LinkPlan()
        self._conflicts: list[Conflict] = []
        self._taken: list[_Held] = []

    def make(self, members: Sequence[Member]) -> LinkPlan:
        starts: dict[str, list[_Held]] = {}
        for member in members:
            starts.setdefault(member.at, []).append(_Held(member, member.at, member.path, "directory"))
        self._real |= {parent for at in starts if at for parent in (at, *_parents(at))}
        self._starts = starts
        self._fill("", starts.get("", []))
        if self._taken:
            words = (f"'{one_line(one.at)}' is a {one.kind} in '{one.member.name}'" for one in self._taken)
            globs = ", ".join(_toml(f"{one.member.name}:{escape(one.at)}") for one in self._taken)
            raise OwnPathError(
                "\n".join(f"{text}, and every prefix has its own there" for text in words),
                hint=f"leave it out, under [prefix] in the stack file: exclude = [{globs}]",
            )
        if self._conflicts:
            shown = [str(conflict) for conflict in self._conflicts[:_SHOWN]]
            more = [f"and {len(self._conflicts) - _SHOWN} more"] if len(self._conflicts) > _SHOWN else []
            raise PathConflictError("\n".join([*shown, *more]), hint=settling(self._conflicts))
        return self._plan

    def _fill(self, relative: str, holders: Sequence[_Held]) -> bool:
        """Plan the content of a real directory ('' or with a slash); whether one link could stand for all of it."""
        found: dict[str, list[_Held]] = {}
        for held in holders:
            with os.scandir(held.path) as entries:
                for entry in entries:
                    if entry.name in held.member.without and relative == (held.member.at and f"{held.member.at}/"):
                        continue
                    kind = "link" if entry.is_symlink() else "directory" if entry.is_dir() else "file"
                    found.setdefault(entry.name, []).append(
                        _Held(held.member, relative + entry.name, entry.path, kind, held.linked)
                    )
        for path in self._real:
            if path.startswith(relative) and path != relative and "/" not in path[len(relative) :]:
                found.setdefault(path[len(relative) :], [])
        whole = len(holders) == 1
        ruled = bool(relative) and any(self._rules.reach_below(relative[:-1], held.member.name) for held in holders)
        for name in sorted(found):
            whole &= self._place(relative + name, found[name], ruled=ruled or not relative)
        return whole

    def _place(self, path: str, held: list[_Held], *, ruled: bool) -> bool:
        """Plan what stands at one path; whether it is just what its only owner has there."""
        given = len(held)
        if ruled:
            held = [one for one in held if not self._rules.says("exclude", path, one.member.name)]
        held = [*held, *self._starts.get(path, ())] if path in self._real else held
        if path in self._own:
            self._taken += held
            return False
        if path in self._real:
            # where the prefix writes itself there must be nothing to write through
            held = [replace(one, kind="directory") if _leads_inside(one) else one for one in held]
            self._taken += [one for one in held if one.kind != "directory"]
            held = [one for one in held if one.kind == "directory"]
        if not held:
            if path in self._real:
                self._plan.directories.append(path)
                self._fill(f"{path}/", ())
            return False
        held = self._settle(path, held)
        if ruled and len(held) == 1 and self._rules_go_through(path, held[0]):
            held = [replace(held[0], kind="directory", linked=True)]
        if held[0].kind != "directory":
            return self._leaf(path, held[0], ruled=ruled) and given == 1
        if len(held) == 1 and path not in self._real:
            one = held[0]
            if not self._rules.reach_below(path, one.member.name):
                self._plan.links.append((path, one.path))
                return given == 1
            return self._fold(path, one) and given == 1
        self._plan.directories.append(path)
        self._fill(f"{path}/", held)
        return False

    def _fold(self, path: str, one: _Held) -> bool:
        """Plan a directory below which a rule may hold: one link if none did."""
        plan, owner = self._plan, one.member.name
        if self._rules.says("link", path, owner) and not self._rules.reach_below(path, owner, but="link"):
            plan.each.append((path, one.path))
            return False
        before = len(plan.directories), len(plan.links), len(plan.copies)
        plan.directories.append(path)
        whole = self._fill(f"{path}/", [one]) and not self._rules.says("link", path, owner)
        # what is copied into it must not be written into the artifact, though nothing is there yet
        whole &= not self._rules.says("copy", f"{path}/any", owner)
        if whole:
            del plan.directories[before[0] :], plan.links[before[1] :], plan.copies[before[2] :]
            # none of `each`: where there is one it was not whole
            plan.links.append((path, one.path))
        return whole

    def _rules_go_through(self, path: str, one: _Held) -> bool:
        """Whether it is a link to a directory of the same artifact below which a rule may hold."""
        return not one.linked and self._rules.reach_below(path, one.member.name, but="link") and _leads_inside(one)

    def _leaf(self, path: str, one: _Held, *, ruled: bool) -> bool:
        linked = ruled and self._rules.says("link", path, one.member.name)
        if ruled and not linked and self._rules.says("copy", path, one.member.name) and self._can_copy(path, one):
            self._plan.copies.append((path, one.path))
            return False
        self._plan.links.append((path, one.path))
        return not linked

    def _can_copy(self, path: str, one: _Held) -> bool:
        """Whether a copy is as good as a link to it: of a link only if what it leads to is copied too."""
        if one.kind == "file":
            return True
        target = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(one.path)))
        return not target.startswith(("/", "..")) and self._rules.says("copy", target, one.member.name)

    def _settle(self, path: str, held: list[_Held]) -> list[_Held]:
        """Of several owners those that count: the directories to merge, or the one file; conflicts are noted."""
        if len(held) == 1:
            return held
        kinds = {one.kind for one in held}
        if kinds == {"directory"}:
            return held
        if kinds == {"directory", "link"}:
            # a link to a directory meets a directory (lib64 → lib): as deep as the real one goes they are merged
            held = [replace(one, kind="directory") if _leads_inside(one) else one for one in held]
            if all(one.kind == "directory" for one in held):
                return held
        first = held[0]
        other = next((one for one in held[1:] if not _same(first, one)), None)
        if other is None:
            return [first]
        for package in self._rules.preferred(path):
            chosen = [one for one in held if one.member.name == package]
            if chosen:
                return chosen
        self._conflicts.append(Conflict(path, (first.member.name, other.member.name), (first.kind, other.kind)))
        return [first]


def walk(path: str, folder: str) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """A directory and all below it, parents first: path in the prefix, where it is, names of directories and others."""
    pending = [(path, folder)]
    while pending:
        path, folder = pending.pop()
        directories: list[str] = []
        others: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                (directories if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
        yield path, folder, directories, others
        pending += [(f"{path}/{name}", f"{folder}/{name}") for name in directories]


def settling(conflicts: Sequence[Conflict]) -> str:
    """The line of a stack file that settles conflicts, each in favour of its first owner; and how to type it."""
    owners = {escape(conflict.path): conflict.owners[0] for conflict in conflicts}
    if len(owners) > _NAMED:
        # one glob for a directory whose conflicts all go to one owner
        folders: dict[str, set[str]] = {}
        for glob, owner in owners.items():
            folders.setdefault(glob.rpartition("/")[0], set()).add(owner)
        owners = {
            f"{folder}/*" if folder and len(folders[folder]) == 1 else glob: owner
            for glob, owner in owners.items()
            for folder in (glob.rpartition("/")[0],)
        }
    told = dict(list(owners.items())[:_SHOWN])
    shown = ", ".join(f"{_toml(glob)} = {_toml(owner)}" for glob, owner in told.items())
    glob, owner = next(iter(told.items()))
    command = shlex.quote(f"prefix.prefer.{_toml(glob)}={owner}")
    return f"under [prefix] in the stack file: prefer = {{ {shown} }}, or: hdist set {command}"


def _toml(text: str) -> str:
    """A text as a string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def one_line(path: str) -> str:
    """A path as text that stays on one line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in path)


def _leads_inside(one: _Held) -> bool:
    """Whether it is a link to a directory of the same artifact, or to the artifact itself."""
    if one.kind != "link":
        return False
    real, root = os.path.realpath(one.path), os.path.realpath(one.member.path)
    return os.path.isdir(real) and f"{real}/".startswith(f"{root}/")


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _same(one: _Held, two: _Held) -> bool:
    if one.kind == two.kind == "link" and os.readlink(one.path) == os.readlink(two.path):
        return True
    if "directory" in {one.kind, two.kind} or not os.path.isfile(one.path) or not os.path.isfile(two.path):
        return False
    return filecmp.cmp(one.path, two.path, shallow=False) and os.access(one.path, os.X_OK) == os.access(
        two.path, os.X_OK
    )
