"""What is known of a bisection: which commits are good, bad or cannot be told, as refs, so that gc keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hashdist import process
from hashdist.errors import ConflictError, HashdistError, InvalidError, NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.workflow.building import plan_lock
from hashdist.workflow.profile import find, read_profile, read_written
from hashdist.workflow.session import Session

Mark = Literal["good", "bad", "skip"]
BAD = f"{names.BISECT}bad"
NEXT = f"{names.BISECT}next"
#: What is nearly in the middle is good enough if less of it has to be built.
_NEARLY = 0.7
#: Of so many it is asked how much of them is to be built.
_ASKED = 8
_UNKNOWN = 1 << 30


class NotBisectingError(NotFoundError):
    """There is no bisection."""

    code = "not_bisecting"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a bisection is."""

    next: CommitId | None
    """What is to be tried next; None when both ends are not known yet, or it is over."""
    left: int
    """Commits that may still be the first bad one."""
    found: CommitId | None
    """The first bad commit, once it is known."""
    suspects: tuple[CommitId, ...] = ()
    """When all that is left cannot be told: those of which one is the first bad one."""


def start(session: Session, bad: str | None, good: Sequence[str]) -> Progress:
    """Begin; raises `ConflictError` if there is a bisection already."""
    if session.store.refs.all(names.BISECT):
        raise ConflictError("there is a bisection already", hint="hdist bisect reset ends it")
    commits = {"bad": [find(session.store, bad)] if bad is not None else [], "good": []}
    commits["good"] = [find(session.store, one) for one in good]
    _write(session, [("bad", one) for one in commits["bad"]] + [("good", one) for one in commits["good"]])
    try:
        return look(session)
    except ConflictError:
        reset(session)  # nothing of it stays
        raise


def mark(session: Session, verdict: Mark, revisions: Sequence[str] = ()) -> Progress:
    """Say of commits (none: the one that was to be tried) that they are good, bad or cannot be told."""
    refs = session.store.refs
    if revisions:
        commits = [find(session.store, one) for one in revisions]
    else:
        current = refs.get(NEXT)
        if current is None:
            raise NotBisectingError("nothing is to be tried just now", hint=f"hdist bisect {verdict} REV")
        commits = [current]
    if verdict == "bad" and len(commits) > 1:
        raise InvalidError("only one commit is the earliest that is known to be bad")
    _write(session, [(verdict, one) for one in commits])
    return look(session)


def _write(session: Session, marks: Sequence[tuple[Mark, CommitId]]) -> None:
    refs = session.store.refs
    with refs.transaction(f"bisect: {', '.join(f'{commit[:12]} is {verdict}' for verdict, commit in marks)}") as moves:
        for verdict, commit in marks:
            read_written(session.store.objects, commit)
            moves.set(BAD if verdict == "bad" else f"{names.BISECT}{verdict}/{commit}", commit)


def look(session: Session) -> Progress:
    """How far it is; chooses what is tried next. Raises `ConflictError` where a good commit has the bad one in it."""
    refs = session.store.refs
    marks = refs.all(names.BISECT)
    bad = marks.get(BAD)
    good = set(names.below(f"{names.BISECT}good/", marks).values())
    if bad is None or not good:
        return Progress(None, 0, None)
    skipped = set(names.below(f"{names.BISECT}skip/", marks).values())
    known = _between(session, bad, good)
    if bad not in known:
        raise ConflictError(
            f"a good commit has the bad one, {bad[:12]}, in its history",
            hint="hdist bisect reset, and begin with an older good one",
        )
    others = [commit for commit in known if commit != bad]
    open_ones = [commit for commit in others if commit not in skipped]
    if not others:
        _point(session, None)
        return Progress(None, 1, bad)
    if not open_ones:
        _point(session, None)
        return Progress(None, len(known), None, tuple(known))
    chosen = _choose(session, {commit: known[commit] for commit in open_ones})
    _point(session, chosen)
    return Progress(chosen, len(known), None)


def _between(session: Session, bad: CommitId, good: set[CommitId]) -> dict[CommitId, int]:
    """What may be the first bad commit, with how many commits are told apart at least by trying it."""
    command = ["git", "rev-list", "--bisect-all", bad, *(f"^{one}" for one in sorted(good))]
    output = process.run(command, env=session.store.git_env()).decode()
    found = {}
    for line in output.splitlines():
        id, _, rest = line.partition(" ")
        found[CommitId(id)] = int(rest.partition("dist=")[2].partition(",")[0].rstrip(")"))
    return found


def _choose(session: Session, distances: dict[CommitId, int]) -> CommitId:
    """The commit in the middle, or one near it of which less is to be built."""
    best = max(distances.values())
    near = sorted((one for one in distances if distances[one] >= best * _NEARLY), key=lambda one: -distances[one])
    return min(near[:_ASKED], key=lambda one: (_to_build(session, one), -distances[one]))


def _to_build(session: Session, commit: CommitId) -> int:
    try:
        return len(plan_lock(session, read_profile(session.store.objects, commit).lock).jobs)
    except HashdistError:
        return _UNKNOWN  # it will be skipped


def _point(session: Session, commit: CommitId | None) -> None:
    """Have a name for what is to be tried next."""
    refs = session.store.refs
    before = refs.get(NEXT)
    if commit == before:
        return
    with refs.transaction("bisect: next") as transaction:
        if commit is not None:
            transaction.set(NEXT, commit)
        elif before is not None:
            transaction.delete(NEXT, old=before)


def reset(session: Session) -> None:
    """End a bisection; raises `NotBisectingError` if there is none."""
    marks = session.store.refs.all(names.BISECT)
    if not marks:
        raise NotBisectingError("there is no bisection", hint="hdist bisect start BAD GOOD begins one")
    with session.store.refs.transaction("bisect: reset") as transaction:
        for name, commit in marks.items():
            transaction.delete(name, old=commit)
