"""Find the prefix that a person means: by profile or other revision, by path, or the one that is checked out."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hashdist.build.nothing import gone_upstream
from hashdist.checkout.prefix import DOCUMENT
from hashdist.checkout.switch import Checkout, known_prefix
from hashdist.environment.loading import check_path
from hashdist.errors import NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.store.store import Store

from .checkout import missing, ready, whole_prefix
from .profile import find
from .session import Session


class NotBuiltYetError(NotFoundError):
    """A prefix of something that would have to be built first, and nobody said so."""

    code = "not_built"


@dataclass(frozen=True, slots=True)
class Named:
    """A prefix, as somebody called it."""

    name: str
    """A profile's name, a revision, or the first digits of the prefix's own."""
    path: str
    """Where it lies: the immutable directory, never a link."""
    commit: CommitId | None
    """What it was made from; None if that is not known."""


def find_prefix(session: Session, text: str | None) -> Named:
    """The prefix that `text` means; None or '' is what the default checkout shows.

    What is built but was never checked out gets its prefix now. Raises `NotBuiltYetError` for what is not built,
    `NotFoundError` for what is not there, `InvalidError` for a prefix that no search path can hold.
    """
    found = _find(session, text or None)
    check_path(found.path)
    return found


def _find(session: Session, text: str | None) -> Named:
    store = session.store
    if text is None:
        checkout = Checkout(store)
        if checkout.commit is None or checkout.prefix is None:
            raise NotFoundError("nothing is checked out", hint="hdist checkout PROFILE")
        if not os.path.isdir(checkout.prefix):
            raise _nowhere(store, checkout, checkout.commit)
        return Named(checkout.branch or "HEAD", os.path.realpath(checkout.prefix), checkout.commit)
    if text.startswith(("/", "./", "../")) or text in {".", ".."}:
        path = os.path.realpath(text)
        if not os.path.isfile(os.path.join(path, DOCUMENT)):
            raise NotFoundError(f"'{text}' is neither a prefix nor a link to one", hint="hdist checkout --to PATH")
        return Named(os.path.basename(path)[:12], path, commit_shown(session, text, path))
    commit = find(store, text)
    path = whole_prefix(session, commit) or ""
    if not path:
        count, total = missing(session, commit)
        if count:
            raise NotBuiltYetError(
                f"{count} of {total} of '{text}' are not built{words_of_gone(store, commit)}",
                hint=f"hdist build {text}",
            )
        path = ready(session, commit)
    return Named(_short(store.refs.find(text), text, commit), path, commit)


class GoneUpstreamError(NotFoundError):
    """A prefix that was used from an upstream store, which has it no more."""

    code = "gone_upstream"


def _nowhere(store: Store, checkout: Checkout, commit: CommitId) -> NotFoundError:
    prefix = checkout.prefix or ""
    above = next((one for one in store.chain[1:] if prefix.startswith(one.inside("prefixes") + "/")), None)
    if above is None:
        return NotFoundError(f"'{checkout.path}' leads nowhere", hint="hdist checkout")
    name = checkout.branch or commit[:12]
    return GoneUpstreamError(
        f"'{checkout.path}' shows a prefix of the upstream store '{above.path}' that is gone from there",
        hint=f"hdist checkout --build {name} makes it here",
    )


def words_of_gone(store: Store, commit: CommitId) -> str:
    """What to add where something is not built because it has gone upstream; nothing where that is not so."""
    gone = gone_upstream(store, commit)
    if not gone:
        return ""
    places = sorted({one.path for one in store.chain[1:] for path in gone if path.startswith(one.path + "/")})
    shown = ", ".join(gone[:3]) + (" …" if len(gone) > 3 else "")  # noqa: PLR2004 - enough to know them by
    return f"; gone from the upstream store {', '.join(places)}: {shown}"


def commit_shown(session: Session, link: str, prefix: str) -> CommitId | None:
    """The commit of the checkout at `link`, or the tip of a profile or tag, that has this prefix."""
    refs = session.store.refs
    commits = [Checkout(session.store, link).commit, *refs.all(names.HEADS).values(), *refs.all(names.TAGS).values()]
    return next((one for one in commits if one is not None and known_prefix(session.store, one) == prefix), None)


def _short(ref: str | None, text: str, commit: CommitId) -> str:
    """A name without what lists and shells would trip over."""
    if ref and ref.startswith((names.HEADS, names.TAGS)):
        return names.short_name(ref)
    return text if not set(text) & set(" :^*?[\\") else commit[:12]
