"""Run one command in a jail, with our own terminal: what ``hdist jail`` does."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hashdist.errors import HashdistError, NotFoundError
from hashdist.fsutil.removal import remove_tree
from hashdist.process import ProgramMissingError, attend

from . import confined
from .jail import VARIABLE, Jail, make_jail, refuse_unseen
from .landlock import make_ruleset
from .library import LIBRARY, JailInactiveError
from .report import Report
from .rules import Mode, Rules


class CommandNotFoundError(NotFoundError):
    """The command is not there, or not to be seen; as shells do it, the code is 127."""

    exit_code = 127
    code = "command_not_found"


class CommandUnfitError(HashdistError):
    """The command is there, but cannot be executed; as shells do it, the code is 126."""

    exit_code = 126
    code = "command_unfit"


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that was run."""

    status: int
    """As shells count it: of a signal it is 128 and the signal's number."""
    report: Report
    """What it used."""


def run(
    command: Sequence[str], rules: Rules, mode: Mode, *, env: Mapping[str, str], directory: str, landlock: bool = False
) -> Ran:
    """Run a command in a jail; `env` is its environment, and in `directory` a temporary one is made.

    Raises `JailInactiveError` where the jail would not hold: then the command has not run. Raises
    `CommandNotFoundError` if there is no such command, or it is undeclared and the jail enforced.
    """
    program = _program(command[0], rules, mode, env)
    if not landlock:
        refuse_unseen(program)
    with contextlib.ExitStack() as stack:
        _sweep(directory)
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{_mine()}{os.getpid()}-", dir=directory))
        try:
            jail = make_jail(place, rules, mode, env=env)
        except OSError as error:
            raise JailInactiveError(
                f"the jail has no room in '{directory}': {error.strerror}", hint="set TMPDIR to a directory with room"
            ) from error
        inside = jail.environment(env)
        if landlock:
            ruleset = stack.enter_context(_ruleset(rules, jail))
            variables = [f"{name}={inside[name]}" for name in ("LD_PRELOAD", VARIABLE)]
            start = [sys.executable, "-I", "-S", confined.__file__, str(ruleset), str(len(variables)), *variables]
            status = attend([*start, program, *command[1:]], env=env, pass_fds=[ruleset])
        else:
            status = _attend([program, *command[1:]], inside)
            if not jail.entered:
                raise JailInactiveError(
                    f"'{command[0]}' has run, but outside of the jail: the loader did not preload into it",
                    hint="is it a program of another machine, or one that gives itself rights?",
                )
        report = jail.report()
        if landlock:
            unseen = tuple(sorted({*report.unseen, *([] if jail.entered else [os.path.realpath(program)])}))
            # the kernel kept them to the rules
            report = dataclasses.replace(report, unseen=unseen, made_unseen=())
        return Ran(status, report)


def _attend(command: Sequence[str], env: Mapping[str, str]) -> int:
    try:
        return attend(command, env=env)
    except ProgramMissingError as error:
        # it is there, so it is what it names in its first line that is not
        gone = isinstance(error.__cause__, FileNotFoundError)
        words = f"'{command[0]}' cannot be executed: its interpreter is missing" if gone else error.message
        raise CommandUnfitError(words) from error


def _mine() -> str:
    """How the directories of this host's jails begin; the process follows."""
    return f"hdist-jail-{os.uname().nodename}-"


def _sweep(directory: str) -> None:
    """Remove what jails left whose process was killed."""
    try:
        names = os.listdir(directory)
    except OSError:
        return  # whether it can be used is seen in a moment
    for name in names:
        number = name.removeprefix(_mine()).partition("-")[0]
        path = os.path.join(directory, name)
        if name.startswith(_mine()) and number.isdigit() and not os.path.exists(f"/proc/{number}"):
            with contextlib.suppress(OSError):
                if os.lstat(path).st_uid == os.geteuid():
                    remove_tree(path)


def _program(name: str, rules: Rules, mode: Mode, env: Mapping[str, str]) -> str:
    found = name if "/" in name else shutil.which(name, path=env.get("PATH", os.defpath))
    if found is None or not os.path.exists(found):
        raise CommandNotFoundError(f"no command '{name}'")
    if os.path.isdir(found) or not os.access(found, os.X_OK):
        raise CommandUnfitError(f"'{name}' cannot be executed")
    place = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(found))), os.path.basename(found))
    if mode == "enforce" and not rules.allows(place):
        raise CommandNotFoundError(
            f"'{place}' is not declared, so it is hidden", hint=f"declare it: --host path:{place}, or --allow {place}"
        )
    return found


@contextlib.contextmanager
def _ruleset(rules: Rules, jail: Jail) -> Iterator[int]:
    """The kernel's form of the rules, with what the jail itself needs."""
    rules = rules.copy()
    rules.allow_writing(jail.directory)
    rules.allow(LIBRARY)
    ruleset = make_ruleset(rules)
    try:
        yield ruleset
    finally:
        os.close(ruleset)
