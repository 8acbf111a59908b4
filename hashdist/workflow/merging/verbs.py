"""merge, cherry-pick and revert: begin, settle, go on, give up."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hashdist.errors import ConflictError, DamagedError, InvalidError, NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.stack.file import parse_stack
from hashdist.stack.merging import Side, with_markers
from hashdist.store.roots import in_use
from hashdist.store.store import Store
from hashdist.workflow.origin import at_home
from hashdist.workflow.pinning import pin
from hashdist.workflow.profile import branch_of, find, read_profile
from hashdist.workflow.recording import Recorded, record
from hashdist.workflow.session import Session

from .combining import Choice, Combined, combine
from .state import Kind, State, check_none, end, read_state, write_state

FastForward = Literal["auto", "no", "only"]


class MergeConflictError(ConflictError):
    """What both sides changed, each in its own way."""

    code = "merge_conflict"

    def __init__(self, state: State, choices: Sequence[Choice]) -> None:
        first = str(choices[0].unit)
        super().__init__(
            "\n".join([f"{state.kind} into '{state.profile}': {len(choices)} to choose", *choice_lines(choices)]),
            hint=f"hdist {state.kind} --ours {first}, or --theirs {first}; hdist {state.kind} --edit; "
            f"then hdist {state.kind} --continue; or hdist {state.kind} --abort",
        )
        self.choices = choices


def choice_lines(choices: Sequence[Choice]) -> list[str]:
    """Choices in words, indented."""
    lines = []
    for choice in choices:
        for what, ours, theirs, before in choice.differences:
            was = f", before {before}" if before and before != "not there" else ""
            lines.append(f"  {choice.unit}:{f' {what}' if what else ''} ours {ours}, theirs {theirs}{was}")
    return lines


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
    read_profile(store.objects, theirs)
    base = store.objects.merge_base(tip, theirs)
    if base == theirs:
        return Merged(name, tip, tip, "nothing")
    if base == tip and fast_forward != "no":
        with store.lock(shared=True, purpose="merge"):  # it may be one that gc is about to take
            store.refs.update(branch, theirs, old=tip, reason=f"merge {revision}: fast-forward")
        return Merged(name, tip, theirs, "fast-forward")
    if fast_forward == "only":
        raise ConflictError(
            f"'{name}' has commits that '{revision}' has not: no fast-forward", hint=f"hdist merge {revision}"
        )
    if base is None and not unrelated:
        raise ConflictError(
            f"'{name}' and '{revision}' have no history in common",
            hint=f"hdist merge --allow-unrelated-histories {revision}",
        )
    words = message or f"merge {revision} into {name}"
    return _go_on(session, State("merge", name, tip, theirs, base, words), choices or {})


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
    done = Merged(names.short_name(branch), tip, tip, "nothing")
    states = [_state_of(session, kind, done.profile, commit, mainline) for commit in commits]
    for number, state in enumerate(states):
        now = replace(state, ours=done.commit, todo=tuple(commits[number + 1 :]))
        done = replace(_go_on(session, now, choices), before=tip)
    return done


def _state_of(session: Session, kind: Kind, profile: str, commit: CommitId, mainline: int | None) -> State:
    found = session.store.objects.commit(commit)
    parent = _parent(session, commit, mainline)
    if kind == "cherry-pick":
        words = f"{found.message.rstrip()}\n\n(cherry picked from commit {commit})"
        return State(kind, profile, commit, commit, parent, words, source=commit)
    words = f'revert "{found.subject}"\n\nThis reverts commit {commit}.'
    return State(kind, profile, commit, parent, commit, words, source=commit)


def _parent(session: Session, commit: CommitId, mainline: int | None) -> CommitId:
    """The commit that another is compared with; raises `InvalidError` where it is not clear which."""
    session.store.objects.bring(commit)
    read_profile(session.store.objects, commit)
    parents = session.store.objects.commit(commit).parents
    if not parents:
        raise InvalidError(f"{commit[:12]} is the first commit: it changed nothing that was there before")
    if len(parents) > 1 and mainline is None:
        raise InvalidError(f"{commit[:12]} is a merge: say with which parent it is compared", hint="--mainline 1")
    if not 1 <= (mainline or 1) <= len(parents):
        raise InvalidError(f"{commit[:12]} has {len(parents)} parents, not {mainline}")
    return parents[(mainline or 1) - 1]


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
    """Record what can be recorded; else keep the state and raise `MergeConflictError`."""
    store = session.store
    with in_use(store, purpose=state.kind):
        combined = _combine(session, state)
        if choices and combined.choices:
            state = replace(state, settled=_chosen(state, combined.choices, choices))
            combined = _combine(session, state)
        if combined.text is None:
            write_state(store, state)
            raise MergeConflictError(state, combined.choices)
        recorded = _record(session, state, combined, combined.text)
    return Merged(state.profile, state.ours, recorded.commit, "recorded")


def _combine(session: Session, state: State) -> Combined:
    objects = session.store.objects
    return combine(objects, state.base, state.ours, state.theirs, settled=state.settled, text=state.text)


def _record(session: Session, state: State, combined: Combined, text: str) -> Recorded:
    store = session.store
    there = at_home(session, names.HEADS + state.profile, state.ours)
    stack = parse_stack(text)
    files = {name: combined.files[name] for name in stack.patches if name in combined.files}
    missing = [name for name in stack.patches if name not in files]
    if missing:
        raise InvalidError(*(f"patch '{name}' is in neither side" for name in missing), hint="hdist merge --edit")
    resolved = pin(there, text, stack, files, before=combined.lock)
    return record(
        there,
        names.HEADS + state.profile,
        state.ours,
        resolved,
        state.message,
        kind=state.kind,
        others=(state.theirs,) if state.kind == "merge" else (),
        change_of=store.objects.commit(state.source) if state.kind == "cherry-pick" and state.source else None,
        besides=lambda transaction: end(store, state.profile, transaction),
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """A merge that is not done."""

    state: State
    """What it is."""
    choices: tuple[Choice, ...]
    """What is still to choose."""


def waiting(session: Session, profile: str | None = None) -> Waiting:
    """The merge into a profile (None: the one HEAD names) that is not done; raises `NoMergeError`."""
    state = read_state(session.store, names.short_name(branch_of(session.store, profile)))
    return Waiting(state, _combine(session, state).choices)


def settle(session: Session, choices: Mapping[str, Side], *, profile: str | None = None) -> Waiting:
    """Choose sides in a merge that is not done, by what units are called, or patterns; raises `NotFoundError`."""
    before = waiting(session, profile)
    write_state(session.store, replace(before.state, settled=_chosen(before.state, before.choices, choices)))
    return waiting(session, profile)


def _chosen(state: State, known: Sequence[Choice], choices: Mapping[str, Side]) -> dict[str, Side]:
    """What is settled after more choices."""
    settled = dict(state.settled)
    names_known = [*settled, *(str(choice.unit) for choice in known)]
    for pattern, side in choices.items():
        found = [name for name in names_known if name == pattern] or fnmatch.filter(names_known, pattern)
        if not found:
            raise NotFoundError(f"'{pattern}' is not to be chosen", hint=f"it could be: {', '.join(names_known)}")
        settled |= dict.fromkeys(found, side)
    return settled


def edit_choices(session: Session, change: Callable[[str], str], *, profile: str | None = None) -> Waiting:
    """Have the stack file edited, with git's markers around what is in conflict; raises what parsing raises."""
    state = waiting(session, profile).state
    objects = session.store.objects
    text = state.text
    if text is None:
        base = read_profile(objects, state.base).text if state.base is not None else ""
        ours, theirs = (read_profile(objects, one).text for one in (state.ours, state.theirs))
        text = with_markers(base, ours, theirs, (state.profile, state.theirs[:12]))
    edited = change(text)
    parse_stack(edited)
    write_state(session.store, replace(state, text=edited))
    return waiting(session, profile)


def proceed(session: Session, *, profile: str | None = None) -> Merged:
    """Record a merge for which all is chosen, and go on with what comes after; raises as `merge` does."""
    store = session.store
    branch = branch_of(store, profile)
    state = read_state(store, names.short_name(branch))
    if store.refs.get(branch) != state.ours:
        raise ConflictError(
            f"'{state.profile}' has moved since the {state.kind} began", hint=f"hdist {state.kind} --abort, and again"
        )
    done = _go_on(session, state)
    for number, commit in enumerate(state.todo):
        later = _state_of(session, state.kind, state.profile, commit, None)
        todo = state.todo[number + 1 :]
        done = replace(_go_on(session, replace(later, ours=done.commit, todo=todo)), before=state.ours)
    return done


def abort(session: Session, *, profile: str | None = None) -> State | None:
    """Give up a merge: the profile is as it was before; raises `NoMergeError`. None if its state is damaged."""
    store = session.store
    name = names.short_name(branch_of(store, profile))
    try:
        state = read_state(store, name)
    except DamagedError:
        state = None
    with store.refs.transaction(f"{state.kind if state else 'merge'}: given up") as transaction:
        end(store, name, transaction)
    return state
