"""Run `hdist` from a Python that has read its modules: it forks for each command, and the command is a process of its own.

Most of a small command's time is Python's start, and tests run thousands of them. What Python reads when it starts is
as it was for the server; a command whose environment differs in that is started anew.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from typing import BinaryIO, NoReturn

#: What is read once, when Python, libc or OpenSSL start.
_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "SSL_", "TZ", "FAKETIME", "MALLOC_", "GLIBC_")
_COMMAND = ("-m", "hashdist.cli")
_FDS = 3


def _at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_AT_START)}


def run_cold(
    arguments: Sequence[str], *, env: Mapping[str, str], cwd: str, stdin: str
) -> subprocess.CompletedProcess[str]:
    """Run ``hdist`` from the beginning."""
    command = [sys.executable, *_COMMAND, *arguments]
    return subprocess.run(command, env=env, cwd=cwd, input=stdin, capture_output=True, text=True, check=False)


class Warm:
    """Runs commands; start one per test process."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._socket, there = socket.socketpair()
        with there:
            command = [sys.executable, __file__, str(there.fileno())]
            self._server = subprocess.Popen(
                command, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, env=env, cwd="/"
            )
        self._env = _at_start(env)
        self._lock = threading.Lock()

    def run(
        self, arguments: Sequence[str], *, env: dict[str, str], cwd: str, stdin: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``hdist`` and give what it printed, as `subprocess.run` does."""
        if _at_start(env) != self._env:
            return run_cold(arguments, env=env, cwd=cwd, stdin=stdin)
        with self._lock, contextlib.ExitStack() as stack:
            files: list[BinaryIO] = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(_FDS)]
            files[0].write(stdin.encode())
            files[0].seek(0)
            umask = os.umask(0)
            os.umask(umask)
            request = {"arguments": list(arguments), "env": env, "cwd": cwd, "umask": umask}
            socket.send_fds(self._socket, [json.dumps(request).encode() + b"\n"], [file.fileno() for file in files])
            status = int(self._socket.recv(32))
            out, err = (_text(file) for file in files[1:])
        return subprocess.CompletedProcess([sys.executable, *_COMMAND, *arguments], status, out, err)

    def close(self) -> None:
        """End the server."""
        self._socket.close()
        self._server.wait()


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def _serve(connection: socket.socket) -> None:
    while True:
        data, fds, _, _ = socket.recv_fds(connection, 1 << 16, _FDS)
        if not data:
            return
        while not data.endswith(b"\n"):
            data += connection.recv(1 << 16)
        pid = os.fork()
        if not pid:
            connection.close()
            _command(json.loads(data), fds)
        for fd in fds:
            os.close(fd)
        _, status = os.waitpid(pid, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _command(request: dict[str, object], fds: Sequence[int]) -> NoReturn:
    code = 1
    try:
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
        os.closerange(_FDS, 64)
        os.chdir(str(request["cwd"]))
        os.umask(int(str(request["umask"])))
        os.environ.clear()
        os.environ.update(request["env"])  # type: ignore[arg-type, call-overload]
        sys.argv = ["hdist", *request["arguments"]]  # type: ignore[misc]
        _look_for_settings_of_git(request["env"])  # type: ignore[arg-type]
        gc.enable()
        from hashdist.cli.main import run

        run()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001 - told as Python tells it
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _look_for_settings_of_git(env: Mapping[str, str]) -> None:
    """Have libgit2 look where it would have, had it begun with this environment."""
    import pygit2

    home = env.get("HOME", "")
    paths = pygit2.settings.search_path
    paths[pygit2.enums.ConfigLevel.GLOBAL] = home
    paths[pygit2.enums.ConfigLevel.XDG] = os.path.join(env.get("XDG_CONFIG_HOME") or f"{home}/.config", "git")


def _read_modules() -> None:
    """Read all that commands read."""
    import hashdist

    for module in pkgutil.walk_packages(hashdist.__path__, "hashdist."):
        if not {"glue", "scripts", "hdistjail", "__main__"} & set(module.name.split(".")):
            importlib.import_module(module.name)


if __name__ == "__main__":
    _read_modules()
    gc.collect()
    gc.freeze()
    gc.disable()
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        _serve(channel)
