"""Switch a checkout to another prefix: refs first, then one rename. Needs neither libgit2 nor an object."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from hashdist.errors import ConflictError, NotFoundError
from hashdist.fsutil import atomic
from hashdist.fsutil.locks import locked
from hashdist.objects.ids import is_hex
from hashdist.refs import names
from hashdist.store import index
from hashdist.store.readers import drop_pin

if TYPE_CHECKING:
    from hashdist.objects.ids import CommitId
    from hashdist.store.store import Store

#: The number of the rules by which prefixes are made.
FORMAT = 2
#: Digits of a prefix's name, as `hashdist.checkout.prefix` gives it.
_NAME_DIGITS = 32


class NotALinkError(ConflictError):
    """A place for a checkout that holds something of the user's."""

    code = "not_a_link"


class Checkout:
    """A place where people use a profile: a link to a prefix, registered in the store."""

    def __init__(self, store: Store, path: str | None = None) -> None:
        self._store = store
        default = store.inside("current")
        folder, link = os.path.split(os.path.abspath(path or default))
        self.path = default if path is None else os.path.join(os.path.realpath(folder), link)
        if path is not None and self.path == os.path.join(os.path.realpath(store.path), "current"):
            self.path = default
        self.name = names.DEFAULT_CHECKOUT if self.path == default else _name(self.path)

    @property
    def head(self) -> str:
        """The ref that says which branch it follows."""
        return names.head_ref(self.name)

    @property
    def branch(self) -> str | None:
        """The profile it follows; None if it follows none."""
        ref = self._store.refs.symbolic(self.head)
        return ref[len(names.HEADS) :] if ref and ref.startswith(names.HEADS) else None

    @property
    def commit(self) -> CommitId | None:
        """The commit it shows; None before the first switch."""
        return self._store.refs.get(names.at_ref(self.name))

    @property
    def prefix(self) -> str | None:
        """The prefix its link leads to; None if there is no link."""
        try:
            return os.path.join(os.path.dirname(self.path), os.readlink(self.path))
        except OSError:
            return None

    def check_place(self) -> None:
        """Raise `NotALinkError` unless the place is free or a link into this store's prefixes."""
        if not os.path.lexists(self.path):
            if not os.path.isdir(os.path.dirname(self.path)):
                raise NotALinkError(f"no directory '{os.path.dirname(self.path)}'", hint="make it first")
            return
        prefix = self.prefix
        if prefix is None:
            raise NotALinkError(
                f"'{self.path}' is not a checkout but a file or directory", hint="choose another --to PATH"
            )
        folder = os.path.realpath(os.path.dirname(prefix))
        if not any(folder == os.path.realpath(one.inside("prefixes")) for one in self._store.chain):
            raise NotALinkError(
                f"'{self.path}' is a link to '{prefix}', not to a prefix of this store", hint="choose another --to PATH"
            )

    def switch(self, commit: CommitId, prefix: str, *, branch: str | None, reason: str) -> None:
        """Show `commit`, whose prefix lies at `prefix`, and follow the ref `branch` (None: no branch).

        Raises `NotALinkError`, or `OSError` where no link can be made; then nothing changed.
        """
        self.check_place()
        # refs and link are two: whoever switches the same checkout meanwhile waits
        place = self._store.lock_path(f"checkout-{self.name}")
        with locked(place, purpose="switch a checkout", waiting=self._store.waiting):
            self._switch(commit, prefix, branch=branch, reason=reason)

    def _switch(self, commit: CommitId, prefix: str, *, branch: str | None, reason: str) -> None:
        store = self._store
        before = self.commit, store.refs.symbolic(self.head), store.refs.get(self.head), self.is_registered
        if self.name != names.DEFAULT_CHECKOUT:
            register = store.inside("checkouts", self.name)
            if not os.path.islink(register):
                atomic.replace_symlink(register, self.path, durable=store.durable)
        with store.refs.transaction(reason) as transaction:
            if branch is None:
                transaction.detach(self.head, commit)
            elif store.refs.symbolic(self.head) != branch:
                transaction.point(self.head, branch)
            transaction.set(names.at_ref(self.name), commit)
        own = os.path.dirname(os.path.realpath(prefix)) == os.path.realpath(store.inside("prefixes"))
        by_name = own and self.name == names.DEFAULT_CHECKOUT
        target = os.path.join("prefixes", os.path.basename(prefix)) if by_name else prefix
        if not os.path.islink(self.path) or os.readlink(self.path) != target:
            try:
                atomic.replace_symlink(self.path, target, durable=store.durable)
            except OSError as error:
                self._go_back(*before)
                raise OSError(error.errno or errno.EIO, error.strerror, self.path) from error

    def _go_back(self, at: CommitId | None, branch: str | None, head: CommitId | None, registered: bool) -> None:
        """Have the refs as they were, when the link could not be made."""
        if not registered:
            self.forget()
            return
        with self._store.refs.transaction("checkout: failed") as transaction:
            if branch is not None:
                transaction.point(self.head, branch)
            elif head is not None:
                transaction.detach(self.head, head)
            if at is not None:
                transaction.set(names.at_ref(self.name), at)

    @property
    def is_registered(self) -> bool:
        """Whether it keeps anything alive, its link being there or not."""
        return self.name == names.DEFAULT_CHECKOUT or os.path.islink(self._store.inside("checkouts", self.name))

    def forget(self) -> None:
        """Keep nothing alive for this checkout any more; its link stays. Raises `NoCheckoutError`."""
        store = self._store
        register = store.inside("checkouts", self.name)
        if self.name == names.DEFAULT_CHECKOUT:
            raise NoCheckoutError(
                "the store's own checkout is never forgotten", hint="hdist checkout PROFILE switches it"
            )
        if not self.is_registered:
            raise NoCheckoutError(
                f"'{self.path}' is no checkout of this store", hint=f"they are in {store.inside('checkouts')}"
            )
        with store.refs.transaction("checkout: forget") as transaction:
            for ref in (names.at_ref(self.name), self.head):
                commit = store.refs.get(ref)
                if commit is not None and ref == names.at_ref(self.name):
                    # what it alone kept stays for the grace period
                    transaction.set(f"{names.UNDO}{store.now()}/forgotten/{self.name}", commit)
                if commit is not None:
                    transaction.delete(ref, old=commit)
        os.unlink(register)
        drop_pin(store, self.name)


class NoCheckoutError(NotFoundError):
    """A place where nothing was ever checked out, or which was forgotten."""

    code = "no_checkout"


def _name(path: str) -> str:
    import hashlib  # noqa: PLC0415 - OpenSSL takes longer to load than the default checkout to switch

    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def known_prefix(store: Store, commit: CommitId) -> str | None:
    """The path of a commit's prefix, if it is known and there."""
    text = index.read(store, index.PREFIX, commit) or ""
    made_by, _, name = text.strip().partition(" ")
    if made_by != str(FORMAT) or not is_hex(name) or len(name) != _NAME_DIGITS:
        return None
    path = find_by_name(store, name)
    return path if path is not None and (not store.has_upstream or _stands(path)) else None


def _stands(prefix: str) -> bool:
    """Whether what a prefix leads to upstream is still where it was."""
    import json  # noqa: PLC0415 - readers of shared stores only

    try:
        with open(os.path.join(prefix, ".hashdist.json"), encoding="utf-8") as file:
            return all(map(os.path.isdir, json.load(file).get("elsewhere", {}).values()))
    except (OSError, ValueError):
        return False  # it is damaged, and made anew


def find_by_name(store: Store, name: str) -> str | None:
    """The path of a prefix, here or upstream; None if it is not there."""
    path = store.inside("prefixes", name)
    if os.path.isdir(path):
        return path
    return find_by_name(store.upstream, name) if store.upstream is not None else None


def remember_prefix(store: Store, commit: CommitId, name: str) -> None:
    """Remember the name of a commit's prefix, for as long as prefixes are made as they are now."""
    index.write(store, index.PREFIX, commit, f"{FORMAT} {name}\n")
