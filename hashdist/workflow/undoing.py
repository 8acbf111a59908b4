"""Undo what a command did to profiles, tags, pins and checkouts, while gc still keeps what it takes back."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hashdist.checkout.switch import Checkout
from hashdist.errors import ConflictError, NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.refs.operations import Move, Operation
from hashdist.refs.transaction import Transaction
from hashdist.store.checkouts import registered
from hashdist.store.store import Store

from .branching import remember
from .checkout import ready
from .session import Session

_SYMBOLIC = "ref: "
_REMEMBERED = (names.HEADS, names.TAGS, names.PINS, names.HOSTS, names.MERGING, names.BISECT)
_FORGETS = "hdist undo --list; gc forgets after its grace period"


class CannotUndoError(ConflictError):
    """An operation that cannot be undone any more, or not this way."""

    code = "cannot_undo"


@dataclass(frozen=True, slots=True)
class Deleted:
    """A profile or tag that was deleted."""

    ref: str
    """What it was called, in full."""
    commit: CommitId
    """Where it was."""
    time: int
    """When it was deleted, in seconds since 1970."""
    memory: str
    """The ref that remembers it."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What was undone."""

    summary: str
    """What the command had done."""
    moves: tuple[Move, ...]
    """What became of refs: from what they held to what they hold now."""


def deleted(store: Store) -> list[Deleted]:
    """What can be brought back, the latest first."""
    found = []
    for memory, commit in store.refs.all(names.UNDO).items():
        when, _, name = memory[len(names.UNDO) :].partition("/")
        if f"refs/{name}".startswith(_REMEMBERED):
            seconds, _, count = when.partition("-")
            log = store.refs.reflog(memory)
            order = log[0].time if log else int(seconds) if seconds.isdigit() else 0
            found.append((order, int(count) if count.isdigit() else 0, Deleted(f"refs/{name}", commit, order, memory)))
    return [one for _, _, one in sorted(found, key=lambda found: (-found[0], -found[1]))]


def undo(session: Session, what: str | None = None) -> Undone:
    """Undo the last operation, so that a second time does it again; or the one whose run begins with `what`.

    `what` can also name a profile, a tag or a pin: then the last operation on it. Raises `NotFoundError`, or
    `CannotUndoError` where something moved since, or gc took what is needed.
    """
    store = session.store
    with store.refs.operation():
        operation, steps = _choose(store, what)
        commits = {move.ref: _commit(move.old) for move in steps}
        reason = f"undo: {operation.summary.removeprefix('undo: ')}"
        for checkout in _checkouts(steps):
            if checkout not in registered(store):
                raise CannotUndoError(
                    "a checkout that was forgotten is not made anew by undo", hint="hdist checkout REV --to PATH"
                )
        prefixes = _prefixes(session, steps, commits)
        with store.lock(shared=True, purpose="undo"):  # not while gc is taking it
            _check_present(store, steps, commits)
            # what a checkout follows is there before it is followed, and goes after
            shown = _checkouts(steps)
            plain = [move for move in steps if _checkout_of(move.ref) not in shown]
            _invert_all(store, [move for move in plain if move.old is not None], reason)
            _switch_back(store, reason, shown, prefixes)
            _invert_all(store, [move for move in plain if move.old is None], reason)
    return Undone(operation.summary, tuple(Move(move.ref, move.new, move.old) for move in steps))


def _choose(store: Store, what: str | None) -> tuple[Operation, list[Move]]:
    """The operation to undo, and what of it is as it left it; what did not happen (a crash) is passed over."""
    mine = [one for one in store.refs.operations() if what is None or _means(one, what)]
    for operation in mine:
        steps = [move for move in operation.moves if store.refs.value(move.ref) != move.old]
        if steps:
            for move in steps:
                if store.refs.value(move.ref) != move.new:
                    raise CannotUndoError(
                        f"'{_name(move.ref)}' has moved since {operation.run} ({operation.summary})",
                        hint=f"undo what moved it first: hdist undo {_name(move.ref)}",
                    )
            return operation, steps
        if what is not None:
            break
    if mine and what is not None:
        raise CannotUndoError(f"{mine[0].run} ({mine[0].summary}) is undone already", hint="see: hdist undo --list")
    gone = next((one for one in deleted(store) if what in {None, one.ref, names.short_name(one.ref)}), None)
    if gone is not None:  # by a store of before there was a log of operations
        move = Move(gone.ref, gone.commit, None)
        return Operation(gone.memory, gone.time, "", (f"delete {names.short_name(gone.ref)}",), (move,)), [move]
    if what is None:
        raise NotFoundError("nothing was done lately that could be undone", hint=_FORGETS)
    raise NotFoundError(f"nothing named '{what}' was changed lately", hint=_FORGETS)


#: Digits of a run by which it can be named.
_SHORTEST = 4


def _means(operation: Operation, what: str) -> bool:
    if len(what) >= _SHORTEST and operation.run.startswith(what):
        return True
    return any(what in {move.ref, names.short_name(move.ref)} for move in operation.moves)


def _name(ref: str) -> str:
    return "HEAD" if ref == "HEAD" else names.short_name(ref)


def _checkout_of(ref: str) -> str | None:
    """The checkout whose ref it is."""
    if ref == "HEAD":
        return names.DEFAULT_CHECKOUT
    return ref.split("/")[2] if ref.startswith(names.CHECKOUTS) else None


def _commit(value: str | None) -> CommitId | None:
    """The commit of what a ref held; None for one that was not there, or followed a profile."""
    return CommitId(value) if value is not None and not value.startswith(_SYMBOLIC) else None


def _check_present(store: Store, steps: list[Move], commits: dict[str, CommitId | None]) -> None:
    objects = store.fresh_objects()
    for move in steps:
        commit = commits[move.ref]
        if commit is not None and commit not in objects:
            raise CannotUndoError(f"gc has taken {commit[:12]}, where '{_name(move.ref)}' was", hint=_FORGETS)


def _invert_all(store: Store, steps: list[Move], reason: str) -> None:
    if steps:
        with store.refs.transaction(reason) as transaction:
            for move in steps:
                _invert(store, transaction, move)


def _invert(store: Store, transaction: Transaction, move: Move) -> None:
    """Have a ref hold again what it held before a move."""
    old, new = _commit(move.old), _commit(move.new)
    if move.old is not None and old is None:
        transaction.point(move.ref, move.old.removeprefix(_SYMBOLIC))
    elif old is not None and move.new is None:
        transaction.update(move.ref, old, old=None)
        memory = next((one for one in deleted(store) if (one.ref, one.commit) == (move.ref, old)), None)
        if memory is not None:
            transaction.carry_log(memory.memory, move.ref)
            transaction.delete(memory.memory, old=old)
    elif old is not None and _checkout_of(move.ref) is not None:
        transaction.detach(move.ref, old)
    elif old is not None:
        transaction.update(move.ref, old, old=new)
    elif new is not None:
        for checkout, path in registered(store).items():
            if store.refs.symbolic(names.head_ref(checkout)) == move.ref and checkout != names.DEFAULT_CHECKOUT:
                raise CannotUndoError(
                    f"'{_name(move.ref)}' is checked out at '{path}'", hint="hdist checkout another profile there first"
                )
        remember(store, transaction, move.ref, new)


@dataclass(slots=True)
class _Shown:
    """A checkout that showed something else, or nothing."""

    at: Move
    """What it shows."""
    head: Move | None = None
    """What it follows, if that changed."""


def _checkouts(steps: list[Move]) -> dict[str, _Shown]:
    """The checkouts that showed something else."""
    found = {
        checkout: _Shown(move)
        for move in steps
        if (checkout := _checkout_of(move.ref)) is not None and move.ref.endswith("/at")
    }
    for move in steps:
        checkout = _checkout_of(move.ref)
        if checkout in found and not move.ref.endswith("/at"):
            found[checkout].head = move
    return found


def _prefixes(session: Session, steps: list[Move], commits: dict[str, CommitId | None]) -> dict[str, str]:
    """The prefix of each checkout that goes back to another commit, made again if need be."""
    found = {}
    for checkout, shown in _checkouts(steps).items():
        commit = commits[shown.at.ref]
        if commit is not None:
            if commit not in session.store.objects:
                raise CannotUndoError(f"gc has taken {commit[:12]}, which was checked out", hint=_FORGETS)
            found[checkout] = ready(session, commit)
    return found


def _switch_back(store: Store, reason: str, checkouts: dict[str, _Shown], prefixes: dict[str, str]) -> None:
    for checkout, shown in checkouts.items():
        path = registered(store)[checkout]
        place = Checkout(store, None if checkout == names.DEFAULT_CHECKOUT else path)
        held = shown.head.old if shown.head is not None else store.refs.value(place.head)
        branch = held.removeprefix(_SYMBOLIC) if held is not None and held.startswith(_SYMBOLIC) else None
        if shown.at.old is None:
            _leave(store, place, branch, reason)
        else:
            place.switch(CommitId(shown.at.old), prefixes[checkout], branch=branch, reason=reason)


def _leave(store: Store, place: Checkout, branch: str | None, reason: str) -> None:
    """Have nothing checked out at a place where nothing was before."""
    if place.prefix is not None:
        os.unlink(place.path)
    if place.name != names.DEFAULT_CHECKOUT:
        place.forget()
        return
    with store.refs.transaction(reason) as transaction:
        at = names.at_ref(place.name)
        commit = store.refs.get(at)
        if branch is not None:
            transaction.point(place.head, branch)
        if commit is not None:
            remember(store, transaction, at, commit)
