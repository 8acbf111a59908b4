"""What carries objects and refs between repositories, whichever program does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hashdist.errors import ConflictError, HashdistError
from hashdist.objects.ids import CommitId
from hashdist.refs import names

from .remotes import Remote

if TYPE_CHECKING:
    from .quarantine import Quarantine


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


class Carrier(Protocol):
    """Talks to other repositories. All of it raises `NetworkError` where that fails, and when nobody waits any more."""

    def refs(self, url: str, patterns: Sequence[str]) -> dict[str, str]:
        """The refs there of some names, or that begin as a pattern does before its ``*``; with their ids."""

    def default_branch(self, url: str) -> str | None:
        """The profile that HEAD names there; None if it does not say."""

    def fetch(self, place: Quarantine, url: str, refspecs: Sequence[str], *, source: bool) -> None:
        """Bring refs into quarantine; what a `source` holds need not be as the files of a profile are."""

    def push(self, remote: Remote, sent: Sequence[Sent]) -> list[Sent]:
        """Push refs, all or none; returns those that were not there already.

        Raises `RemoteMovedError` or `PushRefusedError`.
        """


def moved(remote: Remote, ref: str) -> RemoteMovedError:
    """The error for a ref that has what is not here."""
    return RemoteMovedError(
        f"'{names.short_name(ref)}' of {remote.name} has commits that are not here",
        hint=f"hdist pull {remote.name}, and push again; or --force-with-lease to drop them",
    )


def refused(remote: Remote, ref: str, why: str, *, hint: str | None) -> PushRefusedError:
    """The error for a ref that the other side will not have."""
    return PushRefusedError(f"{remote.name} refuses '{names.short_name(ref)}': {why}", hint=hint)
