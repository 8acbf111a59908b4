"""Look at what came from elsewhere before any ref leads to it: names, modes, ids, and how much there is of it.

Walks over ids and never over paths: a tree of a few kilobytes can have more paths than there is time for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from hashdist.errors import HashdistError, InvalidError
from hashdist.objects.commits import Commit
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId, ObjectId, SpecId, TreeId
from hashdist.objects.importing import Limits
from hashdist.objects.spec import read_spec
from hashdist.objects.tree import Entry, InvalidTreeError, Mode, show_name
from hashdist.progress import Task
from hashdist.stack.lock import Lock

Kind = Literal["profile", "host scan", "other"]

STACK, LOCK, SPECS, SCAN, SPEC = b"stack.toml", b"lock.json", b"specs", b"scan.json", b"spec"
#: Paths of one commit that people wrote: stack file, patches, notes.
_PATHS = 10_000
_DEPTH = 40
#: Bytes of one file, and of all that people wrote together.
_FILE, _FILES = 16 << 20, 64 << 20
_LATEST = 1 << 40
_TAG = re.compile(rb"object ([0-9a-f]{40})\ntype (?:commit|tree|blob|tag)\ntag [^\n\0]+\n(?:tagger [^\n\0]*\n)?\n")
_TAGS_OF_TAGS = 5
_NAMES = re.compile(rb"[0-7]{5,6} ([^\0]+)\0.{20}", re.DOTALL)


class HostileError(InvalidError):
    """Something from elsewhere that breaks the rules; nothing of it was taken."""

    code = "hostile"


class Validator:
    """Looks at commits and sources, each object once."""

    def __init__(self, objects: ObjectDatabase, limits: Limits) -> None:
        self._objects = objects
        self._limits = limits
        self._paths: dict[tuple[ObjectId, int], int] = {}
        self._sizes: dict[ObjectId, int] = {}
        self._specs: dict[ObjectId, str | None] = {}
        self._known: set[tuple[ObjectId, ObjectId, ObjectId | None]] = set()

    def kind(self, commit: CommitId) -> Kind:
        """What a commit is, by what it holds."""
        # what is none of a profile need not be a tree of ours: it may have submodules
        data = self._objects.raw_tree(self._objects.commit(commit).tree)
        entries = {match[1] for match in _NAMES.finditer(data)}
        if LOCK in entries and STACK in entries:
            return "profile"
        return "host scan" if SCAN in entries and SPEC in entries else "other"

    def commits(self, commits: Iterable[CommitId], *, kind: Kind, task: Task) -> None:
        """Check all of some commits, which should be of one kind; raises `HostileError`."""
        for id in commits:
            task.advance()
            try:
                commit = self._objects.commit(id)
            except HashdistError as error:
                raise HostileError(f"commit {id} is malformed: {error.message}") from error
            if not 0 <= commit.time < _LATEST or not 0 <= commit.authored < _LATEST:
                raise HostileError(f"commit {id} is of no time that there is")
            try:
                self._commit(commit, kind)
            except HostileError:
                raise
            except HashdistError as error:
                raise HostileError(f"commit {id}: {error.message}") from error

    def tag(self, id: ObjectId) -> None:
        """Check a tag of git's own, which says what it is of and who made it; raises `HostileError`."""
        for _ in range(_TAGS_OF_TAGS):
            kind, data = self._objects.find_raw(id)
            if kind != "tag":
                return
            match = _TAG.match(data)
            if match is None:
                raise HostileError(f"tag {id} is malformed")
            id = ObjectId(match[1].decode())
        raise HostileError(f"tag {id} is of a tag of a tag, and so on")

    def source(self, commit: CommitId, id: str) -> None:
        """Check a commit that should hold a certain source and nothing else; raises `HostileError`."""
        try:
            self._source(self._objects.commit(commit), id)
        except HostileError:
            raise
        except HashdistError as error:  # no commit, no tree, malformed
            raise HostileError(f"what was sent for source {id} is another thing: {error.message}") from error

    def _source(self, commit: Commit, id: str) -> None:
        if commit.tree != id or commit.parents or commit.message != f"source {id}\n":
            raise HostileError(f"what was sent for source {id} is another thing")
        self._measure(commit.tree)

    def _commit(self, commit: Commit, kind: Kind) -> None:
        entries = {entry.name: entry for entry in self._tree(commit.tree, commit.id)}
        wanted = {STACK, LOCK} if kind == "profile" else {SCAN, SPEC}
        if not wanted <= entries.keys():
            raise HostileError(f"commit {commit.id} is not of a {kind}")
        if kind == "host scan":
            self._scan(commit, entries)
            return
        unfit = entries.keys() & {b".gitmodules", SCAN, SPEC, b"record.json"}
        if unfit:
            raise HostileError(f"commit {commit.id} has a '{min(unfit).decode()}', which no profile has")
        for name in (STACK, LOCK):
            self._file(commit, entries[name])
        others = [entry for name, entry in entries.items() if name != SPECS]
        if sum(self._count(entry, 1) for entry in others) > _PATHS:
            raise HostileError(f"commit {commit.id} has more than {_PATHS} paths (limit: paths)")
        if sum(self._size(entry) for entry in others) > _FILES:
            raise HostileError(f"commit {commit.id} has more than {_FILES} bytes of files (limit: files)")
        specs = entries.get(SPECS)
        key = (entries[STACK].id, entries[LOCK].id, specs.id if specs is not None else None)
        if key not in self._known:
            self._lock(commit, entries, self._specs_of(specs, commit))
            self._known.add(key)

    def _lock(self, commit: Commit, entries: Mapping[bytes, Entry], specs: Mapping[str, str]) -> None:
        """Check that a lock is one, and names the specs that stand beside it, unless somebody merged it as text."""
        data = self._objects.blob(entries[LOCK].id)
        try:
            lock = Lock.decode(data)
        except (HashdistError, ValueError, RecursionError) as error:
            if b"\n<<<<<<< " in data:
                return  # it is resolved anew
            raise HostileError(f"commit {commit.id}: lock.json cannot be read: {error}") from error
        if lock.stack == entries[STACK].id and {name: str(id) for name, id in lock.specs.items()} != specs:
            raise HostileError(f"commit {commit.id}: its lock and its specs differ")

    def _scan(self, commit: Commit, entries: Mapping[bytes, Entry]) -> None:
        """Check a scan of a host: these files and no others."""
        if not entries.keys() <= {SCAN, SPEC, b"manifest", b"packages"}:
            raise HostileError(f"commit {commit.id} has what no scan of a host has")
        for name, entry in entries.items():
            if name != SPEC:
                self._file(commit, entry)
        try:
            fits = isinstance(json.loads(self._objects.blob(entries[SCAN].id)), dict)
        except (ValueError, RecursionError):
            fits = False
        if not fits:
            raise HostileError(f"commit {commit.id}: scan.json cannot be read")
        self._spec(entries[SPEC], None)

    def _file(self, commit: Commit, entry: Entry) -> None:
        if entry.mode is not Mode.FILE or self._objects.size(entry.id) > _FILE:
            raise HostileError(
                f"commit {commit.id}: '{show_name(entry.name)}' is no file, or larger than {_FILE} bytes"
            )

    def _size(self, entry: Entry) -> int:
        """The bytes of a file or of all below a directory, whose paths were counted before."""
        if entry.id not in self._sizes:
            below = self._objects.tree(TreeId(entry.id)) if entry.mode is Mode.DIRECTORY else ()
            own = 0 if entry.mode is Mode.DIRECTORY else self._objects.size(entry.id)
            self._sizes[entry.id] = own + sum(self._size(one) for one in below)
        return self._sizes[entry.id]

    def _specs_of(self, entry: Entry | None, commit: Commit) -> dict[str, str]:
        if entry is None:
            return {}
        if entry.mode is not Mode.DIRECTORY:
            raise HostileError(f"commit {commit.id}: 'specs' is not a directory")
        found = {}
        for one in self._tree(TreeId(entry.id), commit.id):
            name = one.name.decode(errors="replace")
            self._spec(one, name)
            found[name] = str(one.id)
        return found

    def _spec(self, entry: Entry, name: str | None) -> None:
        """Check a spec, which has to be of a name."""
        if entry.id not in self._specs:
            if entry.mode is not Mode.DIRECTORY:
                raise HostileError(f"'{name or 'spec'}' is no spec")
            if self._count(entry, 1) > _PATHS:
                raise HostileError(f"spec {entry.id} has more than {_PATHS} paths (limit: paths)")
            spec = read_spec(self._objects, SpecId(entry.id))
            if spec.id != entry.id:
                raise HostileError(f"spec {entry.id} holds what no spec of that id does")
            # what others install may be there in several versions, each under a name of its own
            self._specs[entry.id] = spec.name if not spec.is_foreign else None
        if name is not None and self._specs[entry.id] not in {name, None}:
            raise HostileError(f"spec {entry.id} is of '{self._specs[entry.id]}', and stands as '{name}'")

    def _tree(self, id: TreeId, commit: CommitId) -> tuple[Entry, ...]:
        try:
            return self._objects.tree(id)
        except InvalidTreeError as error:
            raise HostileError(f"commit {commit}: {error.message}") from error

    def _count(self, entry: Entry, depth: int) -> int:
        """How many paths an entry has, itself counted; over the limit it does not matter by how much."""
        if entry.mode is not Mode.DIRECTORY:
            return 1
        if depth > _DEPTH:
            raise HostileError(f"directories are nested more than {_DEPTH} deep (limit: depth)")
        key = (entry.id, depth)
        if key not in self._paths:
            total = 1
            for one in self._objects.tree(TreeId(entry.id)):
                total += self._count(one, depth + 1)
                if total > _PATHS:
                    break
            self._paths[key] = total
        return self._paths[key]

    def _measure(self, root: TreeId) -> None:
        """Check all trees of a source, and that it keeps to the limits."""
        sizes: dict[ObjectId, tuple[int, int, int]] = {}
        pending: list[tuple[TreeId, int]] = [(root, 1)]
        while pending:
            id, depth = pending[-1]
            if id in sizes:
                pending.pop()
                continue
            if depth > self._limits.depth:
                raise HostileError(f"directories are nested more than {self._limits.depth} deep (limit: depth)")
            entries = self._objects.tree(id)
            below = [TreeId(one.id) for one in entries if one.mode is Mode.DIRECTORY and one.id not in sizes]
            if below:
                pending += [(one, depth + 1) for one in dict.fromkeys(below)]
                continue
            count, size, height = 1, 0, 1
            for one in entries:
                more = sizes[one.id] if one.mode is Mode.DIRECTORY else (1, self._objects.size(one.id), 0)
                count, size, height = count + more[0], size + more[1], max(height, more[2] + 1)
            if height > self._limits.depth:
                raise HostileError(f"directories are nested more than {self._limits.depth} deep (limit: depth)")
            if count > self._limits.entries:
                raise HostileError(f"more than {self._limits.entries} entries (limit: entries)")
            if size > self._limits.size:
                raise HostileError(f"more than {self._limits.size} bytes (limit: size)")
            sizes[id] = count, size, height
            pending.pop()
