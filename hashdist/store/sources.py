"""The sources of a store: trees of upstream files, each held by a ref of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashdist.errors import NotFoundError
from hashdist.objects.database import NOBODY
from hashdist.objects.ids import SourceId, TreeId
from hashdist.refs import names

if TYPE_CHECKING:
    from hashdist.objects.database import ObjectDatabase
    from hashdist.refs.database import RefDatabase


class SourceAbsentError(NotFoundError):
    """A source that is not in this store; after a clone that is by design."""


class SourceStore:
    """Keeps and finds sources by id: trees among `objects`, each with one of `refs`."""

    def __init__(self, refs: RefDatabase, objects: ObjectDatabase) -> None:
        self._refs = refs
        self._objects = objects

    def __contains__(self, id: SourceId) -> bool:
        """Whether the source is here."""
        return self._refs.get(names.SOURCES + id) is not None

    def keep(self, tree: TreeId, *, reason: str) -> SourceId:
        """Give the tree a ref, to a commit that is the same in every store."""
        id = SourceId(tree)
        commit = self._objects.add_commit(tree, identity=NOBODY, time=0, message=f"source {id}\n")
        with self._refs.transaction(reason) as transaction:
            # also when it is there: the reflog tells gc when it was last wanted
            transaction.set(names.SOURCES + id, commit)
        return id

    def check(self, id: SourceId) -> SourceId:
        """Return `id` if it is here; raises `SourceAbsentError`."""
        if id not in self:
            raise SourceAbsentError(f"source {id} is not in this store", hint="hdist source add URL")
        return id

    def all(self) -> list[SourceId]:
        """All sources that are here."""
        return [SourceId(name[len(names.SOURCES) :]) for name in self._refs.all(names.SOURCES)]
