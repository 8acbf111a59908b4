"""The log of operations: what each command did to the refs that keep things, so that it can be undone as a whole.

A line for each transaction, written before its refs move, as reflogs are: fields with tabs between them, the command's
run, the time, who it was, why, and for each ref its name, what it held and what it holds now. A value is a commit,
``ref: `` and the name of another ref, or zeros for a ref that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hashdist.errors import DamagedError
from hashdist.objects.ids import HEX_DIGITS, CommitId, is_hex

_FIELDS = 4
_TIME = re.compile(r"[0-9]{1,12}\Z")
_MOVE = 3


@dataclass(frozen=True, slots=True)
class Move:
    """What an operation did to one ref."""

    ref: str
    """Its full name."""
    old: str | None
    """What it held before: a commit, or ``ref: `` and a name; None if it was not there."""
    new: str | None
    """What it held after; None if it was deleted."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What one run of a command did."""

    run: str
    """Names it, in this store."""
    time: int
    """When it ended, in seconds since 1970."""
    who: str
    """``Name <address>``."""
    reasons: tuple[str, ...]
    """Of its transactions, in order, as in the reflogs."""
    moves: tuple[Move, ...]
    """What it did to refs, each once."""

    @property
    def commits(self) -> set[CommitId]:
        """All commits that it moved refs from or to."""
        values = {value for move in self.moves for value in (move.old, move.new)}
        return {CommitId(value) for value in values if value is not None and not value.startswith("ref: ")}

    @property
    def summary(self) -> str:
        """What it did, for a line."""
        return "; ".join(dict.fromkeys(self.reasons))


def parse_operations(path: str) -> list[Operation]:
    """Read a log of operations, the latest first; none where there is no file.

    An unfinished last line (a crash) does not count. Raises `DamagedError`.
    """
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
            text = file.read()
    except FileNotFoundError:
        return []
    runs: dict[str, list[Operation]] = {}
    for line in text[: text.rfind("\n") + 1].split("\n")[:-1]:
        found = parse_line(line)
        runs.setdefault(found.run, []).append(found)
    return [_together(parts) for parts in reversed(runs.values())]


def parse_line(line: str) -> Operation:
    """Read one line; raises `DamagedError`."""
    fields = line.split("\t")
    head, rest = fields[:_FIELDS], fields[_FIELDS:]
    if len(head) < _FIELDS or not _TIME.match(head[1]) or len(rest) % _MOVE:
        raise DamagedError(
            f"bad line in the log of operations: '{line[:80]}'",
            hint="it only serves undo: move the file 'operations' of the store away",
        )
    moves = (Move(rest[at], _value(rest[at + 1]), _value(rest[at + 2])) for at in range(0, len(rest), _MOVE))
    return Operation(head[0], int(head[1]), head[2], (head[3],), tuple(moves))


def _value(text: str) -> str | None:
    if not text.startswith("ref: ") and not (len(text) == HEX_DIGITS and is_hex(text)):
        raise DamagedError(
            f"bad value in the log of operations: '{text[:80]}'",
            hint="it only serves undo: move the file 'operations' of the store away",
        )
    return text if text.strip("0") else None


def _together(parts: list[Operation]) -> Operation:
    """One operation of the transactions of one run."""
    first, last = parts[0], parts[-1]
    reasons = tuple(reason for part in parts for reason in part.reasons)
    moves = tuple(_joined(move for part in parts for move in part.moves))
    return Operation(first.run, last.time, first.who, reasons, moves)


def _joined(moves: Iterable[Move]) -> Iterable[Move]:
    found: dict[str, Move] = {}
    for move in moves:
        before = found.get(move.ref)
        found[move.ref] = Move(move.ref, before.old if before else move.old, move.new)
    return (move for move in found.values() if move.old != move.new)
