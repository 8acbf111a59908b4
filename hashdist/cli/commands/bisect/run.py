"""``hdist bisect run``: let a command judge."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.bisecting import tell, tell_guilty
from hashdist.cli.running import Wrapper, command_of
from hashdist.workflow.bisecting.running import run as judge
from hashdist.workflow.bisecting.within import blame_packages


@make(reads=True, fetches=True, kind=Wrapper)
@click.option("--packages", is_flag=True, help="Then go on within the commit: which of its packages are to blame.")
@click.option("-j", "--jobs", type=click.IntRange(1, 4096), help="Cores in all; without it those of this machine.")
@click.argument("arguments", nargs=-1, required=True, metavar="-- COMMAND [ARGUMENT]...", type=click.UNPROCESSED)
def run(app: App, packages: bool, jobs: int | None, arguments: tuple[str, ...]) -> None:
    """Try commits by a command until the first bad one is known: hdist bisect run -- python -m pytest.

    It runs with each commit's prefix in its environment. Status 0 says good, 125 that it cannot be told, others up to
    127 bad. What is missing is built; what does not build is skipped.
    """
    session = app.session if jobs is None else dataclasses.replace(app.session, jobs=jobs)
    words = command_of(arguments)
    with _apart(app):
        progress = judge(session, words, told=app.say)
        blamed = None
        if packages and progress.found is not None:
            blamed = blame_packages(session, progress.found, words, told=app.say)
    if blamed is None:
        tell(app, progress)
    else:
        tell_guilty(app, progress, blamed)


@contextlib.contextmanager
def _apart(app: App) -> Iterator[None]:
    """With ``--json`` have what the commands print on stderr: the document is alone on stdout."""
    if not app.as_json:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


command = run
