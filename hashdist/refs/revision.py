"""Revisions, written as in git: ``main``, ``main~2``, ``main^``, ``main@{1}``, a tag, HEAD, the beginning of an id."""

from __future__ import annotations

import re
from collections.abc import Callable

from hashdist.errors import NotFoundError
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import HEX_DIGITS, CommitId, is_hex

from . import names
from .database import RefDatabase

_STEP = re.compile(r"~(\d{0,9})|\^(\d{0,9})|@\{(\d{1,9})\}")
_SHORTEST = 4


class RevisionNotFoundError(NotFoundError):
    """A revision that names nothing here."""


class HistoryTooShortError(RevisionNotFoundError):
    """A revision whose name is known here, and that goes back further than its history."""


def resolve(refs: RefDatabase, objects: Callable[[], ObjectDatabase], text: str, *, head: str = "HEAD") -> CommitId:
    """The commit that `text` means; `head` is the ref that HEAD stands for.

    `objects` is called only when a name alone does not settle it. Raises `RevisionNotFoundError`.
    """
    first = _STEP.search(text)
    base, steps = (text[: first.start()], text[first.start() :]) if first else (text, "")
    base = base or "HEAD"
    ref = head if base in {"HEAD", "@"} else refs.find(base)
    commit = _start(refs, objects, ref, base)
    position = 0
    while position < len(steps):
        step = _STEP.match(steps, position)
        if step is None:
            raise RevisionNotFoundError(f"cannot read '{steps[position:]}' in revision '{text}'")
        position = step.end()
        if step[3] is not None:
            commit = _before(refs, ref, int(step[3]), text)
        elif step[1] is not None:
            for _ in range(int(step[1] or 1)):
                commit = _parent(objects(), commit, 1, text)
        elif step[2] != "0":
            commit = _parent(objects(), commit, int(step[2] or 1), text)
    return commit


def _start(refs: RefDatabase, objects: Callable[[], ObjectDatabase], ref: str | None, base: str) -> CommitId:
    if ref is not None:
        commit = refs.get(ref)
        if commit is None:
            branch = refs.symbolic(ref) or (ref if ref.startswith(names.HEADS) else None)
            words = f"profile '{names.short_name(branch)}' has no commits yet" if branch else f"no '{ref}'"
            raise RevisionNotFoundError(words, hint="hdist commit stack.toml -m MESSAGE")
        return objects().peeled(commit) if ref.startswith(names.TAGS) else commit
    if is_hex(base) and len(base) >= _SHORTEST:
        id = CommitId(base) if len(base) == HEX_DIGITS else CommitId(objects().expand(base))
        if id in objects() and objects().kind(id) == "commit":
            return id
    raise RevisionNotFoundError(f"no profile, tag or commit named '{base}'", hint="see: hdist branch; hdist tag")


def _before(refs: RefDatabase, ref: str | None, count: int, text: str) -> CommitId:
    log = refs.reflog((refs.symbolic(ref) if ref != "HEAD" else None) or ref) if ref else ()
    if count < len(log):
        return log[count].new
    if log and count == len(log) and log[-1].old:
        return log[-1].old
    raise HistoryTooShortError(f"the reflog does not go back as far as '{text}'")


def _parent(objects: ObjectDatabase, commit: CommitId, number: int, text: str) -> CommitId:
    parents = objects.commit(commit).parents
    if number > len(parents):
        raise HistoryTooShortError(f"history does not go back as far as '{text}'")
    return parents[number - 1]
