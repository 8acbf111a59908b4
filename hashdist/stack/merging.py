"""Merge stack files in three ways: by what they say, unit by unit; comments and order come along.

What two sides say is merged first, as data. Then a text is looked for that says just that: the lines merged as git
merges them, or each unit's own lines merged, or what is left set key by key. The result is parsed again and compared,
so that no merge of lines can mean something else than the merge of meanings.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import merge3
import tomlkit

from hashdist.errors import HashdistError

from .sections import Path, Section, inserted, joined, replaced, sections, text_of
from .units import HOST, PACKAGES, Unit, units

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
class Conflict:
    """A unit that both sides changed, each in its own way."""

    unit: Unit
    """Which one."""
    base: Any
    """What it was; `MISSING` for nothing."""
    ours: Any
    """What it is here."""
    theirs: Any
    """What it is there."""
    keys: tuple[str, ...] = ()
    """Of a package: the keys that are in conflict."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What both sides say together."""

    units: Mapping[Unit, Any]
    """Every unit; of those in conflict, what our side says."""
    conflicts: tuple[Conflict, ...]
    """What has to be chosen."""


def merge_units(
    base: Mapping[Unit, Any], ours: Mapping[Unit, Any], theirs: Mapping[Unit, Any], settled: Mapping[Unit, Side]
) -> Merged:
    """Merge in three ways; `settled` says which side's unit to take where both differ."""
    found: dict[Unit, Any] = {}
    conflicts = []
    for unit in dict.fromkeys([*ours, *theirs, *base]):
        before, mine, other = (side.get(unit, MISSING) for side in (base, ours, theirs))
        value, keys = _merge_value(before, mine, other, tables=unit.section in {PACKAGES, HOST})
        if keys is not None and unit in settled:
            value = mine if settled[unit] == "ours" else other
        elif keys is not None:
            conflicts.append(Conflict(unit, before, mine, other, keys))
            value = mine
        if value is not MISSING:
            found[unit] = value
    return Merged(found, tuple(conflicts))


def taken(merged: Merged, ours: Mapping[Unit, Any], theirs: Mapping[Unit, Any]) -> dict[Unit, Side]:
    """Of units that say what something is made of as only one side does: whose that is."""
    found: dict[Unit, Side] = {}
    for unit, value in merged.units.items():
        mine, other = (_what(unit, side.get(unit, MISSING)) for side in (ours, theirs))
        if not _same(mine, other):
            found[unit] = "ours" if _same(_what(unit, value), mine) else "theirs"
    return found


def _what(unit: Unit, value: Any) -> Any:
    if unit.section != PACKAGES or not isinstance(value, dict):
        return value
    return {key: value[key] for key in (*_WHAT, "builder") if key in value}


def _merge_value(base: Any, ours: Any, theirs: Any, *, tables: bool) -> tuple[Any, tuple[str, ...] | None]:
    """The merged value, and the keys in conflict; None if there is no conflict."""
    if _same(ours, theirs) or _same(theirs, base):
        return ours, None
    if _same(ours, base):
        return theirs, None
    if tables and isinstance(ours, dict) and isinstance(theirs, dict):
        return _merge_tables(base if isinstance(base, dict) else {}, ours, theirs)
    return MISSING, ()


def _merge_tables(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> tuple[Any, tuple[str, ...] | None]:
    found: dict[str, Any] = {}
    bad = []
    three = (base, ours, theirs)
    what = [{key: side[key] for key in _WHAT if key in side} for side in three]
    merged, fault = _merge_value(*what, tables=False)
    if fault is not None:
        bad += [key for key in _WHAT if not _same(what[1].get(key, MISSING), what[2].get(key, MISSING))]
    else:
        found |= merged
    for key in dict.fromkeys([*ours, *theirs]):
        if key in _WHAT:
            continue
        values = [side.get(key, MISSING) for side in three]
        value, fault = _merge_value(*values, tables=True)
        if fault is not None and key in _SETS:
            lists = [[], *values[1:]] if values[0] is MISSING else values
            lists = [value for value in lists if isinstance(value, list)]
            if len(lists) == len(values):
                value, fault = _merge_sets(*lists), None
        if fault is not None:
            bad.append(key)
        elif value is not MISSING:
            found[key] = value
    return (MISSING, tuple(bad)) if bad else (found, None)


def _merge_sets(base: list[Any], ours: list[Any], theirs: list[Any]) -> list[Any]:
    kept = [one for one in ours if one in theirs or one not in base]
    return [*kept, *(one for one in theirs if one not in base and one not in ours)]


def _same(one: Any, other: Any) -> bool:
    """Whether two values of a stack file mean the same; `true` is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


class UnmergeableError(HashdistError):
    """Stack files whose lines cannot be brought together, though what they say can."""


def merge_text(base: str, ours: str, theirs: str, wanted: Mapping[Unit, Any]) -> str:
    """A text that says what is `wanted`, with the lines and comments of both; raises `UnmergeableError`."""
    lines = merge_lines(base, ours, theirs)
    if lines is not None and _says(lines, wanted):
        return lines
    for text in (_by_units(base, ours, theirs, wanted), ours):
        if _says(text, wanted):
            return text
        found = _by_keys(text, theirs, wanted) if _is_toml(text) else ""
        if _says(found, wanted):
            return found
    raise UnmergeableError("the lines of the stack files cannot be merged", hint="hdist merge --edit")


def merge_lines(base: str, ours: str, theirs: str) -> str | None:
    """The lines merged in three ways; None where they are in conflict."""
    merge = _lines_merge(base, ours, theirs)
    groups = list(merge.merge_groups())
    return None if any(group[0] == "conflict" for group in groups) else "".join(merge.merge_lines())


def with_markers(base: str, ours: str, theirs: str, names: tuple[str, str]) -> str:
    """The lines merged in three ways, with git's markers around what is in conflict."""
    merge = _lines_merge(base, ours, theirs)
    found = merge.merge_lines(
        name_a=names[0], name_b=names[1], start_marker="<<<<<<<", mid_marker="=======", end_marker=">>>>>>>"
    )
    return "".join(found)


def _lines_merge(base: str, ours: str, theirs: str) -> merge3.Merge3[str]:
    before, mine, other = (text.splitlines(keepends=True) for text in (base, ours, theirs))
    return merge3.Merge3(before, mine, other)


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _says(text: str, wanted: Mapping[Unit, Any]) -> bool:
    try:
        return _same(dict(units(text)), dict(wanted))
    except (tomllib.TOMLDecodeError, ValueError):
        return False


def _by_units(base: str, ours: str, theirs: str, wanted: Mapping[Unit, Any]) -> str:
    """Our text with each unit's lines merged, or taken from the side that says what is wanted."""
    mine, other = units(ours), units(theirs)
    parts, before, after = sections(ours), sections(base), sections(theirs)
    parts = _merge_plain_sections(parts, before, after)
    for unit in dict.fromkeys([*mine, *wanted]):
        if unit.section != PACKAGES:
            continue
        if unit not in wanted:
            parts = replaced(parts, unit.path, "")
            continue
        text = _unit_text([text_of(one, unit.path) for one in (before, parts, after)], unit, wanted[unit])
        if text is not None and unit in mine:
            parts = replaced(parts, unit.path, text)
        elif text is not None:
            parts = inserted(parts, _neighbour(after, other, unit, parts), text)
    return joined(parts)


def _merge_plain_sections(parts: list[Section], before: Sequence[Section], after: Sequence[Section]) -> list[Section]:
    """The sections that are no package's, merged line by line where that can be done."""
    found = []
    for part in parts:
        three = ["".join(one.text for one in side if one.path == part.path) for side in (before, [part], after)]
        merged = merge_lines(*three) if part.path[:1] != (PACKAGES,) else None
        found.append(part if merged is None else Section(part.path, merged))
    return found


def _unit_text(three: list[str | None], unit: Unit, wanted: Any) -> str | None:
    """A package's lines that say what is wanted: merged, or one side's."""
    base, ours, theirs = three
    merged = merge_lines(base or "", ours, theirs) if ours is not None and theirs is not None else None
    for text in (merged, ours, theirs):
        if text is not None and _says(text, {unit: wanted}):
            return text
    return None


def _neighbour(after: list[Section], theirs: Mapping[Unit, Any], unit: Unit, parts: list[Section]) -> Path | None:
    """The package that stands before a unit on their side and is in our text too."""
    here = {part.path[:2] for part in parts}
    order = [one.path for one in theirs if one.section == PACKAGES]
    for path in reversed(order[: order.index(unit.path)] if unit.path in order else []):
        if path in here and text_of(after, path) is not None:
            return path
    return None


def _by_keys(text: str, theirs: str, wanted: Mapping[Unit, Any]) -> str:
    """A text with each key set that does not say what is wanted."""
    document, other = tomlkit.parse(text), tomlkit.parse(theirs)
    have = units(text)
    for unit in have:
        if unit not in wanted:
            _delete(document, unit.path)
    for unit, value in wanted.items():
        if unit not in have or not _same(have[unit], value):
            _set(document, other, unit.path, value)
    return tomlkit.dumps(document)


def _set(document: Any, other: Any, path: Path, value: Any) -> None:
    """Have a key say a value, in the other document's words where it says that too."""
    table, known = document, other
    for key in path[:-1]:
        if key not in table:
            table[key] = tomlkit.table(is_super_table=True)
        table, known = table[key], known.get(key, {}) if hasattr(known, "get") else {}
    last = path[-1]
    if isinstance(value, dict) and isinstance(table.get(last), dict):
        for key in [key for key in table[last] if key not in value]:
            del table[last][key]
        for key, one in value.items():
            if key not in table[last] or not _same(_plain(table[last][key]), one):
                _set(document, other, (*path, key), one)
        return
    theirs = known.get(last) if hasattr(known, "get") else None
    table[last] = theirs if theirs is not None and _same(_plain(theirs), value) else value


def _plain(item: Any) -> Any:
    return item.unwrap() if hasattr(item, "unwrap") else item


def _delete(document: Any, path: Path) -> None:
    table = document
    for key in path[:-1]:
        table = table[key]
    del table[path[-1]]
