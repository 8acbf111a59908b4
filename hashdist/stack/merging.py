"""Merge stack files in three ways: by what they say, unit by unit.

What two sides say is merged as data; `hashdist.stack.merging_text` then looks for a text that says just that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .units import PACKAGES, Unit

Side = Literal["ours", "theirs"]
#: Keys of a package that say together what it is made of.
_WHAT = ("version", "source", "sources")
#: Lists in which the order of what two sides add means nothing.
_SETS = frozenset({"inputs", "requires"})


class _Missing:
    """What is not there."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in a unit that both sides changed, each in its own way."""

    keys: tuple[str, ...]
    """Where in the unit; empty for the whole of it."""
    ours: Any
    """What it is here; `MISSING` for nothing."""
    theirs: Any
    """What it is there."""
    base: Any
    """What it was."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A unit of which both sides changed the same, each in its own way."""

    unit: Unit
    """Which one."""
    differences: tuple[Difference, ...]
    """What of it."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What both sides say together."""

    units: Mapping[Unit, Any]
    """Every unit; where something is in conflict, with what our side says."""
    conflicts: tuple[Conflict, ...]
    """What has to be chosen."""


def merge_units(
    base: Mapping[Unit, Any],
    ours: Mapping[Unit, Any],
    theirs: Mapping[Unit, Any],
    settled: Mapping[Unit, Side],
    *,
    whole: Collection[Unit] = (),
) -> Merged:
    """Merge in three ways; `settled` says whose side to take in what is in conflict.

    Units in `whole` are in conflict although what they say is not: the whole of one side is to be chosen.
    """
    found: dict[Unit, Any] = {}
    conflicts = []
    for unit in dict.fromkeys([*ours, *theirs, *base]):
        before, mine, other = (side.get(unit, MISSING) for side in (base, ours, theirs))
        merger = _Merger(settled.get(unit))
        if unit in whole:
            value = merger.choose((), before, mine, other)
        else:
            value = merger.merge((), before, mine, other, tables=unit.section == PACKAGES)
        if merger.differences:
            conflicts.append(Conflict(unit, tuple(merger.differences)))
        if value is not MISSING:
            found[unit] = value
    return Merged(found, tuple(conflicts))


class _Merger:
    """Merges one unit, and remembers where it cannot."""

    def __init__(self, side: Side | None) -> None:
        self._side = side
        self.differences: list[Difference] = []

    def choose(self, keys: tuple[str, ...], base: Any, ours: Any, theirs: Any) -> Any:
        """What was chosen; ours while nothing was."""
        if self._side is None:
            self.differences.append(Difference(keys, ours, theirs, base))
        return theirs if self._side == "theirs" else ours

    def merge(self, keys: tuple[str, ...], base: Any, ours: Any, theirs: Any, *, tables: bool) -> Any:
        """What both say together."""
        if same(ours, theirs) or same(theirs, base):
            return ours
        if same(ours, base):
            return theirs
        if tables and isinstance(ours, dict) and isinstance(theirs, dict):
            return self._tables(keys, base if isinstance(base, dict) else {}, ours, theirs)
        before = [] if isinstance(base, _Missing) else base
        if keys and keys[-1] in _SETS and all(isinstance(one, list) for one in (before, ours, theirs)):
            return _merge_sets(before, ours, theirs)
        return self.choose(keys, base, ours, theirs)

    def _tables(self, keys: tuple[str, ...], base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> Any:
        found: dict[str, Any] = {}
        together = _WHAT if not keys else ()
        what = [{key: side[key] for key in together if key in side} for side in (base, ours, theirs)]
        if same(what[1], what[2]) or same(what[2], what[0]):
            found |= what[1]
        elif same(what[1], what[0]):
            found |= what[2]
        else:
            found |= what[2] if self._side == "theirs" else what[1]
            for key in together:
                values = [side.get(key, MISSING) for side in what]
                if self._side is None and not same(values[1], values[2]):
                    self.differences.append(Difference((key,), values[1], values[2], values[0]))
        for key in dict.fromkeys([*ours, *theirs]):
            if key not in together:
                values = [side.get(key, MISSING) for side in (base, ours, theirs)]
                value = self.merge((*keys, key), *values, tables=True)
                if value is not MISSING:
                    found[key] = value
        return found


def _merge_sets(base: list[Any], ours: list[Any], theirs: list[Any]) -> list[Any]:
    kept = [one for one in ours if one in theirs or one not in base]
    return [*kept, *(one for one in theirs if one not in base and one not in ours)]


def same(one: Any, other: Any) -> bool:
    """Whether two values of a stack file mean the same; `true` is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
