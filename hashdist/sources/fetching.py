"""Turn declarations into pins, and pins into sources that are here."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from hashdist.errors import HashdistError, InvalidError, NetworkError
from hashdist.fsutil.clock import time_text
from hashdist.objects.ids import SourceId
from hashdist.progress import SILENT, Progress
from hashdist.store.provenance import Provenance

from .archives import Archives
from .declaration import Declaration, GitSource, PathSource, PypiSource, without_credentials
from .download import HashMismatchError, download
from .git import Origins, Revision
from .keeping import keep
from .local import add_path
from .mirror import tree_url
from .network import Network
from .obtaining import Obtained, Obtainer
from .pin import Pin
from .pip_settings import read_pip_settings
from .pypi import PythonTarget
from .request import Request, request_again, wanted
from .settings import FetchSettings

if TYPE_CHECKING:
    from hashdist.store.store import Store

Key = TypeVar("Key", bound=Hashable)


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
    elsewhere: Callable[[SourceId], bool] = lambda _: False
    """Brings a source from where somebody pushed it to, whatever it was declared as; says whether it could."""

    def pin(self, declaration: Declaration, *, target: PythonTarget | None = None) -> Pin:
        """Fetch, verify and import what is declared; `target` is the Python that wheels must fit.

        What has no hash is pinned as it comes, and said aloud. Raises `NotFoundError`, `NetworkError`,
        `HashMismatchError` (`RepackedError` among them), `HashRequiredError` or `InvalidError`; nothing is kept then.
        """
        request = Request(declaration, target)
        return self._keep(request, self._obtainer().obtain(request))

    def pin_all(self, requests: Mapping[Key, Request]) -> dict[Key, Pin | HashdistError]:
        """Likewise for many, several downloads at a time; what failed is given in place of a pin."""
        done: dict[Key, Pin | HashdistError] = {}
        for key, obtained in self._obtainer().obtain_all(requests).items():
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
            nowhere_else = pin.url is None
            if (pin.sha256 is None and self._bring_from_mirror(pin)) or (nowhere_else and self.elsewhere(tree)):
                del missing[tree]
        requests = {tree: request_again(pin) for tree, pin in missing.items()}
        fetched = self._obtainer().obtain_all(requests, missing)
        for tree, obtained in fetched.items():
            pin = missing[tree]
            if isinstance(obtained, HashdistError):
                if not self._bring_from_mirror(pin) and not self.elsewhere(tree):
                    raise obtained
                continue
            known = set(self.store.sources.all()) if isinstance(obtained, str) else set()
            again = self._keep(requests[tree], obtained)
            if again.tree != tree:
                if isinstance(obtained, str) and again.tree not in known:
                    self.store.sources.drop(again.tree)  # somebody's files that nobody asked for
                raise HashMismatchError(
                    f"source {tree} cannot be had again: what is there now is {again.tree}", hint="hdist update"
                )
        return [pin.tree for pin in pins]

    def network(self) -> Network:
        """How others are reached."""
        settings = read_pip_settings(self.env)
        return Network(self.settings, settings.certificates, settings.credentials, self.progress)

    @property
    def _archives(self) -> Archives:
        return Archives(self.store, self.settings, self.progress)

    def _obtainer(self) -> Obtainer:
        network = self.network()
        origins = Origins(self.store, self.env, network)
        return Obtainer(self._archives, origins, network, read_pip_settings(self.env), self.directory)

    def _keep(self, request: Request, obtained: Obtained) -> Pin:
        """Import what was fetched, and give it its ref."""
        declaration = request.declaration
        if isinstance(declaration, PathSource):
            assert isinstance(obtained, str), "that is what was obtained of it"
            return add_path(
                self.store, declaration, obtained, env=self.env, settings=self.settings, progress=self.progress
            )
        document = wanted(declaration, request.target)
        with self.store.lock(shared=True, purpose="import"):
            assert not isinstance(obtained, str), "only paths are"
            if isinstance(obtained, Revision):
                return self._keep_revision(obtained, declaration, document)
            tree, stripped = self._archives.add(obtained)
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
            kept = keep(self.store, tree, declaration.subdir, came_from if file.fetched else None)
            return Pin(
                document,
                kept,
                obtained.origin,
                file.sha256,
                file.size,
                stripped,
                etag=file.etag,
                date=time_text(self.store.now()),
            )

    def _keep_revision(self, revision: Revision, declaration: Declaration, document: dict[str, Any]) -> Pin:
        assert isinstance(declaration, GitSource), "only those have revisions"
        came_from = Provenance(
            "git", revision.url, rev=declaration.rev, commit=revision.commit, subdir=declaration.subdir
        )
        origins = Origins(self.store, self.env, self.network())
        imported = origins.import_tree(revision, submodules=declaration.submodules)
        if imported.lfs:
            self.progress.note(f"{revision.url} has {imported.lfs} files in git-lfs: their pointers are the source")
        if declaration.rev != revision.commit:
            self.progress.note(f"pinned {revision.url} {declaration.rev} at commit {revision.commit}")
        kept = keep(self.store, imported.tree, declaration.subdir, came_from)
        return Pin(document, kept, revision.url, commit=revision.commit, date=time_text(self.store.now()))

    def _bring_from_mirror(self, pin: Pin) -> bool:
        """Look for the files of a source on the mirrors, by the id of their tree."""
        for mirror in self.settings.mirrors:
            url = tree_url(mirror, pin.tree)
            try:
                found = download(self.store, [url], sha256=None, network=self.network())
            except (NetworkError, InvalidError):
                continue
            with self.store.lock(shared=True, purpose="import"):
                if self._archives.add_exactly(found, pin.tree):
                    came_from = Provenance("mirror", without_credentials(url))
                    self.store.sources.keep(pin.tree, reason="source", came_from=came_from)
                    return True
        return False
