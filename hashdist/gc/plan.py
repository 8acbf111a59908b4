"""What gc would delete, with sizes: made first, printed if wanted, then carried out."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hashdist import process
from hashdist.errors import DamagedError
from hashdist.fsutil.locks import is_locked
from hashdist.fsutil.removal import measure_tree
from hashdist.objects.git_program import git_env
from hashdist.objects.ids import CommitId
from hashdist.objects.record import recorded_size
from hashdist.objects.repacking import objects_size
from hashdist.objects.spec import Spec, read_spec
from hashdist.refs import names
from hashdist.store import index

from .marking import Alive, mark, members, read_prefix
from .policy import Policy
from .roots import Root

if TYPE_CHECKING:
    from hashdist.store.store import Store


#: Seconds after which nobody is still writing a small file.
_ABANDONED = 3600
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


@dataclass(frozen=True, slots=True)
class Held:
    """What would go if one root did not keep it for a while longer."""

    root: Root
    """What keeps it, and until when."""
    artifacts: int
    """How many artifacts."""
    size: int
    """Their bytes."""
    inodes: int
    """Their files, directories and links."""
    sources: int
    """How many sources."""


@dataclass(slots=True)
class GcPlan:
    """Everything that goes."""

    policy: Policy
    """What is kept besides what must be."""
    artifacts: list[Victim] = field(default_factory=list)
    """Artifacts that nothing reaches, and what crashed builds left."""
    unsealed: list[str] = field(default_factory=list)
    """Those of them that crashed builds left, and where processes of theirs may still run."""
    prefixes: list[Victim] = field(default_factory=list)
    """Prefixes of no living commit."""
    builds: list[Victim] = field(default_factory=list)
    """Work directories of failed builds."""
    downloads: list[Victim] = field(default_factory=list)
    """Archives and git repositories, which are kept for the grace period only, and unpacked sources."""
    trash: list[Victim] = field(default_factory=list)
    """What was deleted before, damaged things that were moved aside, and temporary files of crashed commands."""
    refs: dict[str, CommitId] = field(default_factory=dict)
    """Refs of artifacts and sources that go, and expired memories of deleted profiles."""
    answers: list[str] = field(default_factory=list)
    """Index files of dead commits."""
    object_bytes: int = 0
    """Bytes of git objects that go, on disk."""
    held: list[Held] = field(default_factory=list)
    """What is kept only for a time, or by running commands; the largest first."""
    alive: Alive | None = None
    """What stays."""

    @property
    def files(self) -> list[Victim]:
        """All that goes from the file system; what leads to something before that."""
        return [*self.prefixes, *self.artifacts, *self.builds, *self.downloads, *self.trash]

    @property
    def size(self) -> int:
        """Bytes that go, git objects included."""
        return sum(victim.size for victim in self.files) + self.object_bytes

    @property
    def inodes(self) -> int:
        """Files, directories and links that go."""
        return sum(victim.inodes for victim in self.files)


def plan(store: Store, policy: Policy) -> GcPlan:
    """Find out what goes; raises `DamagedError` when what is alive cannot be told for sure, or is not whole."""
    alive = mark(store, policy)
    found = _Planning(store, policy, alive).plan()
    found.object_bytes = _dead_object_bytes(store, found, alive)
    return found


class _Planning:
    def __init__(self, store: Store, policy: Policy, alive: Alive) -> None:
        self.store = store
        self.policy = policy
        self.alive = alive
        self.found = GcPlan(policy, alive=alive)
        self.running = self._running()
        at_work = alive.at_work.since
        died = alive.horizon.died if policy.grace or at_work is not None else math.inf
        self.since = died - (_CLOCKS if at_work is not None else 0)
        """What was touched before this may go: what running commands fetched they have not imported yet."""

    def plan(self) -> GcPlan:
        """All of it."""
        found = self.found
        found.refs.update(self.alive.expired_undo)
        self._artifacts()
        self._prefixes()
        self._leftovers()
        self._sources()
        found.held = self._held()
        return found

    def _running(self) -> list[Spec]:
        objects = self.store.objects
        return [read_spec(objects, spec) for spec in self.alive.at_work.specs if spec in objects]

    def _artifacts(self) -> None:
        """By the digits in their paths: no object is read of what stays."""
        store, found = self.store, self.found
        layout, root = store.config.layout, os.path.join(store.config.path, "artifacts")
        dead: dict[str, CommitId] = {}
        for id, commit in self.alive.artifacts.items():
            if id not in self.alive.specs:
                found.refs[names.ARTIFACTS + id] = commit
                dead[id] = commit
        kept = {store.artifacts.own_path(spec.artifact) for spec in self.running}
        alive, gone = _Prefixes(self.alive.specs), _Prefixes(dead)
        for path in _artifact_directories(store):
            digits = layout.hash_in(path[len(root) + 1 :])
            if path in kept or (digits and alive.has(digits)):
                continue
            spec = gone.find(digits) if digits else None
            recorded = recorded_size(store.objects.commit(dead[spec])) if spec else None
            if spec is None:
                found.unsealed.append(path)
            found.artifacts.append(Victim(path, *recorded) if recorded else _victim(path))

    def _prefixes(self) -> None:
        """A prefix lives while the index leads to it from a living commit, or a link or process does.

        One that the index does not know (it was lost) lives while all its artifacts do.
        """
        store, found, alive = self.store, self.found, self.alive
        known: set[str] = set()
        living = set(alive.prefixes)
        root = os.path.join(store.config.path, "prefixes")
        for kind in (index.PREFIX, index.SEALED, index.DIRECTORY):
            folder = store.inside("index", kind)
            for entry in _entries(folder):
                name, path = entry.name, entry.path
                if not entry.is_file(follow_symlinks=False):
                    continue  # not ours
                if kind == index.PREFIX:
                    with open(path, encoding="utf-8", errors="replace") as file:
                        prefix = file.read().strip().rpartition(" ")[2]
                    known.add(prefix)
                    if name in alive.commits and self._keeps(os.path.join(root, prefix)):
                        living.add(prefix)
                        continue
                if kind == index.PREFIX or name not in alive.commits:
                    found.answers.append(path)
        for name in sorted(os.listdir(root)):
            path = os.path.join(root, name)
            if name not in living and (name in known or ".tmp-" in name or not _is_whole(path, alive)):
                found.prefixes.append(_victim(path))

    def _keeps(self, prefix: str) -> bool:
        """Whether the prefix of a living commit stays: where history is thinned not all keep their artifacts."""
        return not self.policy.thins_history or _is_whole(prefix, self.alive)

    def _leftovers(self) -> None:
        store, found = self.store, self.found
        working = {f"{spec.name}-{store.artifacts.hash_part(spec.artifact)}" for spec in self.running}
        for entry in _entries(store.inside("builds")):
            if entry.name not in working and (_time(entry) < self.since or not self.policy.grace):
                found.builds.append(_victim(entry.path))
        for entry in _entries(store.inside("downloads")):
            if entry.name != "partial" and _time(entry) < self.since:
                found.downloads.append(_victim(entry.path))
        found.trash += [_victim(entry.path) for entry in _entries(store.inside("trash"))]
        for folder in (".", "checkouts", "modules", "roots", *self._index_folders()):
            for entry in _entries(os.path.normpath(store.inside(folder))):
                if ".tmp-" in entry.name and _time(entry) < min(self.since, store.now() - _ABANDONED):
                    found.trash.append(_victim(entry.path))
        found.trash += [_victim(entry.path) for entry in _entries(store.inside("damaged")) if _time(entry) < self.since]

    def _index_folders(self) -> list[str]:
        return [os.path.join("index", entry.name) for entry in _entries(self.store.inside("index")) if entry.is_dir()]

    def _sources(self) -> None:
        """Sources, with all that tells of them or was made of them; what only makes the next import quick, by age."""
        store, found, alive = self.store, self.found, self.alive
        for kind in (names.SOURCES, names.PROVENANCE):
            for id, commit in names.below(kind, alive.refs).items():
                if id not in alive.sources:
                    found.refs[kind + id] = commit
        for entry in _entries(store.inside("index", index.ARCHIVE)):
            if not entry.is_file(follow_symlinks=False):
                continue
            with open(entry.path, encoding="utf-8", errors="replace") as file:
                if not any(id in alive.sources for id in re.findall("[0-9a-f]{40}", file.read())):
                    found.answers.append(entry.path)
        for entry in _entries(store.inside("unpacked")):
            if entry.name not in alive.sources:
                found.downloads.append(_victim(entry.path))
        old = [entry for entry in _entries(store.inside("index", index.STATES)) if _time(entry) < self.since]
        found.answers += [entry.path for entry in old]
        for entry in _entries(store.inside("downloads", "partial")):
            lock = f"{_PARTIAL.sub('', entry.path)}.lock"
            if _time(entry) < self.since and not is_locked(lock):
                found.downloads.append(_victim(entry.path))
        for entry in _entries(store.inside("origins")):
            if _time(entry) < self.since and not is_locked(store.lock_path(f"origin-{entry.name}")):
                found.downloads.append(_victim(entry.path))

    def _held(self) -> list[Held]:
        """What is alive for a time only, or for a command that runs, by what keeps it."""
        store, alive = self.store, self.alive
        artifacts: dict[Root, list[tuple[int, int]]] = {}
        sources: dict[Root, int] = {}
        for spec, origin in alive.specs.items():
            root = alive.root(origin)
            commit = alive.artifacts.get(spec) if _is_passing(root) else None
            if commit is not None:
                path = store.artifacts.own_path(read_spec(store.objects, spec).artifact)
                measured = recorded_size(store.objects.commit(commit)) or measure_tree(path)
                artifacts.setdefault(root, []).append(measured)
        for source, origin in alive.sources.items():
            root = alive.root(origin)
            if _is_passing(root) and source in store.sources:
                sources[root] = sources.get(root, 0) + 1
        found = []
        for root in {**artifacts, **sources}:
            sizes = artifacts.get(root, [])
            size, inodes = sum(size for size, _ in sizes), sum(inodes for _, inodes in sizes)
            found.append(Held(root, len(sizes), size, inodes, sources.get(root, 0)))
        return sorted(found, key=lambda held: (-held.size, -held.sources, str(held.root)))


def _dead_object_bytes(store: Store, found: GcPlan, alive: Alive) -> int:
    """Bytes on disk of the git objects that nothing will reach.

    Raises `DamagedError` where one that stays is missing.
    """
    living = {commit for name, commit in alive.refs.items() if name not in found.refs}
    tips = sorted({*living, *alive.commits})
    try:
        counted = process.run(
            ["git", "rev-list", "--objects", "--disk-usage", "--stdin"],
            env=git_env(store.git, store.search_path),
            stdin="".join(f"{commit}\n" for commit in tips).encode(),
        )
    except process.ProgramFailedError as error:
        words = error.message.strip().splitlines()[-1]
        raise DamagedError(
            f"what a ref names is not whole: {words}; nothing was deleted", hint="hdist verify --repair"
        ) from error
    return max(0, objects_size(store.git) - int(counted or 0))


class _Prefixes:
    """Finds ids by their first digits."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = list(ids)
        self._by_length: dict[int, dict[str, str]] = {}

    def find(self, digits: str) -> str | None:
        """An id that begins with these digits."""
        length = len(digits)
        if length not in self._by_length:
            self._by_length[length] = {id[:length]: id for id in self._ids}
        return self._by_length[length].get(digits)

    def has(self, digits: str) -> bool:
        """Whether there is one."""
        return self.find(digits) is not None


def _is_whole(prefix: str, alive: Alive) -> bool:
    """Whether all that a prefix is made of is alive, and where it was; what does not tell may be anybody's."""
    try:
        document = read_prefix(prefix)
    except (OSError, ValueError):
        return True
    return members(prefix) <= alive.specs.keys() and all(map(os.path.isdir, document.get("elsewhere", {}).values()))


def _is_passing(root: Root) -> bool:
    """Whether a root goes by itself."""
    return root.until is not None or root.kind in {"command", "process"}


def _victim(path: str) -> Victim:
    return Victim(path, *measure_tree(path))


def _artifact_directories(store: Store) -> list[str]:
    """All directories where artifacts can lie, by the depth of the path pattern."""
    level = [os.path.join(store.config.path, "artifacts")]
    for _ in range(store.config.layout.depth):
        level = [entry.path for folder in level for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    return sorted(level)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What is in a directory, sorted; nothing if there is none."""
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _time(entry: os.DirEntry[str]) -> float:
    return entry.stat(follow_symlinks=False).st_mtime


#: What stands behind the name of a partial download in the names of what belongs to it.
_PARTIAL = re.compile(r"(\.json(\.tmp-.*)?|\.lock(\.held(\.break)?|\.shared)?)\Z")
