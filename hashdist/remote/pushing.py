"""Push profiles, tags, host scans and sources to another repository, by the git program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashdist.errors import ConflictError, HashdistError, NetworkError
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.sources.git_remote import GitProgram
from hashdist.sources.network import Network
from hashdist.store.store import Store

from .remotes import Remote, for_git

_MOVED = re.compile(r"non-fast-forward|fetch first|stale info|needs force", re.IGNORECASE)


class RemoteMovedError(ConflictError):
    """A profile of a remote that has what this store has not."""

    code = "remote_moved"


class PushRefusedError(HashdistError):
    """A push that the other side refused."""

    code = "push_refused"


@dataclass(frozen=True, slots=True)
class Sent:
    """A ref that is to be, or was, pushed."""

    commit: CommitId | None
    """What it is to hold; None to delete it."""
    ref: str
    """Its name at the other side."""
    expected: CommitId | None = None
    """With `force`: what the other side must still hold."""
    force: bool = False
    """Whether what the other side has may be lost."""


def push(store: Store, remote: Remote, sent: Sequence[Sent], *, env: Mapping[str, str], network: Network) -> list[Sent]:
    """Push refs, all of them or none; returns those that were not at the other side already.

    Raises `RemoteMovedError`, `PushRefusedError` or `NetworkError`.
    """
    settings = ("push.gpgSign=false", "push.recurseSubmodules=no")
    program = GitProgram({**env, "PATH": store.search_path}, network, settings)
    url = for_git(remote.url)
    leases = [f"--force-with-lease={one.ref}:{one.expected or ''}" for one in sent if one.force]
    refspecs = [f"{one.commit or ''}:{one.ref}" for one in sent]  # with '+' no lease would count
    arguments = [
        "push",
        "--porcelain",
        "--progress",
        "--atomic",
        "--no-verify",
        "--no-follow-tags",
        *leases,
        "--",
        url,
        *refspecs,
    ]
    besides = {name: value for name, value in store.git_env().items() if name == "GIT_ALTERNATE_OBJECT_DIRECTORIES"}
    with network.progress.task(remote.name, None, "step") as task:
        try:
            output = program.ask(url, *arguments, repository=store.git, task=task, besides=besides)
        except NetworkError as error:
            failed = error.__cause__
            words = getattr(failed, "stdout", b"").decode(errors="replace")
            _refuse(remote, words, error)
            raise
    return _changed(sent, output.decode(errors="replace"))


def _refuse(remote: Remote, output: str, error: NetworkError) -> None:
    """Raise what says best why a push was refused."""
    refused = [line.split("\t") for line in output.splitlines() if line.startswith("!\t")]
    for line in refused:
        name = names.short_name(line[1].rpartition(":")[2]) if len(line) > 1 else ""
        reason = line[2] if len(line) > 2 else ""  # noqa: PLR2004 - flag, names, reason
        if _MOVED.search(reason):
            raise RemoteMovedError(
                f"'{name}' of {remote.name} has commits that are not here",
                hint=f"hdist pull {remote.name}, and push again; or --force-with-lease to drop them",
            ) from error
    if refused:
        told = next((line for line in refused if "atomic" not in line[-1]), refused[0])
        name = names.short_name(told[1].rpartition(":")[2]) if len(told) > 1 else "it"
        raise PushRefusedError(f"{remote.name} refuses '{name}': {told[-1]}", hint=error.hint) from error


def _changed(sent: Sequence[Sent], output: str) -> list[Sent]:
    flags = {}
    for line in output.splitlines():
        fields = line.split("\t")
        if len(fields) >= 2:  # noqa: PLR2004 - flag and names
            flags[fields[1].rpartition(":")[2]] = fields[0]
    return [one for one in sent if flags.get(one.ref) not in {"=", "!"}]
