"""``hdist compare``: time a command under two stacks."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.owner import be_ourselves_again
from hashdist.cli.running import cannot_run, command_of, with_prefixes
from hashdist.workflow.timing import Comparison, Sample, compare as measure

_MEASURES: dict[str, Callable[[Sample], float]] = {
    "seconds": lambda sample: sample.seconds,
    "cpu": lambda sample: sample.cpu,
}


@make(reads=True, runs=True)
@click.argument("one", metavar="A")
@click.argument("two", metavar="B")
@click.argument("arguments", nargs=-1, required=True, metavar="-- COMMAND [ARGUMENT]...", type=click.UNPROCESSED)
@click.option("-r", "--runs", type=click.IntRange(1, 10_000), default=7, show_default=True, help="Runs of each.")
@click.option("--warm-up", type=click.IntRange(0, 100), default=1, show_default=True, help="Runs before that.")
def compare(app: App, one: str, two: str, arguments: tuple[str, ...], runs: int, warm_up: int) -> None:
    """Run a command under two prefixes in turn, and print the medians, and the median of the ratios pair by pair.

    A and B are profiles, revisions or prefixes. What the command prints is dropped; a run that fails ends it.
    """
    words = command_of(arguments)
    environments = (with_prefixes(app, [one]), with_prefixes(app, [two]))
    be_ourselves_again()
    for env in environments:
        path = shutil.which(words[0], path=env.get("PATH")) or words[0]
        if not os.access(path, os.X_OK):
            raise cannot_run(words[0], path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    found = [measure(words, environments, runs=runs, warm_up=warm_up, progress=app.progress)]

    def lines() -> Iterator[str]:
        width = max(len(one), len(two), len("B / A"))
        yield f"{'':<{width}}  {'seconds':>10}  {'cpu':>10}"
        for side, name in enumerate((one, two)):
            seconds, cpu = (found[0].median(side, of) for of in _MEASURES.values())
            yield f"{name:<{width}}  {seconds:10.4f}  {cpu:10.4f}"
        ratios = (found[0].ratio(of) for of in _MEASURES.values())
        yield f"{'B / A':<{width}}  " + "  ".join(f"{ratio:10.3f}" if ratio else f"{'-':>10}" for ratio in ratios)

    app.emit(_document(one, two, found[0]), lines)


def _document(one: str, two: str, found: Comparison) -> dict[str, Any]:
    def samples(side: int) -> list[dict[str, float]]:
        return [{name: of(pair[side]) for name, of in _MEASURES.items()} for pair in found.pairs]

    return {
        "a": {"name": one, "median": {name: found.median(0, of) for name, of in _MEASURES.items()}, "runs": samples(0)},
        "b": {"name": two, "median": {name: found.median(1, of) for name, of in _MEASURES.items()}, "runs": samples(1)},
        "ratio": {name: found.ratio(of) for name, of in _MEASURES.items()},
    }


command = compare
