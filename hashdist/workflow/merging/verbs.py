"""merge, cherry-pick and revert: begin, settle, go on, give up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hashdist.errors import ConflictError, DamagedError, HashdistError, InvalidError, NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.refs.transaction import Transaction
from hashdist.stack.file import StackError, parse_stack
from hashdist.stack.merging import Side
from hashdist.stack.merging_text import UnmergeableError
from hashdist.store.roots import in_use
from hashdist.store.store import Store
from hashdist.workflow.origin import at_home
from hashdist.workflow.pinning import KEEP_ONLY, NoPinError, pin
from hashdist.workflow.profile import branch_of, find, read_written
from hashdist.workflow.recording import NothingChangedError, Recorded, record
from hashdist.workflow.session import Session

from .choosing import MergeConflictError, chosen, combined_state, option
from .combining import Choice, Combined
from .state import Kind, State, check_none, commit_state, end, read_state, state_ref, write_state

FastForward = Literal["auto", "no", "only"]


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a profile."""

    profile: str
    """Its name."""
    before: CommitId
    """Its tip before."""
    commit: CommitId
    """Its tip now; the same if there was nothing to do."""
    how: Literal["nothing", "fast-forward", "recorded"]
    """What was done."""
    skipped: tuple[CommitId, ...] = ()
    """Commits of which nothing was left to take over."""


def merge(
    session: Session,
    revision: str,
    *,
    profile: str | None = None,
    message: str | None = None,
    fast_forward: FastForward = "auto",
    choices: Mapping[str, Side] | None = None,
    unrelated: bool = False,
) -> Merged:
    """Bring what a revision has into a profile (None: the one HEAD names).

    `choices` says whose side to take where both changed something, by what that is called, or by patterns. Raises
    `MergeConflictError`, with the merge waiting for choices; `ConflictError` where the histories have nothing in common
    and are not said to be `unrelated`, or no fast-forward is possible and only that is wanted.
    """
    store, branch, tip = _begin(session, profile)
    name = names.short_name(branch)
    theirs = find(store, revision, head=branch)
    read_written(store.objects, theirs)
    bases = tuple(store.objects.merge_bases(tip, theirs))
    if theirs in bases:
        return Merged(name, tip, tip, "nothing")
    if tip in bases and fast_forward != "no":
        with store.lock(shared=True, purpose="merge"):  # it may be one that gc is about to take
            store.refs.update(branch, theirs, old=tip, reason=f"merge {revision}: fast-forward")
        return Merged(name, tip, theirs, "fast-forward")
    if fast_forward == "only":
        raise ConflictError(
            f"'{name}' has commits that '{revision}' has not: no fast-forward", hint=f"hdist merge {revision}"
        )
    if not bases and not unrelated:
        raise ConflictError(
            f"'{name}' and '{revision}' have no history in common",
            hint=f"hdist merge --allow-unrelated-histories {revision}",
        )
    words = message or f"merge {revision} into {name}"
    return _go_on(session, State("merge", name, tip, tip, theirs, bases, words), choices or {})


def cherry_pick(
    session: Session,
    revisions: Sequence[str],
    *,
    profile: str | None = None,
    mainline: int | None = None,
    choices: Mapping[str, Side] | None = None,
) -> Merged:
    """Do again in a profile what commits did elsewhere, each as a commit of its own; raises as `merge` does."""
    return _take_over(session, "cherry-pick", revisions, profile, mainline, choices or {})


def revert(
    session: Session,
    revisions: Sequence[str],
    *,
    profile: str | None = None,
    mainline: int | None = None,
    choices: Mapping[str, Side] | None = None,
) -> Merged:
    """Take back in a profile what commits did, each by a commit of its own; raises as `merge` does."""
    return _take_over(session, "revert", revisions, profile, mainline, choices or {})


def _take_over(
    session: Session,
    kind: Kind,
    revisions: Sequence[str],
    profile: str | None,
    mainline: int | None,
    choices: Mapping[str, Side],
) -> Merged:
    store, branch, tip = _begin(session, profile)
    commits = [find(store, revision, head=branch) for revision in revisions]
    for commit in commits:
        _parent(session, commit, mainline)
    name = names.short_name(branch)
    state = _state_of(session, kind, name, commits[0], mainline, ours=tip, start=tip, todo=tuple(commits[1:]))
    if state.todo:
        write_state(store, state)  # a crash in between forgets nothing
    return _go_on(session, state, choices)


def _state_of(
    session: Session,
    kind: Kind,
    profile: str,
    commit: CommitId,
    mainline: int | None,
    *,
    ours: CommitId,
    start: CommitId,
    todo: tuple[CommitId, ...],
) -> State:
    found = session.store.objects.commit(commit)
    parent = _parent(session, commit, mainline)
    if kind == "cherry-pick":
        theirs, base = commit, parent
        words = f"{found.message.rstrip()}\n\n(cherry picked from commit {commit})"
    else:
        theirs, base = parent, commit
        words = f'revert "{found.subject}"\n\nThis reverts commit {commit}.'
    return State(kind, profile, start, ours, theirs, (base,), words, source=commit, mainline=mainline, todo=todo)


def _parent(session: Session, commit: CommitId, mainline: int | None) -> CommitId:
    """The commit that another is compared with; raises `InvalidError` where it is not clear which."""
    session.store.objects.bring(commit)
    read_written(session.store.objects, commit)
    parents = session.store.objects.commit(commit).parents
    if not parents:
        raise InvalidError(f"{commit[:12]} is the first commit: it changed nothing that was there before")
    if len(parents) == 1:
        return parents[0]
    if mainline is None:
        raise InvalidError(f"{commit[:12]} is a merge: say with which parent it is compared", hint="--mainline 1")
    if mainline > len(parents):
        raise InvalidError(f"{commit[:12]} has {len(parents)} parents, not {mainline}")
    return parents[mainline - 1]


def _begin(session: Session, profile: str | None) -> tuple[Store, str, CommitId]:
    store = session.store
    branch = branch_of(store, profile)
    tip = store.refs.get(branch)
    if tip is None:
        raise NotFoundError(
            f"profile '{names.short_name(branch)}' has no commits yet", hint="hdist checkout -b NAME REV makes one"
        )
    check_none(store, names.short_name(branch))
    return store, branch, tip


def _go_on(session: Session, state: State, choices: Mapping[str, Side] | None = None) -> Merged:
    """Record this and what comes after it; where that cannot be, keep the state and raise `MergeConflictError`."""
    store = session.store
    skipped: list[CommitId] = []
    how: Literal["nothing", "recorded"] = "nothing"
    current: State | None = state
    tip = state.ours
    with in_use(store, purpose=state.kind):
        while current is not None:
            state = current
            recorded = _one(session, state, choices or {})
            if recorded is None:
                assert state.source is not None, "merges always change something"
                skipped.append(state.source)
                if not state.todo and not state.waits and len(skipped) == 1 and how == "nothing":
                    _forget(store, state)
                    raise NothingChangedError(f"nothing of {state.source[:12]} is left to take over")
            tip = recorded.commit if recorded is not None else state.ours
            how = "recorded" if recorded is not None else how
            current = _after(session, state, tip)
            if recorded is None:
                _forget(store, state) if current is None else write_state(store, current)
    return Merged(state.profile, state.start, tip, how, tuple(skipped))


def _forget(store: Store, state: State) -> None:
    with store.refs.transaction(f"{state.kind}: nothing was left") as transaction:
        end(store, state.profile, transaction)


def _after(session: Session, state: State, tip: CommitId) -> State | None:
    """What comes after a commit is done; None if nothing does."""
    if not state.todo:
        return None
    return _state_of(
        session,
        state.kind,
        state.profile,
        state.todo[0],
        state.mainline,
        ours=tip,
        start=state.start,
        todo=state.todo[1:],
    )


def _one(session: Session, state: State, choices: Mapping[str, Side]) -> Recorded | None:
    """Record one commit, together with what comes after it; None if it would change nothing."""
    store = session.store
    try:
        combined = combined_state(session, state)
        if choices and combined.choices:
            state = replace(state, settled=chosen(state, combined.choices, choices))
            combined = combined_state(session, state)
        if combined.text is None:
            raise _stop(session, state, combined.choices)
        return _record(session, state, combined, combined.text)
    except NothingChangedError:
        return None
    except (UnmergeableError, StackError, NoPinError) as error:
        write_state(store, replace(state, waits=True))
        raise MergeConflictError(state, (), error.message, option=option(session, state)) from error


def _stop(session: Session, state: State, choices: Sequence[Choice]) -> MergeConflictError:
    """Keep the state, and give the error that says what is to choose."""
    write_state(session.store, replace(state, waits=True))
    return MergeConflictError(state, choices, None, option=option(session, state))


def _record(session: Session, state: State, combined: Combined, text: str) -> Recorded:
    store = session.store
    there = at_home(session, names.HEADS + state.profile, state.ours)
    stack = parse_stack(text)
    files = {name: combined.files[name] for name in stack.patches if name in combined.files}
    missing = [name for name in stack.patches if name not in files]
    if missing:
        raise StackError(*(f"patch '{name}' is in neither side" for name in missing))
    resolved = pin(there, text, stack, files, before=combined.lock, moving=KEEP_ONLY)

    def besides(transaction: Transaction) -> None:
        """What comes after it is remembered in the moment in which it is done."""
        branch = names.HEADS + state.profile
        later = _after(session, state, transaction.planned(branch))
        if later is None:
            end(store, state.profile, transaction)
        else:
            transaction.set(state_ref(state.profile), commit_state(store, later))

    return record(
        there,
        names.HEADS + state.profile,
        state.ours,
        resolved,
        state.message,
        kind=state.kind,
        others=(state.theirs,) if state.kind == "merge" else (),
        change_of=store.objects.commit(state.source) if state.kind == "cherry-pick" and state.source else None,
        besides=besides,
    )


def proceed(session: Session, *, profile: str | None = None, message: str | None = None) -> Merged:
    """Record a merge for which all is chosen, and go on with what comes after; raises as `merge` does."""
    store = session.store
    branch = branch_of(store, profile)
    state = read_state(store, names.short_name(branch))
    if store.refs.get(branch) != state.ours:
        raise ConflictError(
            f"'{state.profile}' has moved since the {state.kind} began", hint=f"hdist {state.kind} --abort, and again"
        )
    return _go_on(session, replace(state, message=message) if message is not None else state)


@dataclass(frozen=True, slots=True)
class Aborted:
    """What was given up."""

    profile: str
    """The profile."""
    kind: Kind
    """By which command it had begun."""
    commit: CommitId | None
    """Where the profile is now."""
    moved: bool
    """Whether it went back over commits that the command had recorded."""


def abort(session: Session, *, profile: str | None = None) -> Aborted:
    """Give up a merge: the profile is as it was before it began, unless it has moved since.

    Raises `NoMergeError`. A merge whose state is damaged is given up too, and the profile stays where it is.
    """
    store = session.store
    branch = branch_of(store, profile)
    name = names.short_name(branch)
    try:
        state: State | None = read_state(store, name)
    except DamagedError:
        state = None
    tip = store.refs.get(branch)
    back = state is not None and tip == state.ours != state.start
    kind: Kind = state.kind if state is not None else "merge"
    with store.refs.transaction(f"{kind}: given up") as transaction:
        _drop(store, name, transaction)
        if state is not None and back:
            transaction.update(branch, state.start, old=tip)
    return Aborted(name, kind, state.start if state is not None and back else tip, back)


def _drop(store: Store, profile: str, transaction: Transaction) -> None:
    """Forget a merge, also one whose ref cannot be read."""
    try:
        end(store, profile, transaction)
    except HashdistError:
        transaction.drop_unreadable(state_ref(profile))
