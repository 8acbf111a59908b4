"""Measure two things in turn, A B A B …, and tell medians and the median of the ratios pair by pair."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence


def command(
    arguments: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
) -> Callable[[], None]:
    """A run of a program, which must succeed; its output is thrown away."""

    def run() -> None:
        subprocess.run(
            arguments,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return run


def seconds(action: Callable[[], None]) -> float:
    """How long one run takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def paired(
    title: str,
    ours: Callable[[], None],
    theirs: Callable[[], None],
    *,
    runs: int = 7,
    limit: float,
    peer: str,
    before: Callable[[], None] = lambda: None,
) -> float:
    """Run both in turn after one warm-up each, print what came out, and return the median ratio."""
    before()
    ours()
    before()
    theirs()
    pairs = []
    for _ in range(runs):
        before()
        one = seconds(ours)
        before()
        pairs.append((one, seconds(theirs)))
    ratio = statistics.median(one / two for one, two in pairs)
    mine, other = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
    verdict = "within" if ratio <= limit else "OVER"
    print(f"{title:<52} {mine:8.1f} ms  {peer} {other:8.1f} ms  ratio {ratio:5.2f}  {verdict} {limit}", flush=True)
    return ratio
