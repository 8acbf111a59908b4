"""``hdist doctor``: tell what is here and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator

import click

from hashdist import process
from hashdist.build.runpath import patchelf
from hashdist.cli.app import App, command as make
from hashdist.errors import HashdistError
from hashdist.fsutil.mounts import mount_of
from hashdist.hostscan.host_class import host_class
from hashdist.version import __version__
from hashdist.workflow.health import look
from hashdist.workflow.prefixes import find_prefix

_PROGRAMS = ("git", "sh", "make", "patch", "tar", "gcc", "python3")


@make(reads=True)
@click.argument("prefix", required=False, metavar="[PREFIX|PROFILE|REVISION]")
def doctor(app: App, prefix: str | None) -> int:
    """Look at the programs hdist uses, the store and its file system; exit 1 when something needed is missing.

    With PREFIX look that over instead: links that lead nowhere, libraries that the loader would not find or would take
    from the host though nothing captured them, interpreters that are gone, Python requirements that are not met.
    """
    if prefix is not None:
        return _prefix(app, prefix)
    mount = mount_of(app.path)
    facts = {
        "hdist": __version__,
        "python": f"{platform.python_version()} at {sys.executable}",
        "host": host_class(),
        "kernel": platform.release(),
        "store": app.path if os.path.exists(os.path.join(app.path, "format")) else f"{app.path} (not made yet)",
        "file system": f"{mount.kind} at {mount.place}" if mount.place else mount.kind,
        "locks": mount.locks,
    }
    programs = {name: shutil.which(name, path=app.env.get("PATH")) for name in _PROGRAMS}
    programs["patchelf"] = shutil.which(patchelf(app.env), path=app.env.get("PATH"))
    git = process.run(["git", "--version"], env=app.env).decode().split()[-1] if programs["git"] else None
    if git:
        facts["git"] = git
    problems = [
        f"no '{name}': install it with your system's package manager"
        for name in ("git", "patchelf")
        if not programs[name]
    ]

    if os.path.exists(os.path.join(app.path, "format")):
        try:
            _, *upstream = (one.config.path for one in app.store.chain)
            facts["upstream"] = ", ".join(upstream) or "none"
        except HashdistError as error:
            problems.append(f"{error.message}: {error.hint}" if error.hint else error.message)
    if mount.is_weak:
        facts["note"] = "when a machine dies, let go what it held: hdist gc --assume-dead HOST"

    def lines() -> Iterator[str]:
        yield from (f"{name:<12} {value}" for name, value in facts.items())
        yield from (f"{name:<12} {path or 'not found'}" for name, path in programs.items())
        yield from (f"problem      {problem}" for problem in problems)

    app.emit({"facts": facts, "programs": programs, "problems": problems}, lines)
    return 1 if problems else 0


def _prefix(app: App, name: str) -> int:
    found = find_prefix(app.session, name)
    health = look(app.session, found.path)

    def lines() -> Iterator[str]:
        yield f"prefix     {found.path}"
        yield f"artifacts  {health.artifacts}"
        yield f"entries    {health.entries} (files, links and directories)"
        yield f"ELF files  {health.programs}"
        yield from (f"{problem.kind:<10} {problem.path}: {problem.words}" for problem in health.problems)
        yield "all is well" if not health.problems else f"{len(health.problems)} problems"

    document = {
        "prefix": found.path,
        "artifacts": health.artifacts,
        "entries": health.entries,
        "elf_files": health.programs,
        "problems": [{"kind": one.kind, "path": one.path, "words": one.words} for one in health.problems],
    }
    app.emit(document, lines)
    return 1 if health.problems else 0


command = doctor
