"""Pins: keep an artifact, a source or a commit, whatever becomes of profiles."""

from __future__ import annotations

import re

from hashdist.errors import ConflictError, InvalidError, NotFoundError
from hashdist.objects.ids import CommitId, SourceId, SpecId
from hashdist.objects.spec import read_spec
from hashdist.refs import names
from hashdist.store.store import Store

from .branching import remember
from .naming import Thing, find_thing

_UNFIT = re.compile(r"[^A-Za-z0-9._+-]+")


def pin(store: Store, text: str, name: str | None) -> tuple[str, CommitId]:
    """Keep what `text` means under a name; return that, and the commit that holds it.

    Raises `NotFoundError`, or `ConflictError` where the name is taken by something else.
    """
    thing = find_thing(store, text)
    commit = _commit_of(store, thing)
    name = names.check_short_name(name or _name_of(store, thing, text), what="pin")
    before = store.refs.get(names.PINS + name)
    if before is not None and before != commit:
        raise ConflictError(f"there is a pin '{name}' of something else", hint=f"--as NAME, or hdist pin -d {name}")
    store.refs.update(names.PINS + name, commit, old=before, reason=f"pin: {text}")
    return name, commit


def unpin(store: Store, name: str) -> CommitId:
    """Take a pin away; return what it held."""
    commit = store.refs.get(names.PINS + name)
    if commit is None:
        raise NotFoundError(f"no pin '{name}'", hint="hdist pin lists them")
    with store.refs.transaction(f"unpin {name}") as transaction:
        remember(store, transaction, names.PINS + name, commit)
    return commit


def pins(store: Store) -> dict[str, CommitId]:
    """All pins, by name."""
    return {name[len(names.PINS) :]: commit for name, commit in store.refs.all(names.PINS).items()}


def _commit_of(store: Store, thing: Thing) -> CommitId:
    if isinstance(thing, SpecId):
        _refuse_upstream(store, "artifact", here=store.artifacts.own_record(thing) is not None)
        return store.refs[names.ARTIFACTS + thing]
    if isinstance(thing, SourceId):
        _refuse_upstream(store, "source", here=store.sources.has_own(thing))
        return store.refs[names.SOURCES + thing]
    if isinstance(thing, CommitId):
        return thing
    raise InvalidError(
        f"'{thing}' is a prefix, which lives while a commit or a checkout has it",
        hint="pin the profile's commit: hdist pin PROFILE",
    )


def _refuse_upstream(store: Store, what: str, *, here: bool) -> None:
    if not here:
        above = store.upstream.path if store.upstream is not None else "there"
        raise ConflictError(
            f"that {what} is in the upstream store, whose gc knows nothing of pins here",
            hint=f"hdist --store {above} pin, or check out a profile that has it",
        )


def _name_of(store: Store, thing: Thing, text: str) -> str:
    if isinstance(thing, SpecId):
        artifact = read_spec(store.objects, thing).artifact
        return f"{artifact.name}-{_UNFIT.sub('-', artifact.version)}-{thing[:12]}"
    if isinstance(thing, SourceId):
        return f"source-{thing[:12]}"
    return _UNFIT.sub("-", text).strip("-.") or str(thing)[:12]
