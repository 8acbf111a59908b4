"""Carried by libgit2, where there is no git program: with keys of ssh's usual names or its agent, and ~/.netrc.

It knows neither ssh's configuration nor credential helpers, and sends several times more slowly than git does.
"""

from __future__ import annotations

import contextlib
import getpass
import netrc
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hashdist.errors import HashdistError, InvalidError, NetworkError
from hashdist.objects import libgit2
from hashdist.refs import names
from hashdist.sources.network import Network, TooSlowError, check_allowed, local_path
from hashdist.sources.settings import FetchSettings
from hashdist.store.store import Store

from .carrier import Sent, moved, refused
from .directory import push_to_directory
from .quarantine import Quarantine
from .remotes import Remote

if TYPE_CHECKING:
    import pygit2

_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_HINT = "with the git program here, ssh's configuration and git's credential helpers would be used"


@dataclass(frozen=True, slots=True)
class ByLibgit2:
    """A carrier."""

    store: Store
    """Whose objects are sent."""
    env: Mapping[str, str]
    """The user's environment: HOME, ssh's agent."""
    network: Network
    """Offline or not; how patient."""

    def refs(self, url: str, patterns: Sequence[str]) -> dict[str, str]:
        """See `Carrier`."""
        exact = {pattern for pattern in patterns if not pattern.endswith("*")}
        begins = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
        heads = {head.name or "": str(head.oid) for head in self._heads(url)}
        return {name: id for name, id in heads.items() if name in exact or name.startswith(begins)}

    def default_branch(self, url: str) -> str | None:
        """See `Carrier`."""
        told = next((head.symref_target for head in self._heads(url) if head.name == "HEAD"), None) or ""
        return told[len(names.HEADS) :] if told.startswith(names.HEADS) else None

    def fetch(self, place: Quarantine, url: str, refspecs: Sequence[str], *, source: bool) -> None:
        """See `Carrier`; what is sent is looked at by the validator alone."""
        del source
        repository = libgit2.open_repository(place.path)
        check = place.limit(self.network.settings.limits.download, self.network.check)
        pace = _Pace(self.network.settings)
        with self.network.progress.task(url.rstrip("/").rpartition("/")[2], None, "object") as task:

            def told(stats: pygit2.remotes.TransferProgress) -> None:
                task.expect(stats.total_objects)
                task.tell(f"{stats.received_objects} of {stats.total_objects} objects")
                pace.check(stats.received_bytes, whole=stats.received_objects == stats.total_objects)
                check()

            with self._talking(url, "fetch from"):
                remote = repository.remotes.create_anonymous(self._address(url))
                remote.fetch(list(refspecs), callbacks=self._callbacks(transfer_progress=told), proxy=True)

    def push(self, remote: Remote, sent: Sequence[Sent]) -> list[Sent]:
        """See `Carrier`; servers are asked in three goes, so that profiles move last, when what they need is there."""
        known = self.refs(remote.url, [one.ref for one in sent])
        for one in sent:
            _check_move(remote, one, known.get(one.ref))
        moving = [one for one in sent if one.commit != known.get(one.ref)]
        if not moving:
            return []
        path = _directory(remote.url)
        if path is not None:
            with self._talking(remote.url, "push to"):
                push_to_directory(self.store, path, remote, moving, known)
            return moving
        heads = [one for one in moving if one.ref.startswith(names.HEADS)]
        tags = [one for one in moving if one.ref.startswith(names.TAGS)]
        for some in ([one for one in moving if one not in heads and one not in tags], tags, heads):
            if some:
                self._push(remote, some, known)
        return moving

    def _push(self, remote: Remote, sent: Sequence[Sent], known: Mapping[str, str]) -> None:
        wanted = {one.ref: one for one in sent}
        words: list[tuple[str, str]] = []

        def agree(updates: Sequence[pygit2.remotes.PushUpdate]) -> None:
            for update in updates:
                _check_move(remote, wanted[update.dst_refname], _id(update.src))

        def answered(ref: str, message: str | None) -> None:
            if message is not None:
                words.append((ref, message))

        repository = libgit2.open_repository(self.store.git)
        for above in self.store.chain[1:]:
            repository.odb.add_disk_alternate(os.path.join(above.git, "objects"))
        specs = [f"{'+' if one.force else ''}{one.commit or ''}:{one.ref}" for one in sent]
        try:
            with self._talking(remote.url, "push to"):
                callbacks = self._callbacks(push_negotiation=agree, push_update_reference=answered)
                target = repository.remotes.create_anonymous(self._address(remote.url))
                target.push(specs, callbacks=callbacks, proxy=True)
        except NetworkError as error:
            if "not present locally" in error.message or "non-fastforward" in error.message:
                stale = next((one for one in sent if known.get(one.ref) not in {None, one.commit}), sent[0])
                raise moved(remote, stale.ref) from error
            raise
        if words:
            raise refused(remote, *words[0], hint=None)

    def _heads(self, url: str) -> list[pygit2.remotes.RemoteHead]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._talking(url, "fetch from"))
            repository = libgit2.open_repository(self.store.git)
            remote = repository.remotes.create_anonymous(self._address(url))
            return remote.list_heads(callbacks=self._callbacks(), proxy=True)

    @contextlib.contextmanager
    def _talking(self, url: str, verb: str) -> Iterator[None]:
        """Ask whether we may, and have libgit2's errors as ours."""
        check_allowed(url, self.network)
        library = libgit2.load()
        patience = round(self.network.settings.patience * 1000)
        library.option(library.enums.Option.SET_SERVER_CONNECT_TIMEOUT, patience)
        library.option(library.enums.Option.SET_SERVER_TIMEOUT, patience)
        library.option(library.enums.Option.SET_HOMEDIR, self._home)
        if self.network.certificates is not None:
            library.settings.set_ssl_cert_locations(self.network.certificates, None)
        try:
            yield
        except HashdistError:
            raise
        except (library.GitError, OSError, ValueError, KeyError, TypeError) as error:
            raise NetworkError(f"libgit2 cannot {verb} '{url}': {error}", hint=_HINT) from error

    def _address(self, url: str) -> str:
        if os.path.isfile(url):
            raise InvalidError(f"'{url}' is a bundle, which libgit2 does not read", hint="install the git program")
        return url

    @property
    def _home(self) -> str:
        return self.env.get("HOME") or os.sep

    def _callbacks(self, **told: Callable[..., None]) -> pygit2.RemoteCallbacks:
        library = libgit2.load()
        offers: Iterator[Any] | None = None

        def credentials(url: str, user: str | None, allowed: int) -> Any:
            nonlocal offers
            kinds = library.enums.CredentialType
            user = user or getpass.getuser()
            if allowed & kinds.USERNAME and not allowed & (kinds.SSH_KEY | kinds.USERPASS_PLAINTEXT):
                return library.Username(user)
            if offers is None:
                offers = self._keys(user) if allowed & kinds.SSH_KEY else self._passwords(url)
            found = next(offers, None)
            if found is None:
                raise NetworkError(f"'{url}' wants a key or password, and takes none of those here", hint=_HINT)
            return found

        def trusted(certificate: object, valid: bool, host: object) -> bool:
            del certificate, host
            return bool(valid)

        def still_wanted(*_: object) -> None:
            self.network.check()

        callbacks: pygit2.RemoteCallbacks = library.RemoteCallbacks()
        always = {
            "credentials": credentials,
            "certificate_check": trusted,
            "sideband_progress": still_wanted,
            "push_transfer_progress": still_wanted,
        }
        for name, function in {**always, **told}.items():
            setattr(callbacks, name, function)
        return callbacks

    def _keys(self, user: str) -> Iterator[Any]:
        """What ssh would offer: its agent's keys, and those of the usual names that need no passphrase."""
        library = libgit2.load()
        if self.env.get("SSH_AUTH_SOCK"):
            yield library.KeypairFromAgent(user)
        for name in _KEYS:
            path = os.path.join(self._home, ".ssh", name)
            if os.path.exists(path):
                public = f"{path}.pub"
                yield library.Keypair(user, public if os.path.exists(public) else None, path, "")

    def _passwords(self, url: str) -> Iterator[Any]:
        library = libgit2.load()
        host = urlsplit(url).hostname or ""
        told = self.network.credentials.get(host)
        if told is not None:
            user, _, password = told.partition(":")
            yield library.UserPass(unquote(user), unquote(password))
        path = self.env.get("NETRC") or os.path.join(self._home, ".netrc")
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            if found := netrc.netrc(path).authenticators(host):
                yield library.UserPass(found[0], found[2] or "")


def _directory(url: str) -> str | None:
    """The path of a repository on this machine."""
    return url if url.startswith("/") else local_path(url) if urlsplit(url).scheme == "file" else None


class _Pace:
    """Whether a server goes on sending."""

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._since, self._bytes = time.monotonic(), 0

    def check(self, received: int, *, whole: bool) -> None:
        """Raise `TooSlowError` when too little came for too long."""
        now = time.monotonic()
        if whole or received - self._bytes >= self._settings.minimum_rate * self._settings.patience:
            self._since, self._bytes = now, received
        elif now - self._since > self._settings.patience:
            raise TooSlowError(f"less than {self._settings.minimum_rate} bytes a second came")


def _id(oid: pygit2.Oid) -> str | None:
    return str(oid) if any(oid.raw) else None


def _check_move(remote: Remote, one: Sent, there: str | None) -> None:
    """Raise where the other side has what may not be lost."""
    if there == one.commit:
        return
    if one.force and there != one.expected:
        raise moved(remote, one.ref)
    if not one.force and there is not None and one.ref.startswith(names.TAGS):
        raise refused(remote, one.ref, "there is another tag of that name", hint=None)
