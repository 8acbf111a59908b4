"""What a merge waits for: choices, said by name, by pattern, or in an editor."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hashdist.errors import ConflictError, NotFoundError
from hashdist.refs import names
from hashdist.stack.file import StackError, parse_stack
from hashdist.stack.merging import Side
from hashdist.stack.merging_text import UnmergeableError
from hashdist.workflow.profile import branch_of, read_profile
from hashdist.workflow.session import Session

from .combining import Choice, Combined, combine, marked
from .state import State, read_state, write_state


class MergeConflictError(ConflictError):
    """What both sides changed, each in its own way; the merge waits."""

    code = "merge_conflict"

    def __init__(self, state: State, choices: Sequence[Choice], problem: str | None, *, option: str) -> None:
        head = f"{state.kind} into '{state.profile}': " + (problem or f"{len(choices)} to choose")
        verb = f"hdist {state.kind}{option}"
        first = f"{verb} --ours {choices[0].unit}, or --theirs {choices[0].unit}; " if choices else ""
        super().__init__(
            "\n".join([head, *choice_lines(choices)]),
            hint=f"{first}{verb} --edit; then {verb} --continue; or {verb} --abort",
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


def option(session: Session, state: State) -> str:
    """What commands need in order to be about this profile."""
    head = session.store.refs.symbolic("HEAD")
    return "" if head == names.HEADS + state.profile else f" -b {state.profile}"


def combined_state(session: Session, state: State) -> Combined:
    """What a merge comes to as far as all is chosen; raises as `combine` does."""
    objects = session.store.objects
    return combine(objects, state.bases, state.ours, state.theirs, settled=state.settled, text=state.text)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A merge that is not done."""

    state: State
    """What it is."""
    choices: tuple[Choice, ...]
    """What is still to choose."""
    problem: str | None = None
    """What else is in the way: both together are no stack, or their lines cannot be merged."""


def waiting(session: Session, profile: str | None = None) -> Waiting:
    """The merge into a profile (None: the one HEAD names) that is not done; raises `NoMergeError`."""
    state = read_state(session.store, names.short_name(branch_of(session.store, profile)))
    try:
        return Waiting(state, combined_state(session, state).choices)
    except (UnmergeableError, StackError) as error:
        return Waiting(state, (), error.message)


def settle(session: Session, choices: Mapping[str, Side], *, profile: str | None = None) -> Waiting:
    """Choose sides in a merge that is not done, by what units are called, or patterns; raises `NotFoundError`."""
    before = waiting(session, profile)
    write_state(session.store, replace(before.state, settled=chosen(before.state, before.choices, choices)))
    return waiting(session, profile)


def chosen(state: State, known: Sequence[Choice], choices: Mapping[str, Side]) -> dict[str, Side]:
    """What is settled after more choices: by name whatever was chosen before, by pattern what was not."""
    settled = dict(state.settled)
    undecided = [str(choice.unit) for choice in known]
    exact = {name for name in choices if name in settled or name in undecided}
    for name in choices:
        if name not in exact:
            found = [one for one in fnmatch.filter(undecided, name) if one not in exact]
            if not found:
                everything = ", ".join(dict.fromkeys([*undecided, *settled])) or "nothing"
                raise NotFoundError(f"'{name}' is not to be chosen", hint=f"what is: {everything}")
            settled |= dict.fromkeys(found, choices[name])
    return settled | {name: choices[name] for name in exact}


def edit_choices(session: Session, change: Callable[[str], str], *, profile: str | None = None) -> Waiting:
    """Have the stack file edited, with git's markers around what is to choose.

    What was edited is kept also where it is no stack: then `StackError` is raised, and it can be edited again.
    """
    before = waiting(session, profile)
    state = before.state
    text = state.text
    if text is None:
        objects = session.store.objects
        try:
            sides = (state.profile, state.theirs[:12])
            text = marked(objects, state.bases, state.ours, state.theirs, settled=state.settled, names=sides)
        except UnmergeableError:
            text = read_profile(objects, state.ours).text
    edited = change(text)
    write_state(session.store, replace(state, text=edited))
    try:
        parse_stack(edited)
    except StackError as error:
        error.hint = f"hdist {state.kind}{option(session, state)} --edit shows it again"
        raise
    return waiting(session, profile)
