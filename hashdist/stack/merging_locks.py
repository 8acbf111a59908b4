"""Merge locks in three ways: which side's pins hold. Nothing is fetched or scanned anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from hashdist.sources.declaration import to_json
from hashdist.sources.pin import Pin

from .lock import HostPin, Lock
from .merging import Side
from .packages import Stack
from .units import HOST, PACKAGES, Unit

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class PinConflict:
    """A pin that both sides moved, though what the stack files declare is the same."""

    unit: Unit
    """The package or host entry."""
    what: str
    """Which of its sources; empty for the main one, and for host software."""
    ours: Any
    """Our pin."""
    theirs: Any
    """Theirs."""


@dataclass(frozen=True, slots=True)
class MergedLock:
    """The pins of both sides together."""

    lock: Lock
    """Those to start from; of what is in conflict, ours. Its stack and packages mean nothing."""
    conflicts: tuple[PinConflict, ...]
    """What has to be chosen."""


def merge_locks(
    base: Lock | None, ours: Lock, theirs: Lock, stack: Stack | None, settled: Mapping[Unit, Side]
) -> MergedLock:
    """Merge pins.

    Where the declarations that two pins were made for differ, that which the merged `stack` has decides; else who moved
    the pin since `base`; else what is `settled`.
    """
    base = base or Lock(ours.stack)
    conflicts: list[PinConflict] = []

    def choose(
        unit: Unit, what: str, three: tuple[Value | None, Value | None, Value | None], fits: Callable[[Value], bool]
    ) -> Value | None:
        before, mine, other = three
        if mine is None or other is None or mine == other:
            return mine if mine is not None else other
        if fits(mine) != fits(other):
            return mine if fits(mine) else other
        if before in (mine, other):
            return mine if other == before else other
        side = settled.get(unit)
        if side is None:
            conflicts.append(PinConflict(unit, what, mine, other))
        return other if side == "theirs" else mine

    def fitting_source(name: str, directory: str) -> Callable[[Pin], bool]:
        package = stack.packages.get(name) if stack is not None else None
        declared = package.sources.get(directory) if package is not None else None
        wanted = to_json(declared) if declared is not None else None
        return lambda pin: {key: value for key, value in pin.declaration.items() if key != "python"} == wanted

    def fitting_host(name: str) -> Callable[[HostPin], bool]:
        entry = stack.host.get(name) if stack is not None else None
        return lambda pin: entry is not None and pin.find == entry.find and entry.identity in {None, pin.identity}

    sources: dict[str, dict[str, Pin]] = {}
    for name in _names(ours.sources, theirs.sources):
        three = [side.sources.get(name, {}) for side in (base, ours, theirs)]
        for directory in _names(three[1], three[2]):
            pins = (three[0].get(directory), three[1].get(directory), three[2].get(directory))
            what = "" if directory == "." else directory
            pin = choose(Unit(PACKAGES, name), what, _since(*pins), fitting_source(name, directory))
            if pin is not None:
                sources.setdefault(name, {})[directory] = pin
    host: dict[str, HostPin] = {}
    for name in _names(ours.host, theirs.host):
        found = choose(
            Unit(HOST, name), "", (base.host.get(name), ours.host.get(name), theirs.host.get(name)), fitting_host(name)
        )
        if found is not None:
            host[name] = found
    cpu = choose(Unit("defaults", "cpu"), "", (base.native_cpu, ours.native_cpu, theirs.native_cpu), lambda _: True)
    return MergedLock(Lock(ours.stack, sources, host, {}, cpu), tuple(conflicts))


def _since(base: Pin | None, ours: Pin | None, theirs: Pin | None) -> tuple[Pin | None, Pin | None, Pin | None]:
    """Pins that took the same on other days are the same."""
    if base is not None and ours is not None and ours.same_as(base):
        ours = base
    if base is not None and theirs is not None and theirs.same_as(base):
        theirs = base
    if ours is not None and theirs is not None and ours.same_as(theirs):
        theirs = replace(ours)
    return base, ours, theirs


def _names(*mappings: Iterable[str]) -> list[str]:
    return sorted({name for one in mappings for name in one})
