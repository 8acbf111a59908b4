"""The handle of an open store."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hashdist.errors import ConflictError, DamagedError, HashdistError, NotFoundError
from hashdist.fsutil.clock import file_system_time
from hashdist.fsutil.holders import MOMENTS
from hashdist.fsutil.locks import locked
from hashdist.refs.database import RefDatabase

if TYPE_CHECKING:
    from hashdist.objects.commits import Identity
    from hashdist.objects.database import ObjectDatabase
    from hashdist.objects.ids import CommitId

    from .artifacts import ArtifactStore
    from .config import StoreConfig
    from .sources import SourceStore

FORMAT = "2"
#: Formats that can be upgraded; see `hashdist.store.upgrading`.
OLDER = frozenset({"1"})
#: Seconds after which objects that somebody wrote are surely named, and durable, or forgotten.
_RECENT = 3600


class NotAStoreError(NotFoundError):
    """A directory that is no store."""

    code = "not_a_store"


class UnsupportedFormatError(HashdistError):
    """A store of a format that this hashdist does not know."""

    code = "store_format"


class StoreMovedError(ConflictError):
    """A store that was copied or moved."""

    code = "store_moved"


class UpstreamError(NotFoundError):
    """An upstream store that is not there."""

    code = "upstream"


class Store:
    """An open store: git objects, refs, and the artifacts and prefixes beside them.

    What takes long to load (objects, artifacts) is loaded when it is first asked for.
    """

    def __init__(
        self,
        path: str,
        *,
        identity: str,
        clock: Callable[[], float] | None,
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
        clock: Callable[[], float] | None = None,
        waiting: Callable[[str], None] | None = None,
        durable: bool | None = None,
        search_path: str = os.defpath,
        cache: str | None = None,
        formats: frozenset[str] = frozenset({FORMAT}),
    ) -> Store:
        """Open the store at `path`.

        `identity` (``Name <address>``) goes into commits and reflogs, and so does the time by `clock` (None: that of
        the file system the store lies on, which all machines share); `waiting` is told who holds
        a lock that is waited for; `durable` overrides the store's own setting; `search_path` is where the git
        program is looked for; `cache` is a directory for what can be computed again, where the store itself is
        closed to us; `formats` are those that the caller can deal with.

        Raises `NotAStoreError` or `UnsupportedFormatError`.
        """
        path = os.path.abspath(os.path.expanduser(path))
        store = cls(
            path,
            identity=identity,
            clock=clock,
            waiting=waiting,
            durable=durable,
            search_path=search_path,
            cache=cache,
        )
        found = store.read_format()
        if found not in formats:
            older = found in OLDER
            raise UnsupportedFormatError(
                f"the store at '{path}' has format '{found}', this hdist reads format {FORMAT}",
                hint=f"hdist --store {path} upgrade-store" if older else "use a newer hdist",
            )
        return store

    def read_format(self) -> str:
        """The number of the store's format; raises `NotAStoreError`."""
        try:
            with open(self.inside("format"), encoding="ascii", errors="replace") as file:
                return file.read(64).strip()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotAStoreError(f"no store at '{self.path}'", hint=f"hdist --store {self.path} init") from error

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
        if not same and os.path.lexists(canonical):
            raise StoreMovedError(
                f"this is a copy of the store at '{canonical}': what was built has that path in it",
                hint=f"hdist --store {canonical}; or make a new one: hdist --store OTHER init --upstream {canonical}",
            )
        if not same:
            raise StoreMovedError(
                f"this store was made at '{canonical}' and is now at '{self.path}'",
                hint=f"move it back, or make a link: ln -s {self.path} {canonical}",
            )

    @functools.cached_property
    def upstream(self) -> Store | None:
        """The store whose artifacts, sources and prefixes are used as if they were here; None if there is none.

        Raises `UpstreamError` when it is not there.
        """
        if not self.has_upstream:
            return None
        return self._open_upstream(frozenset())

    def _open_upstream(self, below: frozenset[str]) -> Store | None:
        path = self.config.upstream
        if path is None:
            return None
        below = below | {os.path.realpath(self.path)}
        if os.path.realpath(path) in below:
            raise UpstreamError(f"the upstream store '{path}' has this one above it", hint=self._mend_config())
        try:
            store = Store.open(path, identity=self.identity, clock=self.clock, search_path=self.search_path)
            store.config  # noqa: B018 - refuses one that was moved
            store.__dict__["upstream"] = store._open_upstream(below)  # noqa: SLF001 - of the same class
        except NotAStoreError as error:
            raise UpstreamError(f"the upstream store '{path}' is not there", hint=self._mend_config()) from error
        return store

    def _mend_config(self) -> str:
        return f"mount it, or set 'upstream' in {self.inside('config.toml')}"

    @functools.cached_property
    def has_upstream(self) -> bool:
        """Whether there is one, told without opening it."""
        return any(line.startswith("upstream") for line in self._config_lines)

    @property
    def chain(self) -> list[Store]:
        """The store itself, and all upstream of it, the nearest first."""
        found = [self]
        while found[-1].upstream is not None:
            found.append(found[-1].upstream)
        return found

    @functools.cached_property
    def objects(self) -> ObjectDatabase:
        """The object database."""
        from hashdist.objects.database import ObjectDatabase  # noqa: PLC0415 - libgit2 is loaded on first use

        above = self.upstream.objects if self.upstream is not None else None
        return ObjectDatabase(self.git, search_path=self.search_path, upstream=above)

    def reopened(self) -> Store:
        """The same store as it is just now, whatever was read of it before."""
        return Store(
            self.path,
            identity=self.identity,
            clock=self.clock,
            waiting=self.waiting,
            durable=self._durable,
            search_path=self.search_path,
            cache=self.cache,
        )

    def fresh_objects(self) -> ObjectDatabase:
        """The object database as it is just now, whatever was read before."""
        from hashdist.objects.database import ObjectDatabase  # noqa: PLC0415 - see above

        above = self.upstream.objects if self.upstream is not None else None
        return ObjectDatabase(self.git, search_path=self.search_path, upstream=above)

    @functools.cached_property
    def refs(self) -> RefDatabase:
        """The refs."""
        return RefDatabase(
            self.git,
            lock=self.lock_path("refs"),
            operations=self.inside("operations"),
            identity=self.identity,
            clock=self.now,
            stamping=self.clock is not None,
            durable=self.durable,
            before_move=self.sync_objects,
            bring=self._bring,
            waiting=self.waiting,
        )

    @functools.cached_property
    def artifacts(self) -> ArtifactStore:
        """The artifacts."""
        from .artifacts import ArtifactStore  # noqa: PLC0415 - see above

        root = os.path.join(self.config.path, "artifacts")
        above = self.upstream.artifacts if self.upstream is not None else None
        return ArtifactStore(root, self.config.layout, self.refs, self.objects, above)

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
        if f'path = "{self.path}"' not in self._config_lines:
            self._check_place(self.config.path)
        return 'durability = "fast"' not in self._config_lines

    @functools.cached_property
    def _config_lines(self) -> list[str]:
        """The settings as lines: not the whole of TOML, since this is read before every move of a ref."""
        return _read_text(self.inside("config.toml")).splitlines()

    @property
    def author(self) -> Identity:
        """Who makes commits."""
        from hashdist.objects.commits import Identity  # noqa: PLC0415 - see above

        name, _, address = self.identity.partition(" <")
        return Identity(name, address.rstrip(">"))

    @property
    def git(self) -> str:
        """The bare repository's path."""
        return os.path.join(self.path, "git")

    def git_env(self) -> dict[str, str]:
        """The environment for the git program, to read what is here and upstream."""
        from hashdist.objects.git_program import git_env  # noqa: PLC0415 - see above

        return git_env(self.git, self.search_path, besides=[store.git for store in self.chain[1:]])

    def inside(self, *parts: str) -> str:
        """A path inside the store."""
        return os.path.join(self.path, *parts)

    def now(self) -> int:
        """The time, in whole seconds since 1970."""
        return int(self.clock() if self.clock is not None else file_system_time(self.lock_path("clock")))

    def lock_path(self, name: str) -> str:
        """The path of a lock file."""
        return os.path.join(self.path, "locks", name)

    @contextlib.contextmanager
    def lock(self, *, shared: bool, purpose: str, timeout: float | None = 60.0, lease: int = MOMENTS) -> Iterator[None]:
        """Hold the store lock: shared from reuse check to ref move, exclusive for gc's sweep, never for a build."""
        path = self.lock_path("store")
        with locked(path, shared=shared, purpose=purpose, waiting=self.waiting, timeout=timeout, lease=lease):
            yield

    def _bring(self, commit: CommitId) -> None:
        """Have what a ref will lead to here, and durable."""
        if self.has_upstream:
            self.objects.bring(commit)
            self.sync_objects()

    def sync_objects(self) -> None:
        """Make written objects durable before a ref names them."""
        if self.durable and "objects" in self.__dict__ and self.objects.unsynced:
            from hashdist.fsutil.staging import sync_tree  # noqa: PLC0415 - only writers of objects need it

            self.objects.unsynced = False  # first: what is written meanwhile counts again
            # also what others wrote just now and have not named yet: it may be reused
            since = file_system_time(self.lock_path("clock")) - _RECENT
            sync_tree(os.path.join(self.git, "objects"), since=since)


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise DamagedError(f"'{path}' is not UTF-8: {error.reason} at byte {error.start}") from error
