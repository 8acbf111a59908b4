"""The handle of an open store."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hashdist.errors import ConflictError, HashdistError, NotFoundError
from hashdist.fsutil.locks import locked
from hashdist.refs.database import RefDatabase

if TYPE_CHECKING:
    from hashdist.objects.database import Identity, ObjectDatabase

    from .artifacts import ArtifactStore
    from .config import StoreConfig
    from .sources import SourceStore

FORMAT = "1"


class NotAStoreError(NotFoundError):
    """A directory that is no store."""

    code = "not_a_store"


class UnsupportedFormatError(HashdistError):
    """A store of a format that this hashdist does not know."""

    code = "store_format"


class StoreMovedError(ConflictError):
    """A store that was copied or moved."""

    code = "store_moved"


class Store:
    """An open store: git objects, refs, and the artifacts and prefixes beside them.

    What takes long to load (objects, artifacts) is loaded when it is first asked for.
    """

    def __init__(
        self,
        path: str,
        *,
        identity: str,
        clock: Callable[[], float],
        waiting: Callable[[str], None] | None,
        durable: bool | None,
        search_path: str,
        cache: str | None = None,
    ) -> None:
        self.search_path = search_path
        self.cache = cache
        self.path = path
        self.identity = identity
        self.clock = clock
        self.waiting = waiting
        self._durable = durable

    @classmethod
    def open(
        cls,
        path: str,
        *,
        identity: str = "unknown <>",
        clock: Callable[[], float] = time.time,
        waiting: Callable[[str], None] | None = None,
        durable: bool | None = None,
        search_path: str = os.defpath,
        cache: str | None = None,
    ) -> Store:
        """Open the store at `path`.

        `identity` (``Name <address>``) and `clock` go into commits and reflogs; `waiting` is told who holds
        a lock that is waited for; `durable` overrides the store's own setting; `search_path` is where the git
        program is looked for; `cache` is a directory for what can be computed again, where the store itself is
        closed to us. Raises `NotAStoreError` or `UnsupportedFormatError`.
        """
        path = os.path.abspath(os.path.expanduser(path))
        try:
            with open(os.path.join(path, "format"), encoding="ascii", errors="replace") as file:
                found = file.read(64).strip()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotAStoreError(f"no store at '{path}'", hint=f"hdist --store {path} init") from error
        if found != FORMAT:
            raise UnsupportedFormatError(
                f"the store at '{path}' has format '{found}', this hdist reads format {FORMAT}",
                hint="use the hdist that made it, or a newer one",
            )
        return cls(
            path,
            identity=identity,
            clock=clock,
            waiting=waiting,
            durable=durable,
            search_path=search_path,
            cache=cache,
        )

    @functools.cached_property
    def config(self) -> StoreConfig:
        """What was fixed when the store was made; raises `ConflictError` when it was moved since."""
        from .config import StoreConfig  # noqa: PLC0415 - reading TOML would slow every switch of checkouts

        config = StoreConfig.parse(_read_text(self.inside("config.toml")))
        self._check_place(config.path)
        return config

    def _check_place(self, canonical: str) -> None:
        """Refuse a store that is not where it was made: what it built has the old path baked in."""
        try:
            same = os.path.samefile(canonical, self.path)
        except FileNotFoundError:
            same = False
        if not same:
            raise StoreMovedError(
                f"this store was made at '{canonical}' and is now at '{self.path}'",
                hint=f"move it back, or make a link: ln -s {self.path} {canonical}",
            )

    @functools.cached_property
    def objects(self) -> ObjectDatabase:
        """The object database."""
        from hashdist.objects.database import ObjectDatabase  # noqa: PLC0415 - libgit2 is loaded on first use

        return ObjectDatabase(self.git, search_path=self.search_path)

    @functools.cached_property
    def refs(self) -> RefDatabase:
        """The refs."""
        return RefDatabase(
            self.git,
            lock=self.lock_path("refs"),
            identity=self.identity,
            clock=self.clock,
            durable=self.durable,
            before_move=self.sync_objects,
            waiting=self.waiting,
        )

    @functools.cached_property
    def artifacts(self) -> ArtifactStore:
        """The artifacts."""
        from .artifacts import ArtifactStore  # noqa: PLC0415 - see above

        root = os.path.join(self.config.path, "artifacts")
        return ArtifactStore(root, self.config.layout, self.refs, self.objects)

    @functools.cached_property
    def sources(self) -> SourceStore:
        """The sources."""
        from .sources import SourceStore  # noqa: PLC0415 - see above

        return SourceStore(self)

    @functools.cached_property
    def durable(self) -> bool:
        """Whether what exit 0 claimed must survive power loss."""
        if self._durable is not None:
            return self._durable
        # not the whole of TOML: this is read before every move of a ref
        lines = _read_text(self.inside("config.toml")).splitlines()
        if f'path = "{self.path}"' not in lines:
            self._check_place(self.config.path)
        return 'durability = "fast"' not in lines

    @property
    def author(self) -> Identity:
        """Who makes commits."""
        from hashdist.objects.database import Identity  # noqa: PLC0415 - see above

        name, _, address = self.identity.partition(" <")
        return Identity(name, address.rstrip(">"))

    @property
    def git(self) -> str:
        """The bare repository's path."""
        return os.path.join(self.path, "git")

    def inside(self, *parts: str) -> str:
        """A path inside the store."""
        return os.path.join(self.path, *parts)

    def now(self) -> int:
        """The time, in whole seconds since 1970."""
        return int(self.clock())

    def lock_path(self, name: str) -> str:
        """The path of a lock file."""
        return os.path.join(self.path, "locks", name)

    @contextlib.contextmanager
    def lock(self, *, shared: bool, purpose: str, timeout: float | None = 60.0) -> Iterator[None]:
        """Hold the store lock: shared from reuse check to ref move, exclusive for gc's sweep, never for a build."""
        path = self.lock_path("store")
        with locked(path, shared=shared, purpose=purpose, waiting=self.waiting, timeout=timeout):
            yield

    def sync_objects(self) -> None:
        """Make written objects durable before a ref names them."""
        if self.durable and "objects" in self.__dict__ and self.objects.unsynced:
            from hashdist.fsutil.staging import sync_tree  # noqa: PLC0415 - only writers of objects need it

            self.objects.unsynced = False  # first: what is written meanwhile counts again
            sync_tree(os.path.join(self.git, "objects"))


def _read_text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
