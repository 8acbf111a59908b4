"""The object database of a store: blobs, trees and commits, by id."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from hashdist import process
from hashdist.errors import DamagedError

from . import libgit2
from .commits import Commit, Identity, encode_commit, encode_tag, parse_commit
from .copying import copy_history
from .git_program import git_env, has_git
from .ids import BlobId, CommitId, ObjectId, TreeId
from .loose import LooseObjects
from .packed import PackedReader
from .signing import Signer, signed_commit
from .snapshot import Known, snapshot
from .tree import Entry, Mode, decode, encode

if TYPE_CHECKING:
    import pygit2


Found = TypeVar("Found")
#: Tags of tags of tags; more is somebody's joke.
_TAGS = 5


def object_id(kind: str, data: bytes) -> ObjectId:
    """Git's name for an object of `kind` with these bytes."""
    return ObjectId(hashlib.sha1(b"%b %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest())


class ObjectDatabase:
    """Reads and writes the objects of the bare repository at `path`; what is not there is read `upstream`."""

    def __init__(self, path: str, *, search_path: str = os.defpath, upstream: ObjectDatabase | None = None) -> None:
        self.path = path
        self._upstream = upstream
        self._search_path = search_path
        self.unsynced = False
        """Whether objects were written that a power loss could still take."""

    @functools.cached_property
    def _repository(self) -> pygit2.Repository:
        return libgit2.open_repository(self.path)

    @functools.cached_property
    def packed(self) -> PackedReader:
        """What lies whole in the packs that were there when this was first asked for."""
        return PackedReader(os.path.join(self.path, "objects", "pack"))

    @functools.cached_property
    def _loose(self) -> LooseObjects:
        return LooseObjects(os.path.join(self.path, "objects"))

    def __contains__(self, id: ObjectId) -> bool:
        """Whether the object is here, or upstream."""
        return self.has_own(id) or (self._upstream is not None and id in self._upstream)

    def has_own(self, id: ObjectId) -> bool:
        """Whether the object is here."""
        return id in self._loose or libgit2.exists(self._repository, id)

    def snapshot(self) -> Known:
        """A quick test for what is here just now; what others write later it may not see."""
        return snapshot(os.path.join(self.path, "objects"))

    def size(self, id: ObjectId) -> int:
        """The bytes of a blob; raises `NotFoundError` or `DamagedError`."""
        whole = self.packed.find(id)
        if whole is not None:
            return whole.size
        return self._or_upstream(lambda: libgit2.size(self._repository, id), lambda above: above.size(id))

    def blob(self, id: ObjectId) -> bytes:
        """Read a blob; raises `NotFoundError` or `DamagedError`."""
        return self._read("blob", id)

    def blob_chunks(self, id: ObjectId) -> Iterator[bytes]:
        """Read a blob that is too large for memory; raises `DamagedError` at its end if it is not what `id` says."""
        if self._upstream is not None and not self.has_own(id):
            yield from self._upstream.blob_chunks(id)
            return
        if not has_git(self._search_path):
            yield self.blob(id)  # all of it in memory
            return
        digest = hashlib.sha1(b"blob %d\0" % self.size(id), usedforsecurity=False)
        command = ["git", "-c", "core.bigFileThreshold=1m", "cat-file", "blob", id]
        try:
            for chunk in process.stream(command, env=git_env(self.path, self._search_path)):
                digest.update(chunk)
                yield chunk
        except process.ProgramFailedError as error:
            raise DamagedError(f"object {id} cannot be read: {error}", hint="look at it with git fsck") from error
        if digest.hexdigest() != id:
            raise DamagedError(f"object {id} cannot be read: its bytes are others", hint="look at it with git fsck")

    def tree(self, id: ObjectId) -> tuple[Entry, ...]:
        """Read and check a tree; raises `NotFoundError`, `DamagedError` or `InvalidTreeError`."""
        return decode(self._read("tree", id))

    def raw_tree(self, id: ObjectId) -> bytes:
        """The bytes of a tree, as they are: see `tree.decode_foreign`."""
        return self._read("tree", id)

    def commit(self, id: ObjectId) -> Commit:
        """Read a commit; raises `NotFoundError` or `DamagedError`."""
        return parse_commit(CommitId(id), self._read("commit", id))

    def kind(self, id: ObjectId) -> str:
        """Tell what the object is: 'blob', 'tree', 'commit' or 'tag'."""
        return self._or_upstream(lambda: libgit2.read(self._repository, id)[0], lambda above: above.kind(id))

    def tagged(self, id: ObjectId) -> ObjectId | None:
        """What a tag object is of; None for any other object. Raises `NotFoundError` or `DamagedError`."""
        kind, data = self._read_any(id)
        if kind != "tag":
            return None
        head = data.split(b"\n", 1)[0].decode("ascii", errors="replace")
        try:
            return ObjectId(head.removeprefix("object "))
        except ValueError as error:
            raise DamagedError(f"tag {id} is malformed") from error

    def peeled(self, id: CommitId) -> CommitId:
        """The commit that a ref's value stands for: itself, or what a tag of git's own is of."""
        for _ in range(_TAGS):
            target = self.tagged(id)
            if target is None:
                break
            id = CommitId(target)
        return id

    def expand(self, prefix: str) -> ObjectId:
        """Give the one id that begins with `prefix`; raises `NotFoundError`."""
        found = self._or_upstream(lambda: libgit2.expand(self._repository, prefix), lambda above: above.expand(prefix))
        return ObjectId(found)

    def _or_upstream(self, here: Callable[[], Found], above: Callable[[ObjectDatabase], Found]) -> Found:
        try:
            return here()
        except libgit2.ObjectMissingError:
            if self._upstream is None:
                raise
            return above(self._upstream)

    def _read_any(self, id: ObjectId) -> tuple[str, bytes]:
        """Read an object of any kind, from here or upstream."""
        if found := self._find(id):
            return found
        return self._or_upstream(
            lambda: libgit2.read(self._repository, id),
            lambda above: above._read_any(id),  # noqa: SLF001 - of the same class
        )

    def _read(self, kind: str, id: ObjectId) -> bytes:
        found, data = self._read_any(id)
        if found != kind:
            raise DamagedError(f"object {id} is a {found}, not a {kind}", hint="look at it with git fsck")
        return data

    def _find(self, id: ObjectId) -> tuple[str, bytes] | None:
        """What can be read without libgit2; None for what is damaged, not here, or a large delta."""
        return self._loose.read(id) or self.packed.read(id)

    def merge_base(self, one: CommitId, other: CommitId) -> CommitId | None:
        """The best common ancestor of two commits; None if their histories have nothing in common.

        What is only upstream is brought here first.
        """
        for commit in (one, other):
            self.bring(commit)
        found = libgit2.merge_base(self._repository, one, other)
        return CommitId(found) if found is not None else None

    def merge_bases(self, one: CommitId, other: CommitId) -> list[CommitId]:
        """All best common ancestors of two commits, none of which leads to another: several where histories crossed."""
        for commit in (one, other):
            self.bring(commit)
        return [CommitId(id) for id in libgit2.merge_bases(self._repository, one, other)]

    def new_commits(self, tips: Iterable[ObjectId], known: Iterable[ObjectId]) -> list[CommitId]:
        """The commits here that `tips` lead to and `known` do not, newest first; raises `DamagedError`."""
        return [CommitId(id) for id in libgit2.new_commits(self._repository, tips, known)]

    def bring(self, commit: CommitId) -> None:
        """Have a commit here with all that it leads to, its history included, when it is only upstream."""
        if self._upstream is None or self.has_own(commit) or commit not in self._upstream:
            return
        owner = self._upstream
        while not owner.has_own(commit):
            assert owner._upstream is not None, "it is in one of them"  # noqa: SLF001 - of the same class
            owner = owner._upstream  # noqa: SLF001
        if not has_git(self._search_path):
            copy_history(owner, self, [commit], [])
            self.look_again()
            return
        pack = process.run(
            ["git", "pack-objects", "--revs", "--stdout", "-q"],
            env=git_env(owner.path, self._search_path),
            stdin=f"{commit}\n".encode(),
        )
        process.run(["git", "index-pack", "--stdin"], env=git_env(self.path, self._search_path), stdin=pack)
        self.unsynced = True

    def find_raw(self, id: ObjectId) -> tuple[str, bytes]:
        """An object that is here: its type and its bytes."""
        return self._find(id) or libgit2.read(self._repository, id)

    def look_again(self) -> None:
        """Forget which packs there were."""
        self.__dict__.pop("packed", None)

    def add(self, kind: str, data: bytes) -> ObjectId:
        """Write an object of any kind as it is; a tree is not checked."""
        return ObjectId(self._write(kind, data))

    def add_blob(self, data: bytes) -> BlobId:
        """Write a blob."""
        return BlobId(self._write("blob", data))

    def add_tree(self, entries: Iterable[Entry]) -> TreeId:
        """Check and write a tree."""
        return TreeId(self._write("tree", encode(entries)))

    def add_commit(
        self,
        tree: TreeId,
        *,
        parents: Sequence[CommitId] = (),
        identity: Identity,
        time: int,
        message: str,
        change_of: Commit | None = None,
        signer: Signer | None = None,
    ) -> CommitId:
        """Write a commit; `time` is in seconds since 1970, the zone is UTC.

        `change_of` is the commit whose change it makes here: its author stays the author.
        """
        data = encode_commit(tree, parents=parents, identity=identity, time=time, message=message, change_of=change_of)
        return CommitId(self._write("commit", signed_commit(data, signer.sign(data)) if signer is not None else data))

    def add_tag(
        self, commit: CommitId, *, name: str, identity: Identity, time: int, message: str, signer: Signer | None = None
    ) -> ObjectId:
        """Write a tag object of a commit, with a message; signed where there is a signer."""
        data = encode_tag(commit, name=name, identity=identity, time=time, message=message)
        return ObjectId(self._write("tag", data + signer.sign(data).encode() if signer is not None else data))

    def _write(self, kind: str, data: bytes) -> str:
        self.unsynced = True
        return self._loose.write(kind, data)

    def find(self, root: ObjectId, path: str) -> Entry | None:
        """Follow a path with slashes from a tree; None where it leads nowhere."""
        entry = None
        for part in path.encode().split(b"/"):
            if entry is not None and entry.mode is not Mode.DIRECTORY:
                return None
            entries = self.tree(entry.id if entry else root)
            entry = next((one for one in entries if one.name == part), None)
            if entry is None:
                return None
        return entry

    def add_files(self, files: dict[str, bytes]) -> TreeId:
        """Write a tree of plain files, given by paths with slashes."""
        return self.add_nested({path: Entry(b"x", Mode.FILE, self.add_blob(data)) for path, data in files.items()})

    def add_nested(self, entries: dict[str, Entry]) -> TreeId:
        """Write the tree that has each entry at its path (the entry's own name does not count)."""
        here: list[Entry] = []
        below: dict[str, dict[str, Entry]] = {}
        for path, entry in entries.items():
            head, slash, rest = path.partition("/")
            if slash:
                below.setdefault(head, {})[rest] = entry
            else:
                here.append(entry._replace(name=head.encode()))
        for name, inside in below.items():
            here.append(Entry(name.encode(), Mode.DIRECTORY, self.add_nested(inside)))
        return self.add_tree(here)
