"""Time one command under two stacks, in turn, so that what the machine does meanwhile hits both alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hashdist.errors import HashdistError
from hashdist.process import ProgramMissingError
from hashdist.progress import SILENT, Progress

_LAST_WORDS = 4096


class RunFailedError(HashdistError):
    """A run of the command that failed: there is nothing to compare. Its status is ours."""

    code = "run_failed"


@dataclass(frozen=True, slots=True)
class Sample:
    """One run."""

    seconds: float
    """From start to end."""
    cpu: float
    """Seconds of CPU, of it and all it waited for."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Pairs of runs, first A's, then B's."""

    pairs: tuple[tuple[Sample, Sample], ...]
    """As they came."""

    def median(self, side: int, of: Callable[[Sample], float]) -> float:
        """The median of one side (0: A, 1: B)."""
        return statistics.median(of(pair[side]) for pair in self.pairs)

    def ratio(self, of: Callable[[Sample], float]) -> float | None:
        """The median of B's share of A, pair by pair; None where A's is nothing."""
        ratios = [of(two) / of(one) for one, two in self.pairs if of(one) > 0]
        return statistics.median(ratios) if ratios else None


def compare(
    arguments: Sequence[str],
    environments: tuple[Mapping[str, str], Mapping[str, str]],
    *,
    runs: int,
    warm_up: int = 1,
    progress: Progress = SILENT,
) -> Comparison:
    """Run a command under two environments, `runs` times each and in turn, who goes first changing each time.

    What it prints is dropped. Raises `RunFailedError` with its last words when a run fails.
    """
    pairs = []
    with progress.task("compare", 2 * (runs + warm_up), "run") as task:
        for turn in range(-warm_up, runs):
            found: dict[int, Sample] = {}
            for side in _order(turn):
                found[side] = _once(arguments, environments[side])
                task.advance()
            if turn >= 0:
                pairs.append((found[0], found[1]))
    return Comparison(tuple(pairs))


def _order(turn: int) -> Iterator[int]:
    yield from (0, 1) if turn % 2 == 0 else (1, 0)


def _once(arguments: Sequence[str], env: Mapping[str, str]) -> Sample:
    with open(os.path.devnull, "r+b") as nothing, tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        try:
            program = subprocess.Popen(list(arguments), env=dict(env), stdin=nothing, stdout=nothing, stderr=said)
        except OSError as error:
            raise ProgramMissingError(f"'{arguments[0]}' cannot be executed: {error.strerror}") from error
        try:
            # what it left running in the background is not waited for
            _, status, usage = os.wait4(program.pid, 0)
        except BaseException:
            program.kill()
            program.wait()
            raise
        seconds = time.perf_counter() - started
        program.returncode = os.waitstatus_to_exitcode(status)
        if program.returncode:
            said.seek(max(0, said.seek(0, os.SEEK_END) - _LAST_WORDS))
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            words = "".join(last) or "it said nothing"
            failed = RunFailedError(f"'{arguments[0]}' failed with status {program.returncode}: {words}")
            failed.exit_code = program.returncode if program.returncode > 0 else 128 - program.returncode
            raise failed
    return Sample(seconds, usage.ru_utime + usage.ru_stime)
