"""Run programs with prefixes in their environment."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import click

from hashdist.environment.loading import load, unload
from hashdist.process import ProgramMissingError
from hashdist.workflow.prefixes import find_prefix

from .app import App
from .owner import be_ourselves_again

_NOT_EXECUTABLE = 126
_NOT_FOUND = 127


class Wrapper(click.Command):
    """All that follows the command's first arguments is another command's."""

    allow_interspersed_args = False


def with_prefixes(app: App, names: Sequence[str]) -> dict[str, str]:
    """The user's environment with these prefixes loaded, the last in front; without names what is checked out."""
    env = dict(app.env)
    for name in names or (None,):
        found = find_prefix(app.session, name)
        # in front, also of what has been put there since it was loaded
        env = load(unload(env, found.path), found.name, found.path)
    return env


def command_of(arguments: Sequence[str]) -> list[str]:
    """The command that follows, without a ``--`` before it; raises `click.UsageError` if there is none."""
    words = list(arguments[1:] if arguments[:1] == ("--",) else arguments)
    if not words or not words[0]:
        raise click.UsageError("no command: write it behind --")
    return words


def become(arguments: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Become another program, found by the PATH in `env`; raises `ProgramMissingError`."""
    be_ourselves_again()
    sys.stdout.flush()
    sys.stderr.flush()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and what is ignored stays so
        signal.signal(number, signal.SIG_DFL)
    path = shutil.which(arguments[0], path=env.get("PATH")) or arguments[0]
    try:
        os.execve(path, list(arguments), dict(env))  # noqa: S606 - that is what it is for
    except OSError as error:
        if error.errno == errno.ENOEXEC:  # a script without a first line, which shells run all the same
            os.execve("/bin/sh", ["/bin/sh", path, *arguments[1:]], dict(env))  # noqa: S606
        raise cannot_run(arguments[0], path, error) from error


def cannot_run(name: str, path: str, error: OSError) -> ProgramMissingError:
    """The error of a command that cannot be run, with the status that shells and their like give it."""
    if not os.path.lexists(path):
        found = ProgramMissingError(f"no program '{name}' in the prefix or on PATH")
        found.exit_code = _NOT_FOUND
        return found
    why = "its interpreter is not there" if error.errno == errno.ENOENT else error.strerror
    found = ProgramMissingError(f"'{name}' cannot be executed: {why}")
    found.exit_code = _NOT_EXECUTABLE
    return found
