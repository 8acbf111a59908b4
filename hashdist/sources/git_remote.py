"""The git program, talking to servers: with the user's ssh and credentials, and nothing else that is set or left."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashdist import process
from hashdist.errors import NetworkError
from hashdist.process import ProgramFailedError

from .network import Network, UrlNotFoundError, check_allowed

if TYPE_CHECKING:
    from hashdist.progress import Task

_NOT_FOUND = re.compile(r"not found|does not exist|does not appear to be a git repository|No such file", re.IGNORECASE)
#: Whatever users have set: no hooks, no housekeeping behind our back, no submodules, no odd transports.
_SETTINGS = (
    "core.hooksPath=/dev/null gc.auto=0 maintenance.auto=false fetch.recurseSubmodules=false fetch.fsckObjects=false "
    "transfer.fsckObjects=false fetch.writeCommitGraph=false protocol.version=2 core.bigFileThreshold=16m"
).split()
_OF_USERS_TOO = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
_OF_USERS = frozenset(
    "GIT_SSH GIT_SSH_COMMAND GIT_SSH_VARIANT GIT_ASKPASS GIT_PROXY_COMMAND GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM "
    "GIT_CONFIG_NOSYSTEM GIT_CONFIG_COUNT GIT_SSL_CAINFO GIT_SSL_CAPATH GIT_SSL_CERT GIT_SSL_KEY GIT_SSL_NO_VERIFY "
    "GIT_HTTP_PROXY_AUTHMETHOD GIT_HTTP_LOW_SPEED_LIMIT GIT_HTTP_LOW_SPEED_TIME GIT_TRACE GIT_CURL_VERBOSE "
    "GIT_TRACE_PACKET".split()
)


@dataclass(frozen=True, slots=True)
class GitProgram:
    """Runs git on repositories of ours."""

    env: Mapping[str, str]
    """The user's environment: ssh's agent, git's settings."""
    network: Network
    """Offline or not; how patient."""
    settings: tuple[str, ...] = ()
    """Further settings of git, ``key=value``, which count before ours."""

    def run(self, repository: str, *arguments: str) -> bytes:
        """What git prints; raises `ProgramFailedError`."""
        return process.run([*self._command(), *arguments], env=_env(self.env, repository))

    def ask(
        self,
        url: str,
        *arguments: str,
        repository: str | None = None,
        task: Task | None = None,
        check: Callable[[], None] | None = None,
        besides: Mapping[str, str] | None = None,
    ) -> bytes:
        """Let git talk to a server; raises `UrlNotFoundError`, `OfflineError` or `NetworkError`.

        `check` is called again and again, and may raise; `besides` are further variables of its environment.
        """
        check_allowed(url, self.network)
        command = [*self._command(), *arguments]
        env = {**_env(self.env, repository), **(besides or {})}
        try:
            told = task.tell if task is not None else _nobody
            return process.listen(command, env=env, told=told, check=check or self.network.check)
        except ProgramFailedError as error:
            words = _words(error.stderr)
            if _NOT_FOUND.search(error.stderr) and "remote ref" not in error.stderr:
                raise UrlNotFoundError(f"nothing at '{url}': {words}") from error
            verb = "push to" if "push" in arguments[:1] else "fetch from"
            raise NetworkError(f"git cannot {verb} '{url}': {words}", hint=f"try: git ls-remote {url}") from error

    def _command(self) -> list[str]:
        settings = self.network.settings
        slow = (f"http.lowSpeedLimit={settings.minimum_rate}", f"http.lowSpeedTime={max(1, round(settings.patience))}")
        return ["git", *(word for setting in (*_SETTINGS, *slow, *self.settings) for word in ("-c", setting))]


def _env(env: Mapping[str, str], repository: str | None) -> dict[str, str]:
    """The user's environment, on a repository of ours, never asking for a password in the middle of things."""
    clean = {
        name: value
        for name, value in env.items()
        if not name.startswith("GIT_") or name.startswith(_OF_USERS_TOO) or name in _OF_USERS
    }
    clean |= {"LC_ALL": "C", "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file", "GIT_TERMINAL_PROMPT": "0"}
    return clean | ({"GIT_DIR": repository} if repository else {"GIT_DIR": "/dev/null"})


def _nobody(words: str) -> None:
    del words


def _words(stderr: str) -> str:
    """The line of what git said that tells most."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "ERROR:", "error:", "remote:"))]
    return (telling or lines or ["it said nothing"])[0][:300]
