"""Things of a store as people name them: an artifact, a source, a prefix, or a commit."""

from __future__ import annotations

import contextlib
import os
import re

from hashdist.checkout.switch import find_by_name
from hashdist.errors import ConflictError, NotFoundError
from hashdist.objects.ids import CommitId, SourceId, SpecId, is_hex
from hashdist.objects.spec import InvalidSpecError, read_spec
from hashdist.store.artifacts import NotBuiltError
from hashdist.store.store import Store

from .profile import find

_PREFIX = re.compile("[0-9a-f]{32}")
_SHORTEST = 4
Thing = CommitId | SpecId | SourceId | str


def find_thing(store: Store, text: str) -> Thing:
    """What `text` means: a path in the store, an artifact, a source, a revision; a prefix is its name as plain text.

    Raises `NotFoundError`, or `ConflictError` when it means several artifacts.
    """
    if os.path.sep in text and os.path.lexists(text):
        for one in store.chain:
            found = _at_path(one, os.path.realpath(text))
            if found is not None:
                return found
    artifacts = store.artifacts.find(text)
    if len(artifacts) > 1:
        shown = ", ".join(map(str, artifacts[:3]))
        raise ConflictError(f"'{text}' means {len(artifacts)} artifacts: {shown} …", hint="give more of the id")
    if artifacts:
        return artifacts[0].spec
    if _PREFIX.fullmatch(os.path.basename(text)) and find_by_name(store, os.path.basename(text)) is not None:
        return os.path.basename(text)
    try:
        return store.sources.find(text)
    except (NotFoundError, ValueError):
        pass
    try:
        return find(store, text)
    except NotFoundError as error:
        raise NotFoundError(
            f"no artifact, source, prefix, profile or commit '{text}'", hint="hdist artifact list; hdist source list"
        ) from error


def find_spec(store: Store, text: str) -> SpecId | None:
    """The spec that `text` means: an artifact's path or name, or digits of its id, built or not; None if it is none."""
    try:
        find(store, text)
    except NotFoundError:
        pass
    else:
        return None  # a revision is what people mean first
    if is_hex(text) and len(text) >= _SHORTEST:
        with contextlib.suppress(NotFoundError, InvalidSpecError):
            id = store.objects.expand(text)
            if store.objects.kind(id) == "tree":
                return read_spec(store.objects, id).id
    thing = find_thing(store, text)
    return thing if isinstance(thing, SpecId) else None


def artifact_at(store: Store, path: str) -> SpecId | None:
    """The artifact whose directory, here or upstream, has `path` in it; None if none that is there."""
    for one in store.chain:
        with contextlib.suppress(NotBuiltError):
            found = _at_path(one, os.path.realpath(path))
            if isinstance(found, SpecId) and read_spec(store.objects, found).artifact in store.artifacts:
                return found
    return None


def _at_path(store: Store, path: str) -> Thing | None:
    root = os.path.realpath(store.config.path)
    kind, _, rest = os.path.relpath(path, root).partition("/")
    parts = rest.split("/")
    if kind == "prefixes":
        return parts[0]
    if kind != "artifacts":
        return None
    layout = store.config.layout
    digits = layout.hash_in("/".join(parts[: layout.depth]))
    found = [spec for spec, _ in store.artifacts.all() if digits and spec.startswith(digits)]
    if not found:
        raise NotBuiltError(f"'{path}' is in no artifact of this store", hint="hdist gc removes what is left over")
    return found[0]
