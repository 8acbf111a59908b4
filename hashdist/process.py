"""The one door to other programs: an argument list, an explicit environment, a typed failure."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence

from .errors import HashdistError, NotFoundError

_CHUNK = 1 << 18


class ProgramMissingError(NotFoundError):
    """A program that hashdist calls is not installed."""

    code = "program_missing"


class ProgramFailedError(HashdistError):
    """A program that hashdist called said no; ``stderr`` holds its words."""

    code = "program_failed"

    def __init__(self, arguments: Sequence[str], status: int, stderr: str) -> None:
        last = stderr.strip().splitlines()[-1:] or ["it said nothing"]
        super().__init__(f"'{arguments[0]}' failed with status {status}: {last[0]}")
        self.status = status
        self.stderr = stderr


class ProgramTimeoutError(ProgramFailedError):
    """A program that took longer than it was given."""


def kill_by_environment(name: str, value: str) -> int:
    """Kill all processes of ours in whose environment the variable has this value; return how many there were."""
    wanted = os.fsencode(f"{name}={value}")
    killed = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if wanted not in file.read().split(b"\0"):
                    continue
            os.kill(int(entry), signal.SIGKILL)
        except OSError:
            continue
        killed += 1
    return killed


def run(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    stdin: bytes = b"",
    cwd: str | None = None,
    timeout: float | None = None,
    pass_fds: Sequence[int] = (),
) -> bytes:
    """Run a program to its end and return its standard output.

    Raises `ProgramMissingError`, or `ProgramFailedError` when its status is not zero or it took
    more than `timeout` seconds.
    """
    try:
        done = subprocess.run(
            list(arguments),
            env=dict(env),
            input=stdin,
            cwd=cwd,
            timeout=timeout,
            pass_fds=pass_fds,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise ProgramMissingError(
            f"no program '{arguments[0]}'", hint=f"install '{arguments[0]}' with your system's package manager"
        ) from error
    except PermissionError as error:
        raise ProgramMissingError(f"'{arguments[0]}' cannot be executed: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise ProgramTimeoutError(arguments, -1, f"no answer within {timeout} seconds") from error
    if done.returncode != 0:
        raise ProgramFailedError(arguments, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout


def stream(arguments: Sequence[str], *, env: Mapping[str, str]) -> Iterator[bytes]:
    """Run a program and give its standard output piece by piece; raises as `run` does, at the end."""
    try:
        program = subprocess.Popen(
            list(arguments), env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except FileNotFoundError as error:
        raise ProgramMissingError(
            f"no program '{arguments[0]}'", hint=f"install '{arguments[0]}' with your system's package manager"
        ) from error
    with program:
        assert program.stdout is not None, "it is a pipe"
        assert program.stderr is not None, "it is a pipe"
        try:
            while chunk := program.stdout.read(_CHUNK):
                yield chunk
            said = program.stderr.read()
        except BaseException:
            program.kill()
            raise
    if program.returncode != 0:
        raise ProgramFailedError(arguments, program.returncode, said.decode(errors="replace"))


def listen(arguments: Sequence[str], *, env: Mapping[str, str], told: Callable[[str], None]) -> None:
    """Run a program that tells on its standard error how far it is; `told` gets each line. Raises as `run` does."""
    try:
        program = subprocess.Popen(
            list(arguments), env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    except FileNotFoundError as error:
        raise ProgramMissingError(
            f"no program '{arguments[0]}'", hint=f"install '{arguments[0]}' with your system's package manager"
        ) from error
    said: list[str] = []
    with program:
        assert program.stderr is not None, "it is a pipe"
        try:
            rest = b""
            while chunk := program.stderr.read1(4096):  # type: ignore[attr-defined]
                *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
                for line in lines:
                    text = line.decode(errors="replace").strip()
                    said = [*said[-20:], text] if text else said
                    told(text)
            said.append(rest.decode(errors="replace"))
        except BaseException:
            program.kill()
            raise
    if program.returncode != 0:
        raise ProgramFailedError(arguments, program.returncode, "\n".join(said))
