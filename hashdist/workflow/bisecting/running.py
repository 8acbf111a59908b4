"""Try commits by a command until the first bad one is known: build what is missing, skip what does not build."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hashdist import process
from hashdist.build.scheduler import BuildsFailedError
from hashdist.environment.loading import load
from hashdist.errors import HashdistError, InvalidError
from hashdist.objects.ids import CommitId
from hashdist.workflow.building import HostDriftError
from hashdist.workflow.checkout import ready
from hashdist.workflow.profile import StaleSpecsError
from hashdist.workflow.session import Session

from .marks import Mark, NotBisectingError, Progress, look, mark
from .minimizing import Verdict

_SKIP = 125
#: Statuses by which a command says that it went wrong, and not whether what it looked at did.
_NOT_RUN = (126, 127)
_ABORTED = 128
#: Why something cannot be tried, which is no reason to stop.
_UNTESTABLE = (BuildsFailedError, HostDriftError, StaleSpecsError, InvalidError)


class BisectRunError(HashdistError):
    """A command that could not be run, or that was ended by a signal."""

    code = "bisect_run"


def run(session: Session, command: Sequence[str], *, told: Callable[[str], None] = lambda _: None) -> Progress:
    """Try commits until the first bad one is known, or none that is left can be told; `told` gets a line for each.

    Status 0 says good, 125 that it cannot be told, others up to 127 bad. Raises `BisectRunError` where the command
    cannot be run or a signal ended it, and `NotBisectingError` where both ends are not known.
    """
    progress = look(session)
    if progress.next is None and progress.found is None and not progress.suspects:
        raise NotBisectingError(
            "a bisection needs one bad and one good commit", hint="hdist bisect start BAD GOOD begins one"
        )
    while progress.next is not None:
        commit = progress.next
        steps = math.ceil(math.log2(progress.left)) if progress.left > 1 else 0
        subject = session.store.objects.commit(commit).subject
        told(f"{progress.left} left, some {steps} steps: trying {commit[:12]} {subject}")
        verdict = try_commit(session, commit, command, told=told)
        told(f"{commit[:12]} is {_WORDS[verdict]}")
        progress = mark(session, verdict, [commit])
    return progress


_WORDS: dict[Mark, str] = {"good": "good", "bad": "bad", "skip": "skipped"}


def try_commit(
    session: Session, commit: CommitId, command: Sequence[str], *, told: Callable[[str], None] = lambda _: None
) -> Verdict:
    """Build a commit, and run a command with its prefix; what does not build cannot be told."""
    try:
        prefix = ready(session, commit)
    except _UNTESTABLE as error:
        told(f"{commit[:12]} cannot be built: {error.message.splitlines()[0]}")
        return "skip"
    status = process.attend(command, env=load(session.env, f"bisect-{commit[:12]}", prefix))
    if status == _SKIP:
        return "skip"
    if status in _NOT_RUN or status >= _ABORTED:
        why = "cannot be run" if status in _NOT_RUN else f"was ended by signal {status - _ABORTED}"
        raise BisectRunError(f"'{command[0]}' {why} (status {status}): {commit[:12]} cannot be judged by it")
    return "good" if status == 0 else "bad"
