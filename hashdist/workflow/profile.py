"""Read what a commit of a profile holds: the stack file, the files it refers to, the lock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hashdist.errors import ConflictError, InvalidError, NotFoundError
from hashdist.objects.commits import Commit
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId
from hashdist.objects.tree import Mode
from hashdist.refs import names
from hashdist.refs.revision import HistoryTooShortError, RevisionNotFoundError, resolve
from hashdist.stack.lock import Lock
from hashdist.stack.merging_locks import merge_locks
from hashdist.stack.packages import Stack
from hashdist.store.store import Store

#: What means something of this store, whatever there is upstream.
_OWN = re.compile(r"(HEAD|@)?([~^@].*)?\Z")
STACK = "stack.toml"
LOCK = "lock.json"
SPECS = "specs"
#: So many merges in a row that were made as text are taken apart.
_MERGES = 8


@dataclass(frozen=True, slots=True)
class Profile:
    """A commit of a profile, read."""

    commit: Commit
    """The commit."""
    text: str
    """The stack file."""
    lock: Lock
    """Every pin."""
    files: Mapping[str, bytes]
    """The files that the stack file refers to, by path."""


def read_profile(objects: ObjectDatabase, id: CommitId) -> Profile:
    """Read a commit of a profile; raises `NotFoundError` if it is none."""
    commit = objects.commit(id)
    found = _files(objects, commit)
    if STACK not in found or LOCK not in found:
        raise NotFoundError(f"commit {id[:12]} is not a commit of a profile")
    text = found.pop(STACK).decode(errors="replace")
    return Profile(commit, text, Lock.decode(found.pop(LOCK)), found)


def lock_of(store: Store, profile: str | None) -> Lock:
    """The lock at the tip of a profile (None: the one HEAD names); an empty one where it has no commits."""
    tip = store.refs.get(branch_of(store, profile))
    return read_profile(store.objects, tip).lock if tip is not None else Lock.empty()


def read_written(objects: ObjectDatabase, id: CommitId) -> tuple[str, dict[str, bytes]]:
    """The stack file of a commit, and all other files but the lock; raises `NotFoundError` if there is none."""
    found = _files(objects, objects.commit(id))
    if STACK not in found:
        raise NotFoundError(f"commit {id[:12]} is not a commit of a profile")
    found.pop(LOCK, None)
    return found.pop(STACK).decode(errors="replace"), found


def known_pins(objects: ObjectDatabase, id: CommitId, stack: Stack) -> Lock | None:
    """The pins of a commit that may be merged as text: its own, those of its parents where they cannot be read.

    Of a commit that merges two, those of both; and of merges of such merges, as far as it makes sense to go back.
    """
    return _known_pins(objects, id, stack, {}, _MERGES)


def _known_pins(
    objects: ObjectDatabase, id: CommitId, stack: Stack, found: dict[CommitId, Lock | None], merges: int
) -> Lock | None:
    start = id
    while start not in found:
        parents = objects.commit(id).parents
        if len(parents) == 2 and merges and is_stale(objects, id):  # noqa: PLR2004 - a merge
            base = objects.merge_base(*parents)
            before, ours, theirs = (
                _known_pins(objects, one, stack, found, merges - 1) if one is not None else None
                for one in (base, *parents)
            )
            found[start] = merge_locks(before, ours or Lock.empty(), theirs or Lock.empty(), stack, {}).lock
            break
        try:
            found[start] = read_profile(objects, id).lock
        except InvalidError:
            if not parents:
                found[start] = None
            else:
                id = parents[0]
    return found[start]


def _files(objects: ObjectDatabase, commit: Commit) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    pending = [("", commit.tree)]
    while pending:
        folder, tree = pending.pop()
        for entry in objects.tree(tree):
            path = folder + entry.name.decode(errors="replace")
            if entry.mode is not Mode.DIRECTORY:
                found[path] = objects.blob(entry.id)
            elif path != SPECS:
                pending.append((f"{path}/", type(tree)(entry.id)))
    return found


class StaleSpecsError(ConflictError):
    """A commit whose specs are not those of its stack file: somebody merged it as text."""

    code = "stale_specs"


def is_stale(objects: ObjectDatabase, id: CommitId) -> bool:
    """Whether the lock of a commit belongs to another stack file than stands beside it, or cannot be read."""
    tree = objects.commit(id).tree
    entries = {entry.name: entry for entry in objects.tree(tree)}
    stack, lock = entries.get(STACK.encode()), entries.get(LOCK.encode())
    if stack is None or lock is None:
        return False
    return f'"stack": "{stack.id}"'.encode() not in objects.blob(lock.id)


def check_fresh(objects: ObjectDatabase, id: CommitId) -> None:
    """Raise `StaleSpecsError` for a commit that has to be resolved anew."""
    if is_stale(objects, id):
        raise StaleSpecsError(
            f"specs are older than stack.toml in {id[:12]}: it was merged as text", hint="hdist update --resolve"
        )


def find(store: Store, revision: str | None, *, head: str = "HEAD") -> CommitId:
    """The commit that a revision means, here or else upstream; None means HEAD, which stands for the ref `head`."""
    try:
        return resolve(store.refs, lambda: store.objects, revision or "HEAD", head=head)
    except RevisionNotFoundError as own:
        if store.upstream is None or revision is None or _OWN.match(revision):
            raise
        # what somebody upstream calls so
        try:
            return find(store.upstream, revision)
        except HistoryTooShortError:
            raise
        except RevisionNotFoundError:
            raise own from None


def head_branch(store: Store) -> str:
    """The full name of the branch that HEAD names: where edits and commits go."""
    ref = store.refs.symbolic("HEAD")
    if ref is None:
        raise NotFoundError("HEAD is at a commit, not on a profile", hint="hdist checkout PROFILE, or -b NAME")
    return ref


def branch_of(store: Store, profile: str | None) -> str:
    """The full name of a profile's branch; None means the one that HEAD names."""
    return head_branch(store) if profile is None else names.HEADS + names.check_profile_name(profile)
