"""Switch a checkout to another prefix: refs first, then one rename. Needs neither libgit2 nor an object."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hashdist.errors import ConflictError
from hashdist.fsutil import atomic
from hashdist.objects.ids import is_hex
from hashdist.refs import names
from hashdist.store import index

if TYPE_CHECKING:
    from hashdist.objects.ids import CommitId
    from hashdist.store.store import Store

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
        if os.path.realpath(os.path.dirname(prefix)) != os.path.realpath(self._store.inside("prefixes")):
            raise NotALinkError(
                f"'{self.path}' is a link to '{prefix}', not to a prefix of this store", hint="choose another --to PATH"
            )

    def switch(self, commit: CommitId, prefix: str, *, branch: str | None, reason: str) -> None:
        """Show `commit`, whose prefix lies at `prefix`, and follow the ref `branch` (None: no branch).

        Raises `NotALinkError`, and then nothing changed.
        """
        self.check_place()
        store = self._store
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
        target = os.path.join("prefixes", os.path.basename(prefix)) if self.name == names.DEFAULT_CHECKOUT else prefix
        if not os.path.islink(self.path) or os.readlink(self.path) != target:
            atomic.replace_symlink(self.path, target, durable=store.durable)


def _name(path: str) -> str:
    import hashlib  # noqa: PLC0415 - OpenSSL takes longer to load than the default checkout to switch

    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def known_prefix(store: Store, commit: CommitId) -> str | None:
    """The path of a commit's prefix, if it is known and there."""
    name = (index.read(store, index.PREFIX, commit) or "").strip()
    if not is_hex(name) or len(name) != _NAME_DIGITS:
        return None
    path = store.inside("prefixes", name)
    return path if os.path.isdir(path) else None


def registered(store: Store) -> dict[str, str]:
    """All checkouts: name to the path of the link, whether it is still there or not."""
    folder = store.inside("checkouts")
    found = {name: os.readlink(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}
    return {names.DEFAULT_CHECKOUT: store.inside("current"), **found}
