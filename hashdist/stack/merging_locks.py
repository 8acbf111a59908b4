"""Merge locks in three ways: which side's pins hold. Nothing is fetched or scanned anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from .lock import HostPin, Lock
from .merging import Side
from .units import HOST, PACKAGES, Unit

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class PinConflict(Generic[Value]):
    """A pin that both sides moved, though what the stack files declare is the same."""

    unit: Unit
    """The package or host entry."""
    ours: Value
    """Our pin."""
    theirs: Value
    """Theirs."""


@dataclass(frozen=True, slots=True)
class MergedLock:
    """The pins of both sides together."""

    lock: Lock
    """Those to start from; of what is in conflict, ours. Its stack and packages mean nothing."""
    conflicts: tuple[PinConflict[object], ...]
    """What has to be chosen."""


def merge_locks(
    base: Lock | None, ours: Lock, theirs: Lock, taken: Mapping[Unit, Side], settled: Mapping[Unit, Side]
) -> MergedLock:
    """Merge pins.

    `taken` says of units that one side alone changed in the stack file, or that were settled, whose they are: their
    pins come along. `settled` says whose pins to take where both sides moved them.
    """
    base = base or Lock(ours.stack)
    choose = _Chooser(taken, settled)
    sources = choose.all(PACKAGES, base.sources, ours.sources, theirs.sources)
    host: dict[str, HostPin] = choose.all(HOST, base.host, ours.host, theirs.host)
    cpu = choose.one(Unit("defaults", "cpu"), base.native_cpu, ours.native_cpu, theirs.native_cpu)
    return MergedLock(Lock(ours.stack, sources, host, {}, cpu), tuple(choose.conflicts))


class _Chooser:
    """Chooses between pins, and remembers where it cannot."""

    def __init__(self, taken: Mapping[Unit, Side], settled: Mapping[Unit, Side]) -> None:
        self._sides = {**taken, **settled}
        self.conflicts: list[PinConflict[object]] = []

    def all(
        self, section: str, base: Mapping[str, Value], ours: Mapping[str, Value], theirs: Mapping[str, Value]
    ) -> dict[str, Value]:
        """The pins of one kind, by name."""
        found = {}
        for name in _names(ours, theirs):
            value = self.one(Unit(section, name), base.get(name), ours.get(name), theirs.get(name))
            if value is not None:
                found[name] = value
        return found

    def one(self, unit: Unit, base: Value | None, ours: Value | None, theirs: Value | None) -> Value | None:
        """The pin of one unit."""
        if ours == theirs or theirs is None:
            return ours
        if ours is None:
            return theirs
        side = self._sides.get(unit)
        if side is not None:
            return ours if side == "ours" else theirs
        if theirs == base:
            return ours
        if ours == base:
            return theirs
        self.conflicts.append(PinConflict(unit, ours, theirs))
        return ours


def _names(*mappings: Iterable[str]) -> list[str]:
    return sorted({name for one in mappings for name in one})
