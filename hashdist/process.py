"""The one door to other programs: an argument list, an explicit environment, a typed failure."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from .errors import HashdistError, NotFoundError

_CHUNK = 1 << 18
#: Seconds between two looks at whether anybody waits for a program, and for it to end when nobody does.
_MOMENT = 0.1
#: By this variable all processes that a program started are found again.
_MARK = "HDIST_STARTED"
_PATIENCE = 2.0


class ProgramMissingError(NotFoundError):
    """A program that hashdist calls is not installed."""

    code = "program_missing"


class ProgramFailedError(HashdistError):
    """A program that hashdist called said no; ``stderr`` and ``stdout`` hold its words."""

    code = "program_failed"

    def __init__(self, arguments: Sequence[str], status: int, stderr: str, stdout: bytes = b"") -> None:
        last = stderr.strip().splitlines()[-1:] or ["it said nothing"]
        super().__init__(f"'{arguments[0]}' failed with status {status}: {last[0]}")
        self.status = status
        self.stderr = stderr
        self.stdout = stdout


class ProgramTimeoutError(ProgramFailedError):
    """A program that took longer than it was given."""


def kill_by_environment(name: str, value: str, *, session: int | None = None) -> int:
    """Kill all processes of ours in whose environment the variable has this value; return how many there were.

    With `session` only those of that session.
    """
    wanted = os.fsencode(f"{name}={value}")
    killed = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if wanted not in file.read().split(b"\0"):
                    continue
            if session is not None and os.getsid(int(entry)) != session:
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
        with _missing(arguments):
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
    except subprocess.TimeoutExpired as error:
        raise ProgramTimeoutError(arguments, -1, f"no answer within {timeout} seconds") from error
    if done.returncode != 0:
        raise ProgramFailedError(arguments, done.returncode, done.stderr.decode(errors="replace"), done.stdout)
    return done.stdout


def beginning(arguments: Sequence[str], *, env: Mapping[str, str], size: int, timeout: float) -> bytes:
    """The first bytes that a program prints, whatever its status; then it is ended, with what it started.

    Raises `ProgramMissingError`, or `ProgramTimeoutError` if it neither ends nor prints so much within `timeout`
    seconds.
    """
    with _missing(arguments):
        program = subprocess.Popen(
            list(arguments),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    found = b""
    end = time.monotonic() + timeout
    assert program.stdout is not None, "it was asked for"
    with program, selectors.DefaultSelector() as selector:
        selector.register(program.stdout, selectors.EVENT_READ)
        try:
            while len(found) < size and time.monotonic() < end:
                if selector.select(_MOMENT):
                    chunk = os.read(program.stdout.fileno(), size - len(found))
                    if not chunk:
                        return found
                    found += chunk
                elif program.poll() is not None:
                    return found  # what it started may hold the pipe for as long as it likes
            if len(found) >= size:
                return found
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
    raise ProgramTimeoutError(arguments, -1, f"no answer within {timeout} seconds")


@contextlib.contextmanager
def _started(arguments: Sequence[str], *, env: Mapping[str, str], told: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program at work; ended when the block raises. At the end its status must be zero, or `told` is its words."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    with _missing(arguments):
        program = subprocess.Popen(
            list(arguments),
            env={**env, _MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    with program:
        try:
            yield program
        except BaseException:
            program.terminate()  # git takes away its locks, and ends what it started
            try:
                program.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                program.kill()
            # what it started and does not end with it; what made itself a daemon, such as ssh's master, goes on
            kill_by_environment(_MARK, mark, session=os.getsid(0))
            raise
    if program.returncode != 0:
        raise ProgramFailedError(arguments, program.returncode, "\n".join(told))


@contextlib.contextmanager
def _missing(arguments: Sequence[str]) -> Iterator[None]:
    """Tell of a program that is not there, or cannot be executed."""
    try:
        yield
    except FileNotFoundError as error:
        raise ProgramMissingError(
            f"no program '{arguments[0]}'", hint=f"install '{arguments[0]}' with your system's package manager"
        ) from error
    except OSError as error:  # no permission; of another machine; no program at all
        raise ProgramMissingError(f"'{arguments[0]}' cannot be executed: {error.strerror}") from error


def _outputs(program: subprocess.Popen[bytes], check: Callable[[], None]) -> Iterator[tuple[bool, bytes]]:
    """What a program prints, as it comes (True) and what it says on its standard error (False), until it has ended.

    What it left running may hold its pipes open: that is not waited for.
    """
    assert program.stdout is not None, "it is a pipe"
    assert program.stderr is not None, "it is a pipe"
    with selectors.DefaultSelector() as pipes:
        for pipe in (program.stdout, program.stderr):
            pipes.register(pipe, selectors.EVENT_READ)
        while pipes.get_map():
            check()
            ready = pipes.select(_MOMENT)
            if not ready and program.poll() is not None:
                return
            for key, _ in ready:
                if chunk := os.read(key.fd, _CHUNK):
                    yield key.fileobj is program.stdout, chunk
                else:
                    pipes.unregister(key.fileobj)
    while True:
        check()
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(_MOMENT)
            return


def stream(arguments: Sequence[str], *, env: Mapping[str, str]) -> Iterator[bytes]:
    """Run a program and give its standard output piece by piece; raises as `run` does, at the end."""
    said: list[str] = []
    with _started(arguments, env=env, told=said) as program:
        for printed, chunk in _outputs(program, lambda: None):
            if printed:
                yield chunk
            else:
                said[:] = [*said[-20:], chunk.decode(errors="replace")]


def listen(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    told: Callable[[str], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> bytes:
    """Run a program that tells on its standard error how far it is, and return what it prints.

    `told` gets each line. `check` is called again and again; when it raises the program is ended. Raises as `run` does.
    """
    said: list[str] = []
    output: list[bytes] = []
    try:
        _listen(arguments, env, told, check, said, output)
    except ProgramFailedError as error:
        error.stdout = b"".join(output)
        raise
    return b"".join(output)


def _listen(
    arguments: Sequence[str],
    env: Mapping[str, str],
    told: Callable[[str], None],
    check: Callable[[], None],
    said: list[str],
    output: list[bytes],
) -> None:
    with _started(arguments, env=env, told=said) as program:
        rest = b""
        for printed, chunk in _outputs(program, check):
            if printed:
                output.append(chunk)
                continue
            *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                text = line.decode(errors="replace").strip()
                said[:] = [*said[-20:], text] if text else said
                told(text)
        said.append(rest.decode(errors="replace"))


def attend(arguments: Sequence[str], *, env: Mapping[str, str], pass_fds: Sequence[int] = ()) -> int:
    """Run a program with our own input, output and terminal, and return its status as shells count it.

    A program that a signal ended gives 128 and the signal's number. Signals that we get while it runs are handed on to
    it, but for those of the keyboard, which it gets itself. To be called from the main thread. Raises
    `ProgramMissingError`.
    """
    program: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def hand_on(number: int, _: object) -> None:
        if number in _KEYBOARD and _has_keyboard():
            return
        if program is None:
            early.append(number)
        else:
            program.send_signal(number)

    kept = {number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGHUP, *_KEYBOARD)}
    try:
        with _missing(arguments):
            program = subprocess.Popen(list(arguments), env=dict(env), pass_fds=pass_fds)
        for number in early:
            program.send_signal(number)
        status = program.wait()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


#: Signals that a terminal sends to all that runs in its foreground.
_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)


def _has_keyboard() -> bool:
    """Whether we are in the foreground of a terminal."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
