"""Bundles: what a machine without a network needs to build profiles, in one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from hashdist.errors import ConflictError, NotFoundError
from hashdist.objects.ids import CommitId, SourceId
from hashdist.refs import names
from hashdist.remote.bundling import write_bundle
from hashdist.sources.pin import Pin
from hashdist.store.roots import in_use

from .profile import branch_of, read_profile
from .session import Session


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was written."""

    path: str
    """Where it is."""
    size: int
    """Its bytes."""
    refs: tuple[tuple[str, CommitId], ...]
    """What is in it, by name."""
    sources: int
    """How many of that are sources."""


def bundle(session: Session, path: str, profiles: Sequence[str] = (), *, tags: bool = False) -> Bundle:
    """Write profiles (none: the one HEAD names) with the sources of their tips; what is not here is fetched first.

    Raises `ConflictError` where there is such a file, and what fetching raises.
    """
    store = session.store
    if os.path.lexists(path):
        raise ConflictError(f"there is a '{path}' already", hint="choose another name")
    if not os.path.isdir(os.path.dirname(path)):
        raise NotFoundError(f"no directory '{os.path.dirname(path)}'", hint="make it first")
    refs = []
    for profile in profiles or (None,):
        ref = branch_of(store, profile)
        commit = store.refs.get(ref)
        if commit is None:
            raise NotFoundError(f"no profile named '{names.short_name(ref)}'", hint="see: hdist branch")
        refs.append((ref, commit))
    if tags:
        refs += store.refs.all(names.TAGS).items()
    with in_use(store, purpose="bundle"):
        pins: dict[SourceId, Pin] = {}
        for _, commit in refs:
            lock = read_profile(store.objects, store.objects.peeled(commit)).lock
            pins |= {pin.tree: pin for of in lock.sources.values() for pin in of.values()}
        session.fetcher.bring_all(list(pins.values()))
        refs += [(names.SOURCES + id, _commit(session, id)) for id in pins]
        size = write_bundle(store, path, refs)
    return Bundle(path, size, tuple(refs), len(pins))


def _commit(session: Session, id: SourceId) -> CommitId:
    """The commit that holds a source, here or upstream."""
    for store in session.store.chain:
        commit = store.refs.get(names.SOURCES + id)
        if commit is not None:
            return commit
    raise NotFoundError(f"source {id} is not here", hint="hdist source fetch")
