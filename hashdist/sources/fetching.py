"""Turn declarations into pins, and pins into sources that are here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hashdist.errors import InvalidError, NotFoundError
from hashdist.objects.archive import BadArchiveError, import_archive, is_archive
from hashdist.objects.ids import SourceId, TreeId
from hashdist.objects.tree import Mode
from hashdist.progress import SILENT, Progress

from .declaration import Declaration, PathSource, PypiSource, UrlSource, parse, to_json
from .download import Download, HashMismatchError, Network, OfflineError, download, looks_like_html
from .path import import_file, import_path
from .pin import Pin
from .pip_settings import read_pip_settings
from .pypi import PythonTarget, all_indexes, find_release

if TYPE_CHECKING:
    from hashdist.store.store import Store


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches sources into a store."""

    store: Store
    """Where they go."""
    directory: str | None
    """What relative paths are relative to; None: nobody knows, and they are refused."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The user's environment: pip's settings, git's."""
    offline: bool = False
    """Fetch nothing over the network."""
    progress: Progress = SILENT
    """Told what happens."""

    def pin(self, declaration: Declaration, *, target: PythonTarget | None = None) -> Pin:
        """Fetch, verify and import what is declared; `target` is the Python that wheels must fit.

        What has no hash is pinned as it comes, and said aloud. Raises `NotFoundError`, `NetworkError`,
        `HashMismatchError` or `InvalidError`; nothing is kept then.
        """
        document = wanted(declaration, target)
        if isinstance(declaration, PathSource):
            path = self._local(declaration.path)
            with self.store.lock(shared=True, purpose="import"):
                tree, stripped = import_path(self.store.objects, path, env=self.env, progress=self.progress)
                return Pin(document, self._keep(tree, declaration), stripped=stripped)
        urls, sha256 = self._places(declaration, target)
        found = download(self.store, urls, sha256=sha256, network=self._network())
        if sha256 is None:
            self.progress.note(f"pinned {found.url} at sha256 {found.sha256}")
        with self.store.lock(shared=True, purpose="import"):
            tree, stripped = self._import(found)
            kept = self._keep(tree, declaration)
        return Pin(document, kept, url=found.url, sha256=found.sha256, size=found.size, stripped=stripped)

    def bring(self, pin: Pin) -> SourceId:
        """Make the source of a pin be here: from its archive, which must be the very same.

        Raises `HashMismatchError` when the archive or its tree is another one.
        """
        if pin.tree in self.store.sources:
            return pin.tree
        declaration = pin.declaration
        if pin.url is None or pin.sha256 is None:
            again = self.pin(
                parse({k: v for k, v in declaration.items() if k in {"path", "subdir"}}, version="", wheel=False)
            )
        else:
            urls = [*declaration.get("mirrors", ()), pin.url]
            found = download(self.store, urls, sha256=pin.sha256, network=self._network())
            with self.store.lock(shared=True, purpose="import"):
                tree, _ = self._import(found)
                kept = self._keep(tree, UrlSource(pin.url, subdir=declaration.get("subdir")))
            again = Pin(declaration, kept)
        if again.tree != pin.tree:
            raise HashMismatchError(
                f"source {pin.tree} cannot be had again: what is there now is {again.tree}", hint="hdist update"
            )
        return pin.tree

    def _local(self, path: str) -> str:
        path = os.path.expanduser(path)
        if os.path.isabs(path):
            return path
        if self.directory is None:
            raise InvalidError(
                f"nobody knows what '{path}' is relative to", hint="hdist commit FILE, from the directory it belongs to"
            )
        return os.path.join(self.directory, path)

    def _network(self) -> Network:
        settings = read_pip_settings(self.env)
        return Network(self.offline, settings.certificates, settings.credentials, self.progress)

    def _places(self, declaration: UrlSource | PypiSource, target: PythonTarget | None) -> tuple[list[str], str | None]:
        if isinstance(declaration, UrlSource):
            return [*declaration.mirrors, declaration.url], declaration.sha256
        settings = read_pip_settings(self.env)
        if self.offline and any(urlsplit(index).scheme != "file" for index in all_indexes(settings)):
            raise OfflineError(
                f"the package index would have to be asked for '{declaration.project}'", hint="leave out --offline"
            )
        file = find_release(declaration, target=target, settings=settings, network=self._network())
        return [file.url], file.sha256

    def _import(self, found: Download) -> tuple[TreeId, str | None]:
        name = os.path.basename(unquote(urlsplit(found.url).path)) or "file"
        if is_archive(found.path):
            imported = import_archive(
                self.store.objects, found.path, strip=not name.endswith(".whl"), progress=self.progress, label=name
            )
            return imported.tree, imported.stripped
        if looks_like_html(found.path):
            raise BadArchiveError(
                f"'{found.url}' gave a web page instead of an archive", hint="check the URL in a browser"
            )
        if name.endswith((".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".whl")):
            raise BadArchiveError(f"'{found.url}' is not the archive that its name promises")
        return import_file(self.store.objects, found.path, name), None

    def _keep(self, tree: TreeId, declaration: Declaration) -> SourceId:
        if declaration.subdir is not None:
            entry = self.store.objects.find(tree, declaration.subdir)
            if entry is None or entry.mode is not Mode.DIRECTORY:
                raise NotFoundError(f"the source has no directory '{declaration.subdir}'")
            tree = TreeId(entry.id)
        return self.store.sources.keep(tree, reason="source")


def wanted(declaration: Declaration, target: PythonTarget | None) -> dict[str, Any]:
    """What a pin must say to fit: the declaration, and for a wheel the Python that it was picked for."""
    document = to_json(declaration)
    if isinstance(declaration, PypiSource) and declaration.wheel and target is not None:
        document["python"] = target.abi
    return document


def declare(thing: str, *, sha256: str | None = None, subdir: str | None = None) -> Declaration:
    """The declaration that a person means by a URL, ``pypi:NAME==VERSION`` or a path; raises `InvalidError`."""
    if thing.startswith("pypi:"):
        project, _, version = thing[5:].partition("==")
        if not version:
            raise InvalidError(f"'{thing}' names no version", hint="pypi:NAME==VERSION")
        return parse({"pypi": project, **_set(subdir=subdir)}, version=version, wheel=False)
    if "://" in thing:
        return parse({"url": thing, **_set(sha256=sha256, subdir=subdir)}, version="", wheel=False)
    return parse({"path": os.path.abspath(thing), **_set(subdir=subdir)}, version="", wheel=False)


def _set(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
