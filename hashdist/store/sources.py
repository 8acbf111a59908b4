"""The sources of a store: trees of upstream files, each held by a ref of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashdist.errors import NotFoundError
from hashdist.objects.commits import NOBODY
from hashdist.objects.ids import HEX_DIGITS, SourceId, TreeId, is_hex
from hashdist.refs import names

from . import provenance
from .provenance import Provenance, Seen

if TYPE_CHECKING:
    from .store import Store

SWHID = "swh:1:dir:"


class SourceAbsentError(NotFoundError):
    """A source that is not in this store; after a clone that is by design."""

    code = "source_absent"


class SourceStore:
    """Keeps and finds the sources of `store` by id: trees among its objects, each with a ref."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __contains__(self, id: SourceId) -> bool:
        """Whether the source is here, or upstream."""
        upstream = self._store.upstream
        return self.has_own(id) or (upstream is not None and id in upstream.sources)

    def has_own(self, id: SourceId) -> bool:
        """Whether the source is here."""
        return self._store.refs.get(names.SOURCES + id) is not None

    def keep(self, tree: TreeId, *, reason: str, came_from: Provenance | None = None) -> SourceId:
        """Give the tree a ref, to a commit that is the same in every store, and remember where it came from."""
        store, id = self._store, SourceId(tree)
        commit = store.objects.add_commit(tree, identity=NOBODY, time=0, message=f"source {id}\n")
        told = None
        if came_from is not None:
            told = provenance.record(store.refs, store.objects, id, came_from, author=store.author, time=store.now())
        with store.refs.transaction(reason) as transaction:
            # also when it is there: the reflog tells gc when it was last wanted
            transaction.set(names.SOURCES + id, commit)
            if told is not None:
                transaction.set(names.PROVENANCE + id, told)
        return id

    def drop(self, id: SourceId) -> None:
        """Forget a source that was kept by mistake; gc takes its objects."""
        refs = self._store.refs
        with refs.transaction("source: not wanted") as transaction:
            for name in (names.SOURCES + id, names.PROVENANCE + id):
                commit = refs.get(name)
                if commit is not None:
                    transaction.delete(name, old=commit)

    def check(self, id: SourceId) -> SourceId:
        """Return `id` if it is here; raises `SourceAbsentError`."""
        if id not in self:
            raise SourceAbsentError(f"source {id} is not in this store", hint="hdist source add URL")
        return id

    def find(self, text: str) -> SourceId:
        """The source that is meant by an id, its SWHID, or the beginning of one that no other has.

        Raises `SourceAbsentError`, or `NotFoundError` if several begin so.
        """
        text = text.removeprefix(SWHID)
        if len(text) == HEX_DIGITS or not is_hex(text):
            return self.check(SourceId(text))
        found = [id for id in self.all() if id.startswith(text)]
        if len(found) > 1:
            raise NotFoundError(f"{len(found)} sources begin with '{text}'", hint="give more digits")
        if not found and self._store.upstream is not None:
            return self._store.upstream.sources.find(text)
        if not found:
            raise SourceAbsentError(f"no source begins with '{text}'", hint="see: hdist source list")
        return found[0]

    def all(self) -> list[SourceId]:
        """All sources that are here, and not those upstream."""
        return [SourceId(name[len(names.SOURCES) :]) for name in self._store.refs.all(names.SOURCES)]

    def seen(self, id: SourceId) -> list[Seen]:
        """Where the source came from, the latest first."""
        found = provenance.history(self._store.refs, self._store.objects, id)
        return self._store.upstream.sources.seen(id) if not found and self._store.upstream is not None else found
