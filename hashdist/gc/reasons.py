"""Why something stays: the chain that leads to it from a root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashdist.objects.ids import CommitId, SourceId, SpecId
from hashdist.objects.spec import read_spec

from .marking import Alive, Origin
from .roots import Root

if TYPE_CHECKING:
    from hashdist.store.store import Store


def why(alive: Alive, wanted: CommitId | SpecId | SourceId | str) -> list[Origin | SourceId] | None:
    """What leads to something, beginning with the root; None when nothing does. A plain text is a prefix's name."""
    if isinstance(wanted, SourceId):
        origin = alive.sources.get(wanted)
    elif isinstance(wanted, SpecId):
        origin = alive.specs.get(wanted)
    elif isinstance(wanted, CommitId):
        origin = alive.commits.get(wanted)
    else:
        origin = alive.prefixes.get(wanted)
    return [*alive.chain(origin), wanted] if origin is not None else None


def words(store: Store, link: Origin | SourceId) -> str:
    """A link of the chain, for people."""
    if isinstance(link, Root):
        return str(link)
    if isinstance(link, SourceId):
        return f"source {link}"
    if isinstance(link, CommitId):
        return f"commit {link[:12]} {store.objects.commit(link).subject}"
    if isinstance(link, SpecId):
        return f"artifact {read_spec(store.objects, link).artifact}"
    return f"prefix {link}"
