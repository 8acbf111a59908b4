"""Run a build's commands: no input, one log, own process group, nothing left running."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from hashdist.fsutil.modes import is_shared
from hashdist.preload.jail import Jail
from hashdist.process import kill_by_environment

from .environment import Workplace, as_shell
from .jobserver import Jobserver

_POLL_SECONDS = 0.05
#: Whatever the user's is, builds see the same.
_UMASK, _GROUPS = 0o022, 0o002
_MISSING = (
    re.compile(r"(?:^|[:\s])([A-Za-z0-9_+.-]+): (?:command )?not found"),
    re.compile(r"(?:make|env)(?:\[\d+\])?: [‘'\"]?([A-Za-z0-9_+.-]+)[’'\"]?: No such file or directory"),
)
_COMPILERS = {"cc", "gcc", "c++", "g++", "cpp", "ar", "as", "ld", "nm", "ranlib", "strip"}


def run_commands(
    commands: Sequence[str], *, env: Mapping[str, str], place: Workplace, jobserver: Jobserver, jail: Jail | None = None
) -> int:
    """Run the commands as one shell script in ``src`` and return its status; everything it printed is in ``log``.

    Raises `Cancelled`; whatever the commands started is dead afterwards.
    """
    script = place.inside("build.sh")
    with open(script, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(as_shell(env, commands, directory=place.inside("src")))
    shell = shutil.which("sh", path=env["PATH"]) or "/bin/sh"
    with open(place.inside("log"), "wb") as log:
        process = subprocess.Popen(
            [shell, script],
            env={**(jail.environment(env) if jail else env), **jobserver.variables},
            cwd=place.inside("src"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=_GROUPS if is_shared(place.root) else _UMASK,
            pass_fds=jobserver.descriptors,
        )
        try:
            delay = 0.0005
            while not _has_ended(process):
                jobserver.check()
                time.sleep(delay)
                delay = min(delay * 2, _POLL_SECONDS)
        finally:
            # before the shell is reaped: afterwards its number could be somebody else's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            # also what left the group: it is known by its PREFIX, and nobody else builds there
            kill_by_environment("PREFIX", place.prefix)
        return process.returncode


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended; it is left to be reaped."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def last_lines(path: str, count: int = 20) -> list[str]:
    """The end of a log; nothing where there is none yet."""
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 16384))
        return file.read().decode(errors="replace").splitlines()[-count:]


def missing_command_hint(lines: Sequence[str]) -> str | None:
    """What to write into the stack file when the log's end says that a command was not found."""
    for line in reversed(lines):
        for pattern in _MISSING:
            found = pattern.search(line)
            if found:
                return _hint(found[1])
    return None


def _hint(command: str) -> str:
    if command in _COMPILERS:
        return (
            f'\'{command}\' comes with a compiler: under [host] gcc = "path:gcc", and "gcc" among the package\'s inputs'
        )
    if command.startswith("python"):
        return (
            f'\'{command}\' comes with: under [host] python = "path:python3", and "python" among the package\'s inputs'
        )
    return (
        f"'{command}' is in none of the package's inputs: under [host] {command} = \"path:{command}\", "
        f'and "{command}" among its inputs'
    )
