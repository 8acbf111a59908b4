"""Turn declarations into pins, and pins into sources that are here."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

from hashdist.errors import HashdistError, InvalidError, NetworkError, NotFoundError
from hashdist.objects.archive import BadArchiveError, import_archive, is_archive
from hashdist.objects.ids import CommitId, SourceId, TreeId
from hashdist.objects.statcache import StatCache
from hashdist.objects.tree import Mode
from hashdist.progress import SILENT, Progress
from hashdist.store import index
from hashdist.store.provenance import Provenance

from .declaration import (
    Declaration,
    GitSource,
    PathSource,
    PypiSource,
    UrlSource,
    parse,
    to_json,
    without_credentials,
)
from .download import Download, HashMismatchError, download, looks_like_html
from .git import Origins, Revision
from .mirror import archive_url, tree_url
from .network import Network, OfflineError
from .parallel import in_threads
from .path import import_file, import_path
from .pin import Pin
from .pip_settings import read_pip_settings
from .pypi import PythonTarget, all_indexes, find_release
from .settings import FetchSettings

if TYPE_CHECKING:
    from hashdist.store.store import Store

Key = TypeVar("Key", bound=Hashable)

#: Names of files that must be archives.
_ARCHIVES = (
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip", ".whl",
    ".tar.lz", ".tar.lzma", ".tar.Z", ".7z", ".rar",
)  # fmt: skip


class _Answer(NamedTuple):
    """What an archive became, as the index remembers it."""

    tree: TreeId
    stripped: str | None
    size: int


class RepackedError(HashMismatchError):
    """Another archive than was pinned, with the very same files in it."""

    code = "repacked"


class HashRequiredError(HashdistError):
    """A source that would be pinned on first use, where that is not allowed."""

    code = "hash_required"


@dataclass(frozen=True, slots=True)
class Request:
    """A source that is wanted."""

    declaration: Declaration
    """What was said of it."""
    target: PythonTarget | None = None
    """The Python that wheels must fit."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that is here, and the name that counts: another mirror's makes no other source."""

    file: Download
    """Where it lies; its path is empty where the source is here already."""
    name: str
    """The last part of its declared URL."""
    origin: str
    """That URL, without credentials: where others can have it from."""


Obtained: TypeAlias = "Archive | Revision | str"
"""What was fetched and is not imported yet: an archive, a commit, or the path of something of this machine."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches sources into a store."""

    store: Store
    """Where they go."""
    directory: str | None = None
    """What relative paths are relative to; None: nobody knows, and they are refused."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The user's environment: pip's settings, git's."""
    settings: FetchSettings = field(default_factory=FetchSettings)
    """What a person or a site has chosen."""
    progress: Progress = SILENT
    """Told what happens."""

    def pin(self, declaration: Declaration, *, target: PythonTarget | None = None) -> Pin:
        """Fetch, verify and import what is declared; `target` is the Python that wheels must fit.

        What has no hash is pinned as it comes, and said aloud. Raises `NotFoundError`, `NetworkError`,
        `HashMismatchError` (`RepackedError` among them), `HashRequiredError` or `InvalidError`; nothing is kept then.
        """
        request = Request(declaration, target)
        return self._keep(request, self._obtain(request, self.network()))

    def pin_all(self, requests: Mapping[Key, Request]) -> dict[Key, Pin | HashdistError]:
        """Likewise for many, several downloads at a time; what failed is given in place of a pin."""
        done: dict[Key, Pin | HashdistError] = {}
        for key, obtained in self._obtain_all(requests).items():
            if isinstance(obtained, HashdistError):
                done[key] = obtained
                continue
            try:
                done[key] = self._keep(requests[key], obtained)
            except HashdistError as error:
                done[key] = error
        return done

    def bring(self, pin: Pin) -> SourceId:
        """Make the source of a pin be here, with the very same files.

        Raises `HashMismatchError` when the archive or its tree is another one; a repacked archive is taken if the
        settings say so.
        """
        return self.bring_all([pin])[0]

    def bring_all(self, pins: list[Pin]) -> list[SourceId]:
        """Likewise for many, several downloads at a time; raises the first of what went wrong."""
        missing = {pin.tree: pin for pin in pins if pin.tree not in self.store.sources}
        for tree, pin in list(missing.items()):
            if pin.sha256 is None and self._bring_from_mirror(pin):
                del missing[tree]
        requests = {tree: _request_again(pin) for tree, pin in missing.items()}
        fetched = self._obtain_all(requests, missing)
        for tree, obtained in fetched.items():
            pin = missing[tree]
            if isinstance(obtained, HashdistError):
                if not self._bring_from_mirror(pin):
                    raise obtained
                continue
            again = self._keep(requests[tree], obtained)
            if again.tree != tree:
                raise HashMismatchError(
                    f"source {tree} cannot be had again: what is there now is {again.tree}", hint="hdist update"
                )
        return [pin.tree for pin in pins]

    def network(self) -> Network:
        """How others are reached."""
        settings = read_pip_settings(self.env)
        return Network(self.settings, settings.certificates, settings.credentials, self.progress)

    def _obtain_all(
        self, requests: Mapping[Key, Request], pins: Mapping[Key, Pin] | None = None
    ) -> dict[Key, Obtained | HashdistError]:
        network = self.network()
        known = pins or {}

        def attempt(key: Key) -> Obtained | HashdistError:
            try:
                return self._obtain(requests[key], network, known.get(key))
            except HashdistError as error:
                return error

        if len(requests) <= 1 or self.settings.parallel <= 1:
            return {key: attempt(key) for key in requests}
        # what threads share is made before there are any
        assert self.store.durable in {True, False}
        assert self.store.objects is not None
        try:
            return in_threads(attempt, requests, count=self.settings.parallel)
        except BaseException:
            network.cancelled.set()
            raise

    def _obtain(self, request: Request, network: Network, known: Pin | None = None) -> Obtained:
        """Everything that needs the network; `known` is what was pinned before, and wanted again."""
        declaration = request.declaration
        if isinstance(declaration, PathSource):
            return self._local(declaration.path)
        if isinstance(declaration, GitSource):
            if self.settings.require_hash and not _is_commit(declaration.rev):
                raise _hash_required(declaration.url, "give the full commit id as rev")
            return Origins(self.store, self.env, network).fetch(declaration)
        urls, sha256 = self._places(declaration, request.target, network)
        name, origin = _file_name(urls[-1]), without_credentials(urls[-1])
        if sha256 is None and self.settings.require_hash:
            raise _hash_required(urls[-1], "give its sha256")
        if sha256 is not None:
            answer = self._archive_answer(sha256, name)
            if answer is not None and SourceId(answer.tree) in self.store.sources:
                return Archive(Download("", sha256, answer.size, without_credentials(urls[-1])), name, origin)
            urls = [*(archive_url(mirror, sha256) for mirror in self.settings.mirrors), *urls]
        expected = known.tree if known is not None and "subdir" not in known.declaration else None

        def judge(found: Download) -> bool:
            return self._is_repacked(found, name, sha256 or "", expected)

        found = download(self.store, urls, sha256=sha256, network=network, judge=judge)
        if sha256 is None:
            self.progress.note(f"pinned {found.url} at sha256 {found.sha256}")
        return Archive(found, name, origin)

    def _is_repacked(self, found: Download, name: str, sha256: str, expected: TreeId | None) -> bool:
        """Whether an archive with a wrong hash has the files that the right one had, and is to be taken."""
        answer = self._archive_answer(sha256, name)
        expected = expected or (answer.tree if answer else None)
        if expected is None or not is_archive(found.path):
            return False
        try:
            tree = import_archive(
                self.store.objects, found.path, strip=_strips(name), limits=self.settings.limits, hash_only=True
            ).tree
        except InvalidError:
            return False
        if tree != expected:
            return False
        if not self.settings.accept_repacked:
            raise RepackedError(
                f"'{found.url}' was repacked: its hash is {found.sha256} instead of {sha256}, "
                f"with the very same files ({tree})",
                hint="to take it: --accept-repacked",
            )
        self.progress.note(f"took {found.url}, which was repacked with the very same files: sha256 {found.sha256}")
        return True

    def _keep(self, request: Request, obtained: Obtained) -> Pin:
        """Import what was fetched, and give it its ref."""
        declaration = request.declaration
        document = wanted(declaration, request.target)
        with self.store.lock(shared=True, purpose="import"):
            if isinstance(obtained, str):
                return self._keep_path(obtained, declaration, document)
            if isinstance(obtained, Revision):
                return self._keep_revision(obtained, declaration, document)
            tree, stripped = self._import(obtained)
            file = obtained.file
            came_from = Provenance(
                "pypi" if isinstance(declaration, PypiSource) else "url",
                file.url,
                file.sha256,
                file.size,
                file.etag,
                file.modified,
                stripped=stripped,
                subdir=declaration.subdir,
            )
            # of what was here already nobody was asked
            kept = self._give_ref(tree, declaration, came_from if file.fetched else None)
            return Pin(
                document, kept, obtained.origin, file.sha256, file.size, stripped, etag=file.etag, date=self._date()
            )

    def _keep_path(self, path: str, declaration: Declaration, document: dict[str, Any]) -> Pin:
        key = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()
        remembered = index.read_bytes(self.store, index.STATES, key)
        before = StatCache.decode(remembered) if remembered else None
        if before is not None and SourceId(before.held_by) not in self.store.sources:
            before = None  # gc may have taken its blobs
        imported = import_path(
            self.store.objects,
            path,
            env=self.env,
            limits=self.settings.limits,
            progress=self.progress,
            before=before,
        )
        came_from = Provenance("path", path, stripped=imported.stripped, subdir=declaration.subdir)
        kept = self._give_ref(imported.tree, declaration, came_from)
        if imported.cache is not None and kept == imported.tree:
            index.write(self.store, index.STATES, key, imported.cache.encode())
        return Pin(document, kept, stripped=imported.stripped, date=self._date())

    def _keep_revision(self, revision: Revision, declaration: Declaration, document: dict[str, Any]) -> Pin:
        assert isinstance(declaration, GitSource), "only those have revisions"
        came_from = Provenance(
            "git", revision.url, rev=declaration.rev, commit=revision.commit, subdir=declaration.subdir
        )
        imported = Origins(self.store, self.env, self.network()).import_tree(
            revision, submodules=declaration.submodules
        )
        if imported.lfs:
            self.progress.note(f"{revision.url} has {imported.lfs} files in git-lfs: their pointers are the source")
        if declaration.rev != revision.commit:
            self.progress.note(f"pinned {revision.url} {declaration.rev} at commit {revision.commit}")
        kept = self._give_ref(imported.tree, declaration, came_from)
        return Pin(document, kept, revision.url, commit=revision.commit, date=self._date())

    def _date(self) -> str:
        return dt.datetime.fromtimestamp(self.store.now(), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _give_ref(self, tree: TreeId, declaration: Declaration, came_from: Provenance | None) -> SourceId:
        if declaration.subdir is not None:
            entry = self.store.objects.find(tree, declaration.subdir)
            if entry is None or entry.mode is not Mode.DIRECTORY:
                raise NotFoundError(f"the source has no directory '{declaration.subdir}'")
            tree = TreeId(entry.id)
        return self.store.sources.keep(tree, reason="source", came_from=came_from)

    def _import(self, archive: Archive) -> tuple[TreeId, str | None]:
        """The tree of an archive or file, and what was stripped; one that was imported before is not read again."""
        file, name = archive.file, archive.name
        known = self._archive_answer(file.sha256, name)
        if known is not None and SourceId(known.tree) in self.store.sources:
            return known.tree, known.stripped
        limits, progress = self.settings.limits, self.progress
        if is_archive(file.path):
            imported = import_archive(
                self.store.objects, file.path, strip=_strips(name), limits=limits, progress=progress, label=name
            )
            answer = _Answer(imported.tree, imported.stripped, file.size)
            index.write(self.store, index.ARCHIVE, _archive_key(file.sha256, name), json.dumps(answer))
            return imported.tree, imported.stripped
        if looks_like_html(file.path):
            raise BadArchiveError(
                f"'{file.url}' gave a web page instead of an archive", hint="look at the URL in a browser"
            )
        if name.endswith(_ARCHIVES):
            raise BadArchiveError(f"'{file.url}' is not an archive that can be read, which its name promises")
        return import_file(self.store.objects, file.path, name, limits=limits, progress=progress), None

    def _archive_answer(self, sha256: str, name: str) -> _Answer | None:
        text = index.read(self.store, index.ARCHIVE, _archive_key(sha256, name))
        try:
            tree, stripped, size = json.loads(text or "")
            return _Answer(TreeId(tree), stripped, int(size))
        except (ValueError, TypeError):
            return None

    def _bring_from_mirror(self, pin: Pin) -> bool:
        """Look for the files of a source on the mirrors, by the id of their tree."""
        for mirror in self.settings.mirrors:
            url = tree_url(mirror, pin.tree)
            try:
                found = download(self.store, [url], sha256=None, network=self.network())
            except (NetworkError, InvalidError):
                continue
            with self.store.lock(shared=True, purpose="import"):
                if self._has_tree(found, pin.tree):
                    came_from = Provenance("mirror", without_credentials(url))
                    self.store.sources.keep(pin.tree, reason="source", came_from=came_from)
                    return True
        return False

    def _has_tree(self, found: Download, wanted: TreeId) -> bool:
        """Import an archive that nobody has vouched for, if it holds just the files that are wanted."""
        limits = self.settings.limits
        try:
            tree = import_archive(self.store.objects, found.path, strip=False, limits=limits, hash_only=True).tree
            if tree == wanted:
                tree = import_archive(self.store.objects, found.path, strip=False, limits=limits).tree
        except InvalidError:
            return False
        return tree == wanted

    def _local(self, path: str) -> str:
        path = os.path.expanduser(path)
        if os.path.isabs(path):
            return path
        if self.directory is None:
            raise InvalidError(
                f"nobody knows what '{path}' is relative to", hint="hdist commit FILE, from the directory it belongs to"
            )
        return os.path.join(self.directory, path)

    def _places(
        self, declaration: UrlSource | PypiSource, target: PythonTarget | None, network: Network
    ) -> tuple[list[str], str | None]:
        if isinstance(declaration, UrlSource):
            return [*declaration.mirrors, declaration.url], declaration.sha256
        settings = read_pip_settings(self.env)
        if self.settings.offline and any(urlsplit(index).scheme != "file" for index in all_indexes(settings)):
            raise OfflineError(
                f"the package index would have to be asked for '{declaration.project}'", hint="leave out --offline"
            )
        file = find_release(declaration, target=target, settings=settings, network=network)
        return [file.url], file.sha256


def _request_again(pin: Pin) -> Request:
    """What must be asked for so that the same comes: by hash where there is one."""
    declaration = pin.declaration
    subdir = declaration.get("subdir")
    if pin.url is not None and pin.sha256 is not None:
        origin = declaration.get("url", pin.url)
        places = [place for place in (pin.url, *declaration.get("mirrors", ())) if place != origin]
        return Request(UrlSource(origin, tuple(places), pin.sha256, subdir))
    if pin.url is not None and pin.commit is not None:
        return Request(GitSource(pin.url, pin.commit, declaration.get("submodules", True), subdir))
    known = {key: value for key, value in declaration.items() if key in {"path", "subdir"}}
    return Request(parse(known, version="", wheel=False))


def _hash_required(what: str, hint: str) -> HashRequiredError:
    return HashRequiredError(f"'{what}' has no hash, and would be pinned on first use", hint=hint)


def _is_commit(rev: str) -> bool:
    try:
        CommitId(rev)
    except InvalidError:
        return False
    return True


def _file_name(url: str) -> str:
    return os.path.basename(unquote(urlsplit(url).path)) or "file"


def _strips(name: str) -> bool:
    return not name.endswith(".whl")


def _archive_key(sha256: str, name: str) -> str:
    return sha256 if _strips(name) else f"{sha256}-whole"


def wanted(declaration: Declaration, target: PythonTarget | None) -> dict[str, Any]:
    """What a pin must say to fit: the declaration, and for a wheel the Python that it was picked for."""
    document = to_json(declaration)
    if isinstance(declaration, PypiSource) and declaration.wheel and target is not None:
        document["python"] = target.abi
    return document


def declare(
    thing: str,
    *,
    sha256: str | None = None,
    subdir: str | None = None,
    rev: str | None = None,
    wheel: bool = False,
) -> Declaration:
    """The declaration that a person means by a URL, ``git+URL[@REV]``, ``pypi:NAME==VERSION`` or a path.

    `wheel`: of a release a wheel is wanted, and not its source distribution.

    Raises `InvalidError`.
    """
    if not thing or rev == "" or subdir == "":
        raise InvalidError("an empty text names no source", hint="is a variable of a script not set?")
    if sha256 is not None and ("://" not in thing or thing.startswith(("pypi:", "git+"))):
        raise InvalidError(f"'{thing}' is not the URL of an archive, so that a sha256 cannot be checked", hint=_CHECKED)
    if thing.startswith("pypi:"):
        project, _, version = thing[5:].partition("==")
        if not version:
            raise InvalidError(f"'{thing}' names no version", hint="pypi:NAME==VERSION")
        return parse({"pypi": project, **_set(subdir=subdir)}, version=version, wheel=wheel)
    if wheel:
        raise InvalidError(f"'{thing}' is not a release on a package index", hint="pypi:NAME==VERSION")
    if thing.startswith("git+"):
        url = thing[4:]
        head, at, last = url.rpartition("@")
        if at and "/" not in last and ":" not in last and "/" in head:
            url, rev = head, rev or last
        return parse({"git": url, "rev": rev or "HEAD", **_set(subdir=subdir)}, version="", wheel=False)
    if rev is not None:
        raise InvalidError(f"'{thing}' is not a git repository, so it has no revisions", hint="git+URL")
    if "://" in thing:
        return parse({"url": thing, **_set(sha256=sha256, subdir=subdir)}, version="", wheel=False)
    return parse({"path": os.path.abspath(thing), **_set(subdir=subdir)}, version="", wheel=False)


_CHECKED = "a git source is checked by its commit, a release by the hash that the index tells"


def _set(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
