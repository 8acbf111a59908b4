"""Revisions of git repositories as sources: fetched by the git program, with the user's ssh and credentials.

Each origin has a bare repository of its own in ``origins/``, with refs for the commits that were wanted and as
little history as the server lets us have, so that the next fetch negotiates over those few only, and nothing
that a project's history holds is among the store's own objects. From there the tree is imported: checked,
with submodules in their places.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashdist.errors import InvalidError, NetworkError, NotFoundError
from hashdist.fsutil.holders import WORK
from hashdist.fsutil.locks import locked
from hashdist.fsutil.modes import is_shared, make_directories
from hashdist.fsutil.removal import remove_tree
from hashdist.objects import libgit2, tree
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import HEX_DIGITS, CommitId, ObjectId, TreeId, is_hex
from hashdist.objects.importing import Importer
from hashdist.objects.packing import LARGE_FILE
from hashdist.process import ProgramFailedError

from .declaration import GitSource
from .git_remote import GitProgram
from .network import Network, UrlNotFoundError
from .submodules import check_submodule, gitlink, submodule_urls

if TYPE_CHECKING:
    from hashdist.progress import Task
    from hashdist.store.store import Store

_KEPT = "refs/kept/"
#: Submodules within submodules.
_NESTING = 32
_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_LFS_SIZE = 1024


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit of an origin that is here."""

    url: str
    """The origin."""
    commit: CommitId
    """What its branch or tag was, or what was asked for."""


@dataclass(frozen=True, slots=True)
class ImportedRevision:
    """What a commit became."""

    tree: TreeId
    """The tree of its files, submodules in their places."""
    lfs: int
    """How many files are pointers of git-lfs; they stay pointers."""


@dataclass(frozen=True, slots=True)
class Origins:
    """The repositories that sources come from."""

    store: Store
    """Where they are kept, and where trees go."""
    env: Mapping[str, str]
    """The user's environment: ssh's agent, git's settings."""
    network: Network
    """Offline or not; progress."""

    @property
    def _program(self) -> GitProgram:
        return GitProgram(self.env, self.network)

    def fetch(self, source: GitSource) -> Revision:
        """Find out what the revision is, and bring its commit, with all submodules.

        Raises `UrlNotFoundError`, `NotFoundError` for a revision that is not there, `OfflineError` or
        `NetworkError`.
        """
        ref = None
        if len(source.rev) == HEX_DIGITS and is_hex(source.rev):
            commit = CommitId(source.rev)
        else:
            ref, commit = self._resolve(source.url, source.rev)
        self._bring(source.url, commit, ref)
        if source.submodules:
            self._bring_submodules(source.url, commit)
        return Revision(source.url, commit)

    def import_tree(self, revision: Revision, *, submodules: bool) -> ImportedRevision:
        """Write the tree of a commit that is here; raises `InvalidError` for what must not be stored."""
        progress, limits = self.network.progress, self.network.settings.limits
        with Importer(self.store.objects, limits=limits, progress=progress, label=_name(revision.url)) as importer:
            lfs = self._add(importer, revision.url, revision.commit, [], submodules=submodules)
            return ImportedRevision(importer.finish()[0], lfs)

    def _add(self, importer: Importer, url: str, commit: CommitId, at: list[bytes], *, submodules: bool) -> int:
        """Add the files of a commit below `at`; the number of git-lfs pointers among them."""
        objects = ObjectDatabase(self._path(url), search_path=self.store.search_path)
        root = objects.commit(commit).tree
        urls = submodule_urls(self._program, url, objects, root) if submodules else {}
        pending: list[tuple[list[bytes], ObjectId]] = [(at, root)]
        lfs = 0
        while pending:
            path, id = pending.pop()
            entries, gitlinks = tree.decode_foreign(objects.raw_tree(id))
            if path:
                importer.add_directory(path)
            for entry in entries:
                here = [*path, entry.name]
                if entry.mode is tree.Mode.DIRECTORY:
                    pending.append((here, entry.id))
                else:
                    lfs += _add_blob(importer, objects, here, entry)
            for name, wanted in gitlinks:
                here = [*path, name]
                importer.add_directory(here)
                if below := urls.get(b"/".join(here[len(at) :])):
                    lfs += self._add(importer, below, CommitId(wanted), here, submodules=True)
        return lfs

    def _bring_submodules(self, url: str, commit: CommitId) -> None:
        pending = [(url, commit, 0)]
        while pending:
            url, commit, depth = pending.pop()
            objects = ObjectDatabase(self._path(url), search_path=self.store.search_path)
            root = objects.commit(commit).tree
            for path, below in submodule_urls(self._program, url, objects, root).items():
                if depth >= _NESTING:
                    raise InvalidError(f"submodules of '{url}' are nested more than {_NESTING} deep")
                wanted = gitlink(objects, root, path)
                if wanted is not None:
                    check_submodule(url, path, below)
                    self._bring(below, wanted, None)
                    pending.append((below, wanted, depth + 1))

    def _path(self, url: str) -> str:
        return self.store.inside("origins", hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()[:24])

    def _resolve(self, url: str, rev: str) -> tuple[str, CommitId]:
        """The full name of a ref and its commit; raises `NotFoundError`, or `InvalidError` if there are two."""
        full = rev == "HEAD" or rev.startswith("refs/")
        patterns = [rev] if full else [f"refs/tags/{rev}", f"refs/heads/{rev}"]
        asked = [*patterns, *(f"{pattern}^{{}}" for pattern in patterns)]
        said = self._program.ask(url, "ls-remote", "--", url, *asked)
        found: dict[str, str] = {}
        for line in said.decode(errors="replace").splitlines():
            id, _, name = line.partition("\t")
            found[name] = id
        commits = {name: found.get(f"{name}^{{}}", found[name]) for name in patterns if name in found}
        if not commits:
            raise NotFoundError(f"'{url}' has no branch or tag '{rev}'", hint=f"see what it has: git ls-remote {url}")
        if len(set(commits.values())) > 1:
            raise InvalidError(
                f"'{url}' has a tag and a branch '{rev}' that differ",
                hint=f'say which: rev = "refs/tags/{rev}" or "refs/heads/{rev}"',
            )
        name, id = next(iter(commits.items()))
        if len(id) != HEX_DIGITS:
            raise InvalidError(
                f"'{url}' names its objects by SHA-256, which the store does not",
                hint="take an archive of that revision, or a checkout of it: hdist source add DIR",
            )
        return name, CommitId(id)

    def _bring(self, url: str, commit: CommitId, ref: str | None) -> None:
        """Make a commit be in the origin's repository, by the least that the server lets us have."""
        path = self._path(url)
        make_directories(os.path.dirname(path))
        lock = self.store.lock_path(f"origin-{os.path.basename(path)}")
        with locked(
            lock,
            purpose=f"git fetch of {url}",
            lease=WORK,
            timeout=None,
            waiting=self.store.waiting,
            give_up=self.network.check,
        ):
            if self._has(path, commit):
                os.utime(path)  # gc tells by it when it was last wanted
                return
            with self.network.progress.task(_name(url), None, "step") as task:
                self._fetch(path, url, commit, ref, task)
            if os.path.isdir(path):
                os.utime(path)
            if not self._has(path, commit):
                if kind := self._kind(path, commit):
                    raise InvalidError(
                        f"'{ref or commit}' of '{url}' is a {kind} and not a commit", hint=f"git ls-remote {url}"
                    )
                raise NotFoundError(f"'{url}' has no commit {commit}", hint="was it pushed?")

    def _has(self, path: str, commit: CommitId) -> bool:
        """Whether a commit was fetched whole; a repository that is broken is removed."""
        if not os.path.isdir(path):
            return False
        try:
            self._program.run(path, "rev-parse", "--verify", "--quiet", f"{_KEPT}{commit}^{{commit}}")
            self._program.run(path, "rev-list", "--objects", "--quiet", "--no-walk", commit)
        except ProgramFailedError as error:
            if error.status != 1:
                remove_tree(path)
            return False
        return True

    def _kind(self, path: str, id: CommitId) -> str | None:
        """What an object is that should have been a commit; None if it did not come."""
        try:
            return self._program.run(path, "cat-file", "-t", id).decode().strip()
        except ProgramFailedError:
            return None

    def _fetch(self, path: str, url: str, commit: CommitId, ref: str | None, task: Task) -> None:
        if not os.path.isdir(path):
            libgit2.init_repository(path, shared=is_shared(os.path.dirname(path)))
        for name in ("shallow.lock", "packed-refs.lock"):  # we hold the lock: a crash left them
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(path, name))
        kept = f"+{commit}:{_KEPT}{commit}"
        failure: NetworkError | None = None
        # one commit by its id; where a server gives only what its refs name, that; else everything
        for options, refspecs in (
            (["--depth=1"], [kept]),
            (["--depth=1"], [f"+{ref}:refs/fetched/one"] if ref else []),
            ([], ["+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*"]),
        ):
            if not refspecs:
                continue
            try:
                arguments = ["--no-tags", "--no-write-fetch-head", *options, "--", url, *refspecs]
                self._program.ask(url, "fetch", "--progress", *arguments, repository=path, task=task)
                self._program.run(path, "update-ref", f"{_KEPT}{commit}", commit)
            except UrlNotFoundError:
                raise
            except NetworkError as error:
                failure = error
            except ProgramFailedError:
                continue  # it came, and is not what the server named before
            else:
                return
        if failure is not None:
            raise failure


def _add_blob(importer: Importer, objects: ObjectDatabase, path: list[bytes], entry: tree.Entry) -> int:
    """Add a file or link; 1 if it is a pointer of git-lfs."""
    if entry.mode is tree.Mode.SYMLINK:
        importer.add_link(path, objects.blob(entry.id))
        return 0
    size = objects.size(entry.id)
    executable = entry.mode is tree.Mode.EXECUTABLE
    if size > LARGE_FILE:
        importer.add_chunks(path, objects.blob_chunks(entry.id), size, executable=executable)
        return 0
    data = objects.blob(entry.id)
    importer.add_file(path, data, executable=executable)
    return int(size < _LFS_SIZE and data.startswith(_LFS))


def _name(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")
