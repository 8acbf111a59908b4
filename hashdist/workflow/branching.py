"""Make and delete profiles and tags."""

from __future__ import annotations

from dataclasses import dataclass

from hashdist.errors import ConflictError, NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.objects.signing import Signer
from hashdist.refs import names
from hashdist.refs.transaction import Transaction
from hashdist.remote.remotes import follow, follow_no_more, followed
from hashdist.store.checkouts import registered
from hashdist.store.store import Store

from .history import walk
from .profile import branch_of, find, read_profile


def create_branch(store: Store, name: str, start: str | None) -> CommitId:
    """Make a profile at a revision (None: HEAD); raises `ConflictError` if there is one of that name."""
    return _create(store, names.HEADS + names.check_profile_name(name), start, what="profile")


def create_tag(store: Store, name: str, start: str | None) -> CommitId:
    """Make a tag at a revision (None: HEAD); raises `ConflictError` if there is one of that name."""
    return _create(store, names.TAGS + names.check_short_name(name, what="tag"), start, what="tag")


def create_message_tag(
    store: Store, name: str, start: str | None, *, message: str, signer: Signer | None = None
) -> CommitId:
    """Make a tag of git's own, with a message, and signed where there is a signer; return the commit it is of."""
    ref = names.TAGS + names.check_short_name(name, what="tag")
    if store.refs.get(ref) is not None:
        raise ConflictError(
            f"there is a tag '{name}' already", hint="choose another name, or delete that one: hdist tag -d"
        )
    with store.lock(shared=True, purpose="tag"):
        commit = find(store, start)
        store.objects.bring(commit)
        tag = store.objects.add_tag(
            commit, name=name, identity=store.author, time=store.now(), message=message, signer=signer
        )
        store.refs.update(ref, CommitId(tag), old=None, reason=f"tag: from {start or 'HEAD'}")
    return commit


def _create(store: Store, ref: str, start: str | None, *, what: str) -> CommitId:
    if store.refs.get(ref) is not None:
        raise ConflictError(
            f"there is a {what} '{names.short_name(ref)}' already",
            hint=f"choose another name, or delete that one: hdist {what} -d",
        )
    with store.lock(shared=True, purpose=what):  # the commit may be one that gc is about to take
        commit = find(store, start)
        store.refs.update(ref, commit, old=None, reason=f"{what}: from {start or 'HEAD'}")
    return commit


def rename_branch(store: Store, old: str, new: str) -> CommitId:
    """Give a profile another name; its reflog and the checkouts that follow it come along.

    Raises `ConflictError` if there is one of that name, or `NotFoundError`.
    """
    source, target = names.HEADS + old, names.HEADS + names.check_profile_name(new)
    commit = _existing(store, source, f"no profile named '{old}'")
    if store.refs.get(target) is not None:
        raise ConflictError(f"there is a profile '{new}' already", hint=f"hdist branch -D {new} deletes it")
    if store.refs.get(names.MERGING + old) is not None:
        raise ConflictError(f"a merge into '{old}' is not done", hint=f"hdist merge -b {old} --continue, or --abort")
    heads = [head for checkout in registered(store) if store.refs.symbolic(head := names.head_ref(checkout)) == source]
    with store.refs.transaction(f"branch: renamed {old} to {new}") as transaction:
        transaction.update(target, commit, old=None)
        transaction.carry_log(source, target)
        remember(store, transaction, source, commit)
        for head in heads:
            transaction.point(head, target)
    following = followed(store, old)
    if following is not None:
        follow(store, new, following)
        follow_no_more(store, old)
    return commit


@dataclass(frozen=True, slots=True)
class Reset:
    """A profile that was moved."""

    profile: str
    """Its name."""
    before: CommitId
    """Where it was."""
    commit: CommitId
    """Where it is."""


def reset(store: Store, revision: str, profile: str | None = None) -> Reset:
    """Move a profile (None: the one HEAD names) to a revision; what it had is in its reflog. Raises `NotFoundError`."""
    branch = branch_of(store, profile)
    with store.lock(shared=True, purpose="reset"):  # the commit may be one that gc is about to take
        commit = find(store, revision, head=branch)
        read_profile(store.objects, commit)
        before = _existing(store, branch, f"no profile named '{names.short_name(branch)}'")
        if commit != before:
            store.refs.update(branch, commit, old=before, reason=f"reset: moving to {revision}")
    return Reset(names.short_name(branch), before, commit)


def delete_branch(store: Store, name: str, *, force: bool) -> CommitId:
    """Delete a profile and return where it was; an undo ref keeps that alive for gc's grace period.

    Refused while a checkout follows it, and unless `force` while it holds commits that no other profile or
    tag has. Raises `ConflictError` or `NotFoundError`.
    """
    ref = names.HEADS + name
    commit = _existing(store, ref, f"no profile named '{name}'")
    for checkout, path in registered(store).items():
        if store.refs.symbolic(names.head_ref(checkout)) == ref:
            raise ConflictError(f"'{name}' is checked out at '{path}'", hint="hdist checkout another profile first")
    if not force and not _reached_elsewhere(store, ref, commit):
        raise ConflictError(
            f"'{name}' has commits that no other profile has", hint=f"hdist branch -D {name} deletes it anyway"
        )
    _delete(store, ref, commit)
    return commit


def delete_tag(store: Store, name: str) -> CommitId:
    """Delete a tag and return where it was."""
    ref = names.TAGS + name
    commit = _existing(store, ref, f"no tag named '{name}'")
    _delete(store, ref, commit)
    return commit


def _existing(store: Store, ref: str, words: str) -> CommitId:
    commit = store.refs.get(ref)
    if commit is None:
        raise NotFoundError(words, hint="see: hdist branch; hdist tag")
    return commit


def _reached_elsewhere(store: Store, ref: str, commit: CommitId) -> bool:
    others = {**store.refs.all(names.HEADS), **store.refs.all(names.TAGS)}
    return any(
        commit in {found.id for found in walk(store.objects, tip)} for name, tip in others.items() if name != ref
    )


def remember(store: Store, transaction: Transaction, ref: str, commit: CommitId) -> None:
    """Delete a ref, and remember for the grace period what it was and where it had been."""
    place, count = f"{names.UNDO}{store.now()}", 0
    while store.refs.all(f"{place}/") or transaction.plans_below(f"{place}/"):  # something else, in the same second
        count += 1
        place = f"{names.UNDO}{store.now()}-{count}"
    memory = f"{place}/{ref.removeprefix('refs/')}"
    transaction.update(memory, commit, old=None)
    transaction.carry_log(ref, memory)
    transaction.delete(ref, old=commit)


def _delete(store: Store, ref: str, commit: CommitId) -> None:
    merging = names.MERGING + names.short_name(ref)
    waiting = store.refs.get(merging) if ref.startswith(names.HEADS) else None
    with store.refs.transaction(f"delete {names.short_name(ref)}") as transaction:
        remember(store, transaction, ref, commit)
        if waiting is not None:
            remember(store, transaction, merging, waiting)
