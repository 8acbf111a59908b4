"""Fetch what is wanted, several things at once: all that needs the network, and nothing that imports."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

from hashdist.errors import HashdistError, InvalidError
from hashdist.objects.ids import HEX_DIGITS, is_hex

from .archives import Archive, Archives, file_name
from .declaration import GitSource, PathSource, PypiSource, UrlSource, without_credentials
from .download import Download, download
from .git import Origins, Revision
from .mirror import archive_url
from .network import Network, OfflineError
from .parallel import in_threads
from .pin import Pin
from .pip_settings import PipSettings
from .pypi import PythonTarget, all_indexes, find_release
from .request import Request

Key = TypeVar("Key", bound=Hashable)

Obtained: TypeAlias = "Archive | Revision | str"
"""What was fetched and is not imported yet: an archive, a commit, or the path of something of this machine."""


class HashRequiredError(HashdistError):
    """A source that would be pinned on first use, where that is not allowed."""

    code = "hash_required"


@dataclass(frozen=True, slots=True)
class Obtainer:
    """Fetches into the downloads and origins of a store."""

    archives: Archives
    """What is here already, and what archives became."""
    origins: Origins
    """The git repositories."""
    network: Network
    """How others are reached, and the choices that hold for every source."""
    pip: PipSettings
    """Where releases are looked for."""
    directory: str | None
    """What relative paths are relative to; None: nobody knows, and they are refused."""

    def obtain_all(
        self, requests: Mapping[Key, Request], pins: Mapping[Key, Pin] | None = None
    ) -> dict[Key, Obtained | HashdistError]:
        """Fetch many, several at a time; what failed is given in place. `pins` are what was pinned before."""
        known = pins or {}

        def attempt(key: Key) -> Obtained | HashdistError:
            try:
                return self.obtain(requests[key], known.get(key))
            except HashdistError as error:
                return error

        count = self.network.settings.parallel
        if len(requests) <= 1 or count <= 1:
            return {key: attempt(key) for key in requests}
        # what the threads share is made before there are any
        store = self.archives.store
        _ = store.durable, store.objects
        return in_threads(attempt, requests, count=count, cancel=self.network.cancelled.set)

    def obtain(self, request: Request, known: Pin | None = None) -> Obtained:
        """Fetch one; `known` is what was pinned before, and is wanted again."""
        declaration, settings = request.declaration, self.network.settings
        if isinstance(declaration, PathSource):
            return self._local(declaration.path)
        if isinstance(declaration, GitSource):
            if settings.require_hash and not (len(declaration.rev) == HEX_DIGITS and is_hex(declaration.rev)):
                raise _hash_required(declaration.url, "give the full commit id as rev")
            return self.origins.fetch(declaration)
        urls, sha256 = self._places(declaration, request.target)
        name, origin = file_name(urls[-1]), without_credentials(urls[-1])
        if sha256 is None and settings.require_hash:
            raise _hash_required(origin, "give its sha256")
        if sha256 is not None:
            if became := self.archives.here(sha256, name):
                return Archive(Download("", sha256, became.size, origin), name, origin)
            urls = [*(archive_url(mirror, sha256) for mirror in settings.mirrors), *urls]
        expected = known.tree if known is not None and "subdir" not in known.declaration else None

        def judge(found: Download) -> bool:
            return self.archives.is_repacked(found, name, sha256 or "", expected)

        found = download(self.archives.store, urls, sha256=sha256, network=self.network, judge=judge)
        if sha256 is None:
            self.network.progress.note(f"pinned {found.url} at sha256 {found.sha256}")
        return Archive(found, name, origin)

    def _local(self, path: str) -> str:
        path = os.path.expanduser(path)
        if os.path.isabs(path):
            return path
        if self.directory is None:
            raise InvalidError(
                f"nobody knows what '{path}' is relative to", hint="hdist commit FILE, from the directory it belongs to"
            )
        return os.path.join(self.directory, path)

    def _places(self, declaration: UrlSource | PypiSource, target: PythonTarget | None) -> tuple[list[str], str | None]:
        """The URLs of a file, the declared one last, and its hash."""
        if isinstance(declaration, UrlSource):
            return [*declaration.mirrors, declaration.url], declaration.sha256
        if self.network.settings.offline and any(urlsplit(index).scheme != "file" for index in all_indexes(self.pip)):
            raise OfflineError(
                f"the package index would have to be asked for '{declaration.project}'", hint="leave out --offline"
            )
        file = find_release(declaration, target=target, settings=self.pip, network=self.network)
        return [file.url], file.sha256


def _hash_required(what: str, hint: str) -> HashRequiredError:
    return HashRequiredError(f"'{what}' has no hash, and would be pinned on first use", hint=hint)
