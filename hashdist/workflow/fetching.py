"""Bring every source that a revision names, for a machine that will have no network."""

from __future__ import annotations

from hashdist.objects.ids import SourceId
from hashdist.sources.pin import Pin
from hashdist.store.roots import in_use

from .origin import where_it_was
from .profile import find, read_profile
from .session import Session


def pins_of(session: Session, revision: str | None) -> list[Pin]:
    """The pins of all sources that a revision of a profile names; None means HEAD."""
    lock = read_profile(session.store.objects, find(session.store, revision)).lock
    return [pin for of in lock.sources.values() for pin in of.values()]


def sources_of(session: Session, revisions: tuple[str, ...]) -> list[SourceId]:
    """The sources that revisions name, each once; raises `SourceAbsentError` if one is not here."""
    wanted = dict.fromkeys(pin.tree for revision in revisions for pin in pins_of(session, revision))
    return [session.store.sources.check(id) for id in wanted]


def fetch_sources(session: Session, revision: str | None) -> tuple[list[Pin], int]:
    """Bring what is missing of a revision's sources; all its pins, and how many were missing."""
    with in_use(session.store, purpose="source fetch"):
        pins = pins_of(session, revision)
        missing = sum(pin.tree not in session.store.sources for pin in pins)
        where_it_was(session, find(session.store, revision)).fetcher.bring_all(pins)
    return pins, missing
