"""The remotes of a store, and what profiles follow there: in the repository's own settings, as plain git has them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from hashdist.errors import ConflictError, InvalidError, NotFoundError
from hashdist.objects.settings import RepositorySettings
from hashdist.refs import names
from hashdist.sources.declaration import git_url_fault, without_credentials
from hashdist.store.store import Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}\Z")
_SCP = re.compile(r"[^/:]+@[^/:]+:")
_WITH_PASSWORD = re.compile(r"(?![/.~])[^/]*(:/?/?)?[^/@]*:[^/@]*@")


class NoRemoteError(NotFoundError):
    """A remote that is not known."""

    code = "no_remote"


@dataclass(frozen=True, slots=True)
class Remote:
    """Another repository that was trusted when it was added."""

    name: str
    """What it is called here."""
    url: str
    """Where it is, without credentials: what the git program takes; a path is absolute."""

    @property
    def refs(self) -> str:
        """Where its profiles are followed."""
        return f"{names.REMOTES}{self.name}/"


@dataclass(frozen=True, slots=True)
class Following:
    """What a profile follows."""

    remote: str
    """The remote's name."""
    branch: str
    """The profile's name there."""


def check_url(url: str, *, directory: str | None = None) -> str:
    """The URL as it is recorded: of a path the absolute one, relative to `directory`; raises `InvalidError`."""
    if not url or "\0" in url or "\n" in url or url.startswith("-"):
        raise InvalidError(f"'{url[:60]}' is no place of a repository")
    if _WITH_PASSWORD.match(url) or (urlsplit(url).scheme in {"http", "https"} and without_credentials(url) != url):
        raise InvalidError(
            "holds a user name, password or token, which would be recorded: a credential helper gives it"
        )
    if "://" not in url and not _SCP.match(url):
        path = os.path.expanduser(url)
        return os.path.normpath(os.path.join(directory or os.sep, path))
    if fault := git_url_fault(url):
        raise InvalidError(fault)
    return url


def is_local(url: str) -> bool:
    """Whether a URL is of this machine."""
    return url.startswith("/") or urlsplit(url).scheme == "file"


def for_git(url: str) -> str:
    """The URL as the git program gets it: a directory as a URL, so that nothing is linked or trusted in it."""
    return f"file://{quote(url)}" if url.startswith("/") and os.path.isdir(url) else url


def remotes(store: Store) -> dict[str, Remote]:
    """All remotes, by name."""
    found = {}
    for key, value in _settings(store).read("remote").items():
        kind, _, rest = key.partition(".")
        name, _, what = rest.rpartition(".")
        if (kind, what) == ("remote", "url"):
            found[name] = Remote(name, value)
    return dict(sorted(found.items()))


def find_remote(store: Store, name: str | None, *, profile: str | None = None) -> Remote:
    """The remote of a name; without one that which a profile follows, the only one, or ``origin``.

    Raises `NoRemoteError`.
    """
    known = remotes(store)
    if name is None and profile is not None:
        following = followed(store, profile)
        name = following.remote if following else None
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    name = name or "origin"
    if name not in known:
        words = f"no remote named '{name}'" if known else "no remote is known"
        raise NoRemoteError(words, hint="hdist remote add NAME URL; hdist remote list")
    return known[name]


def add_remote(store: Store, name: str, url: str) -> Remote:
    """Remember a remote; raises `ConflictError` if there is one of that name, or `InvalidError`."""
    if not _NAME.match(name) or not names.is_ref_name(name):
        raise InvalidError(f"bad remote name '{name[:60]}'", hint="use letters, digits and . _ + -")
    known = remotes(store).get(name)
    if known is not None:
        raise ConflictError(f"there is a remote '{name}' already: {known.url}", hint=f"hdist remote remove {name}")
    with store.refs.still("remote add"):
        followed = f"+{names.HEADS}*:{names.REMOTES}{name}/*"
        _settings(store).change({f"remote.{name}.url": url, f"remote.{name}.fetch": followed})
    return Remote(name, url)


def remove_remote(store: Store, name: str) -> Remote:
    """Forget a remote, with what was known of it; raises `NoRemoteError`."""
    remote = find_remote(store, name)
    followers = [profile for profile, one in _followers(store).items() if one.remote == name]
    with store.refs.transaction(f"remote: removed {name}") as transaction:
        for ref, commit in store.refs.all(remote.refs).items():
            transaction.delete(ref, old=commit)
    with store.refs.still("remote remove"):
        _settings(store).remove(f"remote.{name}", *(f"branch.{profile}" for profile in followers))
    return remote


def followed(store: Store, profile: str) -> Following | None:
    """What a profile follows; None if it follows nothing."""
    return _followers(store).get(profile)


def follow(store: Store, profile: str, following: Following) -> None:
    """Have a profile follow one of a remote, as git's own branches do."""
    with store.refs.still("follow"):
        branch = {"remote": following.remote, "merge": names.HEADS + following.branch}
        _settings(store).change({f"branch.{profile}.{key}": value for key, value in branch.items()})


def follow_no_more(store: Store, profile: str) -> None:
    """Have a profile follow nothing."""
    if followed(store, profile) is not None:
        with store.refs.still("follow"):
            _settings(store).remove(f"branch.{profile}")


def _followers(store: Store) -> dict[str, Following]:
    settings = _settings(store).read("branch")
    found = {}
    for key, value in settings.items():
        kind, _, rest = key.partition(".")
        profile, _, what = rest.rpartition(".")
        if (kind, what) == ("branch", "remote"):
            merge = settings.get(f"branch.{profile}.merge", names.HEADS + profile)
            found[profile] = Following(value, merge.removeprefix(names.HEADS))
    return found


def _settings(store: Store) -> RepositorySettings:
    return RepositorySettings(os.path.join(store.git, "config"), store.inside("downloads"), store.search_path)
