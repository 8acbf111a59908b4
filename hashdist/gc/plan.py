"""What gc would delete, with sizes: made first, printed if wanted, then carried out."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hashdist import process
from hashdist.fsutil.locks import is_locked
from hashdist.fsutil.removal import measure_tree
from hashdist.objects.git_program import git_env
from hashdist.objects.ids import CommitId
from hashdist.objects.spec import Spec, read_spec
from hashdist.refs import names
from hashdist.store import index
from hashdist.store.roots import running

from .marking import Alive, mark, members

if TYPE_CHECKING:
    from hashdist.store.store import Store


#: Seconds by which the clock of a file system may be behind.
_CLOCKS = 5


@dataclass(frozen=True, slots=True)
class Victim:
    """A file or directory that goes."""

    path: str
    """Where it is."""
    size: int
    """Its bytes."""
    inodes: int
    """Its files, directories and links."""


@dataclass(slots=True)
class GcPlan:
    """Everything that goes."""

    artifacts: list[Victim] = field(default_factory=list)
    """Artifacts that nothing reaches, and what crashed builds left."""
    prefixes: list[Victim] = field(default_factory=list)
    """Prefixes of no living commit."""
    builds: list[Victim] = field(default_factory=list)
    """Work directories of failed builds."""
    downloads: list[Victim] = field(default_factory=list)
    """Archives and git repositories, which are kept for the grace period only, and unpacked sources."""
    trash: list[Victim] = field(default_factory=list)
    """What was deleted before, and temporary files of crashed commands."""
    refs: dict[str, CommitId] = field(default_factory=dict)
    """Refs of artifacts and sources that go, and expired memories of deleted profiles."""
    answers: list[str] = field(default_factory=list)
    """Index files of dead commits."""
    object_bytes: int = 0
    """Bytes of git objects that go, on disk."""
    grace: int = 0
    """Seconds that dead things stay."""

    @property
    def files(self) -> list[Victim]:
        """All that goes from the file system."""
        return [*self.artifacts, *self.prefixes, *self.builds, *self.downloads, *self.trash]

    @property
    def size(self) -> int:
        """Bytes that go, git objects included."""
        return sum(victim.size for victim in self.files) + self.object_bytes

    @property
    def inodes(self) -> int:
        """Files, directories and links that go."""
        return sum(victim.inodes for victim in self.files)


def plan(store: Store, *, grace: int) -> GcPlan:
    """Find out what goes; raises `DamagedError` when what is alive cannot be told for sure."""
    alive = mark(store, grace=grace)
    found = GcPlan(grace=grace)
    found.refs.update(alive.expired_undo)
    _plan_artifacts(store, alive, found)
    _plan_prefixes(store, alive, found)
    _plan_leftovers(store, found, grace)
    _plan_sources(store, alive, found, grace)
    found.object_bytes = _dead_object_bytes(store, alive, found)
    return found


def _victim(path: str) -> Victim:
    return Victim(path, *measure_tree(path))


def _plan_artifacts(store: Store, alive: Alive, found: GcPlan) -> None:
    kept: set[str] = set()
    for id, commit in store.artifacts.all():
        path = store.artifacts.path(store.artifacts.record(id).spec.artifact)
        if id in alive.specs:
            kept.add(path)
        else:
            found.refs[names.ARTIFACTS + id] = commit
            if os.path.isdir(path):
                found.artifacts.append(_victim(path))
                kept.add(path)
    kept |= {store.artifacts.path(spec.artifact) for spec in _running(store)}
    found.artifacts += [_victim(path) for path in _artifact_directories(store) if path not in kept]


def _running(store: Store) -> list[Spec]:
    return [read_spec(store.objects, spec) for spec in running(store).specs if spec in store.objects]


def _artifact_directories(store: Store) -> list[str]:
    """All directories where artifacts can lie, by the depth of the path pattern."""
    level = [os.path.join(store.config.path, "artifacts")]
    for _ in range(store.config.layout.depth):
        level = [entry.path for folder in level for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    return sorted(level)


def _plan_prefixes(store: Store, alive: Alive, found: GcPlan) -> None:
    """A prefix lives while the index leads to it from a living commit, or a link does.

    One that the index does not know (it was lost) lives while all its artifacts do.
    """
    known: set[str] = set()
    living = set(alive.prefixes)
    for kind in (index.PREFIX, index.SEALED, index.DIRECTORY):
        folder = store.inside("index", kind)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            if kind == index.PREFIX:
                with open(path, encoding="utf-8", errors="replace") as file:
                    prefix = file.read().strip().rpartition(" ")[2]
                known.add(prefix)
                if name in alive.commits:
                    living.add(prefix)
            if name not in alive.commits:
                found.answers.append(path)
    root = os.path.join(store.config.path, "prefixes")
    for name in sorted(os.listdir(root)):
        path = os.path.join(root, name)
        if name not in living and (name in known or ".tmp-" in name or not members(path) <= alive.specs):
            found.prefixes.append(_victim(path))


def _plan_leftovers(store: Store, found: GcPlan, grace: int) -> None:
    working = {f"{spec.name}-{store.artifacts.hash_part(spec.artifact)}" for spec in _running(store)}
    since = _since(store, grace)
    for folder, victims in (("builds", found.builds), ("downloads", found.downloads)):
        for entry in _entries(store.inside(folder)):
            old = _time(entry) < (since if folder == "downloads" or grace else math.inf)
            if entry.name not in working and old and (folder, entry.name) != ("downloads", "partial"):
                victims.append(_victim(entry.path))
    found.trash += [_victim(entry.path) for entry in os.scandir(store.inside("trash"))]


def _plan_sources(store: Store, alive: Alive, found: GcPlan, grace: int) -> None:
    """Sources, with all that tells of them or was made of them; what only makes the next import quick, by age."""
    for kind in (names.SOURCES, names.PROVENANCE):
        for ref, commit in store.refs.all(kind).items():
            if ref[len(kind) :] not in alive.sources:
                found.refs[ref] = commit
    for entry in _entries(store.inside("index", index.ARCHIVE)):
        with open(entry.path, encoding="utf-8", errors="replace") as file:
            if not any(id in alive.sources for id in re.findall("[0-9a-f]{40}", file.read())):
                found.answers.append(entry.path)
    for entry in _entries(store.inside("unpacked")):
        if entry.name not in alive.sources:
            found.downloads.append(_victim(entry.path))
    since = _since(store, grace)
    old = [entry for entry in _entries(store.inside("index", index.STATES)) if _time(entry) < since]
    found.answers += [entry.path for entry in old]
    for entry in _entries(store.inside("downloads", "partial")):
        path = entry.path.removesuffix(".json").removesuffix(".lock")
        if _time(entry) < since and not is_locked(f"{path}.lock"):
            found.downloads.append(_victim(entry.path))
    for entry in _entries(store.inside("origins")):
        if _time(entry) < since and not is_locked(store.lock_path(f"origin-{entry.name}")):
            found.downloads.append(_victim(entry.path))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What is in a directory, sorted; nothing if there is none."""
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _since(store: Store, grace: int) -> float:
    """What was touched before this may go: what running commands fetched they have not imported yet."""
    began = running(store).since
    limit = store.now() - grace if grace else math.inf
    return min(limit, began - _CLOCKS) if began is not None else limit


def _time(entry: os.DirEntry[str]) -> float:
    return entry.stat(follow_symlinks=False).st_mtime


def _dead_object_bytes(store: Store, alive: Alive, found: GcPlan) -> int:
    """Bytes on disk of the git objects that only dying refs reach, as git counts them."""
    dying = set(found.refs.values())
    if not dying:
        return 0
    living = [commit for name, commit in store.refs.all("refs/").items() if name not in found.refs]
    lines = [*sorted(dying), *(f"^{commit}" for commit in sorted({*living, *alive.commits}))]
    counted = process.run(
        ["git", "rev-list", "--objects", "--disk-usage", "--stdin"],
        env=git_env(store.git, store.search_path),
        stdin="\n".join(lines).encode() + b"\n",
    )
    return int(counted or 0)
