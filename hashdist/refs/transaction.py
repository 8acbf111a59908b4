"""Moves of several refs: checked together under the lock, then made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashdist.errors import ConflictError
from hashdist.objects.ids import CommitId

from . import names

if TYPE_CHECKING:
    from .database import RefDatabase

ZERO = "0" * 40
SYMBOLIC = "ref: "


class RefMovedError(ConflictError):
    """A ref that is not where it was expected to be."""


class Transaction:
    """Moves that are checked together and then made."""

    def __init__(self, database: RefDatabase, reason: str, *, undoable: bool) -> None:
        self._database = database
        self._undoable = undoable
        self._reason = reason
        self._moves: list[tuple[str, str, str | None]] = []
        self._carried: list[tuple[str, str]] = []

    def update(self, name: str, new: CommitId, *, old: CommitId | None) -> None:
        """Move `name` from `old` (None: not there) to `new`; raises `RefMovedError`."""
        names.check_ref_name(name)
        found = self._database.get(name)
        if found != old:
            raise RefMovedError(
                f"'{names.short_name(name)}' has moved: it is at {found or 'nothing'}, not at {old or 'nothing'}",
                hint="look at it and try again",
            )
        if found is None:
            self._check_room(name)
        self._moves.append((name, new, found))

    def set(self, name: str, new: CommitId) -> None:
        """Move `name` to `new` from wherever it is."""
        self.update(name, new, old=self._database.get(name))

    def point(self, name: str, target: str) -> None:
        """Make `name` a symbolic ref to the ref `target`."""
        self._moves.append((name, SYMBOLIC + target, self._database.get(name)))

    def detach(self, name: str, new: CommitId) -> None:
        """Make `name` hold the commit itself, even if it was a symbolic ref."""
        self._moves.append((name, new, self._database.get(name)))

    def delete(self, name: str, *, old: CommitId) -> None:
        """Remove `name`, which is at `old`, with its reflog; raises `RefMovedError`."""
        if self._database.get(name) != old:
            raise RefMovedError(f"'{names.short_name(name)}' has moved", hint="look at it and try again")
        self._moves.append((name, ZERO, old))

    def plans_below(self, prefix: str) -> bool:
        """Whether it moves a ref whose name begins so."""
        return any(name.startswith(prefix) for name, _, _ in self._moves)

    def planned(self, name: str) -> CommitId:
        """What a ref will hold when the transaction is done, that it moves."""
        return CommitId(next(new for moved, new, _ in reversed(self._moves) if moved == name))

    def drop_unreadable(self, name: str) -> None:
        """Remove a ref whatever it holds."""
        self._moves.append((name, ZERO, None))

    def mend(self, name: str, new: str) -> None:
        """Have a ref that cannot be read hold a commit, or ``ref: `` and another's name."""
        self._moves.append((name, new, None))

    def carry_log(self, source: str, target: str) -> None:
        """Give the reflog of a ref that goes to one that is made, before its own lines."""
        self._carried.append((source, target))

    def _check_room(self, name: str) -> None:
        parts = name.split("/")
        parents = ["/".join(parts[:count]) for count in range(2, len(parts))]
        clash = next((parent for parent in parents if self._database.get(parent)), None)
        clash = clash or next(iter(self._database.all(f"{name}/")), None)
        if clash:
            raise ConflictError(
                f"'{names.short_name(name)}' cannot be beside '{names.short_name(clash)}'", hint="choose another name"
            )

    def _apply(self) -> None:
        database = self._database
        for _, new, _ in self._moves:
            if new != ZERO and not new.startswith(SYMBOLIC):
                database._bring(CommitId(new))  # noqa: SLF001 - the two are one
        if self._undoable:
            held = {name: new for name, new, old in self._moves if new != ZERO or old is not None}
            database.record(self._reason, [(name, database.value(name) or ZERO, new) for name, new in held.items()])
        for name, new, old in self._moves:
            if new == ZERO:
                continue
            target = database.get(new[len(SYMBOLIC) :]) or ZERO if new.startswith(SYMBOLIC) else new
            # first, as git does: a ref that moved must not lack the line that says so
            database.files.append_log(name, old or ZERO, target, self._reason)
            database.files.write(name, new)
        for source, carrier in self._carried:
            database.files.carry_log(source, carrier)
        # last, so that what remembers them is there first
        database.drop({name for name, new, _ in self._moves if new == ZERO})
