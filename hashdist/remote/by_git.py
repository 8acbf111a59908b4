"""Carried by the git program: with users' ssh configuration and credential helpers, and git's own checks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashdist.errors import NetworkError
from hashdist.refs import names
from hashdist.sources.git_remote import GitProgram
from hashdist.sources.network import Network
from hashdist.store.store import Store

from .carrier import Sent, moved, refused
from .quarantine import Quarantine
from .remotes import Remote, for_git

#: git looks at what is sent, too; our sources have settings of git's in them, which are data.
_CHECKS = (
    "fetch.fsckObjects=true",
    "transfer.fsckObjects=true",
    "fetch.unpackLimit=1",
    "core.alternateRefsCommand=true",
)
_SOURCE_CHECKS = tuple(
    f"fetch.fsck.{check}=ignore"
    for check in (
        "gitmodulesBlob gitmodulesLarge gitmodulesMissing gitmodulesName gitmodulesParse gitmodulesPath "
        "gitmodulesSymlink gitmodulesUpdate gitmodulesUrl"
    ).split()
)
_OF_PUSHES = ("push.gpgSign=false", "push.recurseSubmodules=no")
_MOVED = re.compile(r"non-fast-forward|fetch first|stale info|needs force", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ByGit:
    """A carrier."""

    store: Store
    """Whose objects are sent."""
    env: Mapping[str, str]
    """The user's environment: ssh's agent, git's settings."""
    network: Network
    """Offline or not; how patient."""

    def refs(self, url: str, patterns: Sequence[str]) -> dict[str, str]:
        """See `Carrier`."""
        said = self._program().ask(for_git(url), "ls-remote", "--", for_git(url), *patterns).decode(errors="replace")
        pairs = (line.split("\t", 1) for line in said.split("\n") if "\t" in line)
        return {name: id for id, name in pairs}

    def default_branch(self, url: str) -> str | None:
        """See `Carrier`."""
        said = self._program().ask(for_git(url), "ls-remote", "--symref", "--", for_git(url), "HEAD")
        for line in said.decode(errors="replace").split("\n"):
            if line.startswith(f"ref: {names.HEADS}") and line.endswith("\tHEAD"):
                return line[len(f"ref: {names.HEADS}") : -len("\tHEAD")]
        return None

    def fetch(self, place: Quarantine, url: str, refspecs: Sequence[str], *, source: bool) -> None:
        """See `Carrier`."""
        program = self._program(*_CHECKS, *(_SOURCE_CHECKS if source else ()))
        check = place.limit(self.network.settings.limits.download, self.network.check)
        arguments = ["fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--", for_git(url), *refspecs]
        with self.network.progress.task(url.rstrip("/").rpartition("/")[2], None, "step") as task:
            program.ask(for_git(url), *arguments, repository=place.path, task=task, check=check)

    def push(self, remote: Remote, sent: Sequence[Sent]) -> list[Sent]:
        """See `Carrier`."""
        url = for_git(remote.url)
        leases = [f"--force-with-lease={one.ref}:{one.expected or ''}" for one in sent if one.force]
        refspecs = [f"{one.commit or ''}:{one.ref}" for one in sent]  # with '+' no lease would count
        options = ["--porcelain", "--progress", "--atomic", "--no-verify", "--no-follow-tags"]
        arguments = ["push", *options, *leases, "--", url, *refspecs]
        above = "GIT_ALTERNATE_OBJECT_DIRECTORIES"
        besides = {name: value for name, value in self.store.git_env().items() if name == above}
        with self.network.progress.task(remote.name, None, "step") as task:
            try:
                output = self._program(*_OF_PUSHES).ask(
                    url, *arguments, repository=self.store.git, task=task, besides=besides
                )
            except NetworkError as error:
                failed = error.__cause__
                _refuse(remote, getattr(failed, "stdout", b"").decode(errors="replace"), error)
                raise
        return _changed(sent, output.decode(errors="replace"))

    def _program(self, *settings: str) -> GitProgram:
        return GitProgram({**self.env, "PATH": self.store.search_path}, self.network, settings)


def _refuse(remote: Remote, output: str, error: NetworkError) -> None:
    """Raise what says best why a push was refused."""
    lines = [line.split("\t") for line in output.splitlines() if line.startswith("!\t")]
    for line in lines:
        reason = line[2] if len(line) > 2 else ""  # noqa: PLR2004 - flag, names, reason
        if _MOVED.search(reason):
            raise moved(remote, _target(line)) from error
    if lines:
        told = next((line for line in lines if "atomic" not in line[-1]), lines[0])
        raise refused(remote, _target(told), told[-1], hint=error.hint) from error


def _target(line: Sequence[str]) -> str:
    """The ref at the other side that a line of git's is about."""
    return line[1].rpartition(":")[2] if len(line) > 1 else "it"


def _changed(sent: Sequence[Sent], output: str) -> list[Sent]:
    flags = {}
    for line in output.splitlines():
        fields = line.split("\t")
        if len(fields) >= 2:  # noqa: PLR2004 - flag and names
            flags[_target(fields)] = fields[0]
    return [one for one in sent if flags.get(one.ref) not in {"=", "!"}]
