"""``hdist stage-artifact``: give a script the directory to build an artifact into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

import click

from hashdist.build.staging import stage
from hashdist.cli.app import App, command as make
from hashdist.cli.specs import document_argument, files_option, spec_of


@make(reads=True)
@document_argument
@files_option
@click.option("--pid", type=int, metavar="PID", help="The process that builds; else the one that called hdist.")
@click.option("--keep", is_flag=True, help="Keep what an earlier try left in the directory.")
def stage_artifact(app: App, file: BinaryIO, files: tuple[str, ...], pid: int | None, keep: bool) -> int:
    """Make the directory of the artifact of a spec, and print its path; exit 1 when it was sealed before.

    The spec is FILE, as for hash-spec; its runner is a name, of whatever builds. Until PID ends or seal-artifact is
    called nobody else gets the directory, and gc leaves it alone.
    """
    spec = spec_of(app, file, files)
    done = stage(app.store, spec, pid=pid or os.getppid(), keep=keep)
    document = {"artifact": str(spec.artifact), "spec": spec.id, "path": done.path, "sealed": done.sealed}

    def lines() -> Iterator[str]:
        yield done.path

    app.emit(document, lines)
    return 1 if done.sealed else 0


command = stage_artifact
