"""The words for what was merged: lines and comments of both sides.

Texts are tried that keep more of both before those that keep less: the lines merged as git merges them; each package's
and each entry's own lines merged, or taken from the side that says what is wanted; what is left set key by key. Each is
parsed again and compared with what is wanted, so that no merge of lines can mean something else than that of meanings.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import merge3
import tomlkit
from tomlkit.exceptions import TOMLKitError

from hashdist.errors import HashdistError

from .merging import same
from .sections import Path, Section, inserted, joined, replaced, sections, text_of
from .units import PACKAGES, Unit, units


class UnmergeableError(HashdistError):
    """Stack files whose lines cannot be brought together, though what they say can."""


def merge_text(base: str, ours: str, theirs: str, wanted: Mapping[Unit, Any]) -> str:
    """A text that says what is `wanted`, with the lines and comments of both; raises `UnmergeableError`."""
    base, ours, theirs = (text if text.endswith("\n") or not text else f"{text}\n" for text in (base, ours, theirs))
    lines = merge_lines(base, ours, theirs)
    if lines is not None and _says(lines, wanted):
        return lines
    for text in (_by_parts(base, ours, theirs, wanted), ours):
        if _says(text, wanted):
            return text
        found = _by_keys(text, theirs, wanted)
        if _says(found, wanted):
            return found
    raise UnmergeableError("what the stack files say can be merged, but their lines cannot")


def merge_lines(base: str, ours: str, theirs: str) -> str | None:
    """The lines merged in three ways; None where they are in conflict."""
    before, mine, other = (text.splitlines(keepends=True) for text in (base, ours, theirs))
    merge = merge3.Merge3(before, mine, other)
    groups = list(merge.merge_groups())
    return None if any(group[0] == "conflict" for group in groups) else "".join(merge.merge_lines())


def with_markers(ours: str, theirs: str, names: tuple[str, str]) -> str:
    """Two texts as one, with git's markers around the lines that differ."""
    one, two = (text.splitlines(keepends=True) for text in (ours, theirs))
    found: list[str] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if tag == "equal":
            found += one[a:b]
        else:
            found += [f"<<<<<<< {names[0]}\n", *one[a:b], "=======\n", *two[c:d], f">>>>>>> {names[1]}\n"]
    return "".join(found)


def _says(text: str, wanted: Mapping[Unit, Any]) -> bool:
    try:
        return same(units(text), dict(wanted))
    except ValueError:  # no TOML
        return False


def _by_parts(base: str, ours: str, theirs: str, wanted: Mapping[Unit, Any]) -> str:
    """Our text with the lines of each package and entry merged, or taken from the side that says what is wanted."""
    before, after = sections(base), sections(theirs)
    parts = [_merged_part(part, before, after) for part in sections(ours)]
    other = list(units(theirs))
    for unit in dict.fromkeys([*units(ours), *wanted]):
        there = text_of(parts, unit.path)
        if unit not in wanted:
            parts = replaced(parts, unit.path, "") if there is not None else parts
            continue
        text = _text_saying(unit, wanted[unit], text_of(before, unit.path), there, text_of(after, unit.path))
        if text is None:
            continue
        if there is not None:
            parts = replaced(parts, unit.path, text)
        elif not any(part.path[: len(unit.path)] == unit.path for part in parts):
            parts = inserted(parts, unit.path, _neighbour(other, unit, parts), text, _header(after, unit.path[:-1]))
    return joined(parts)


def _header(parts: Sequence[Section], path: Path) -> str:
    """The header of a table, with what stands above it."""
    return next((part.text for part in parts if part.header and part.path == path), f"[{'.'.join(path)}]\n")


def _merged_part(part: Section, before: Sequence[Section], after: Sequence[Section]) -> Section:
    """What is no package's, merged line by line where that can be done and it is on both sides."""
    three = ["".join(one.text for one in side if one.path == part.path) for side in (before, [part], after)]
    if (part.path[:1] == (PACKAGES,) and len(part.path) > 1) or not three[2]:
        return part
    merged = merge_lines(three[0], three[1], three[2])
    return part if merged is None else Section(part.path, merged, part.header)


def _text_saying(unit: Unit, wanted: Any, base: str | None, ours: str | None, theirs: str | None) -> str | None:
    """A unit's lines that say what is wanted: merged, or one side's; None if there are none."""
    merged = merge_lines(base or "", ours, theirs) if ours is not None and theirs is not None else None
    for text in (merged, ours, theirs):
        if text is not None and _says(_standing(unit, text), {unit: wanted}):
            return text
    return None


def _standing(unit: Unit, text: str) -> str:
    """The lines of an entry as they would stand alone, in their table."""
    if unit.section == PACKAGES and any(part.header for part in sections(text)):
        return text
    return f"[{unit.section}]\n{text}" if unit.section and not _is_dotted(unit, text) else text


def _is_dotted(unit: Unit, text: str) -> bool:
    return any(part.path[: len(unit.path)] == unit.path for part in sections(text))


def _neighbour(theirs: Sequence[Unit], unit: Unit, parts: Sequence[Section]) -> Path | None:
    """The unit that stands before another one on their side, and is in our text too."""
    here = [part.path for part in parts]
    beside = [one.path for one in theirs if one.section == unit.section]
    for path in reversed(beside[: beside.index(unit.path)] if unit.path in beside else []):
        if any(one[: len(path)] == path for one in here):
            return path
    return None


def _by_keys(text: str, theirs: str, wanted: Mapping[Unit, Any]) -> str:
    """A text with each key set that does not say what is wanted; empty where that cannot be done."""
    try:
        document, other = tomlkit.parse(text), tomlkit.parse(theirs)
        have = units(text)
        for unit in have:
            if unit not in wanted:
                _delete(document, unit.path)
        for unit, value in wanted.items():
            if unit not in have or not same(have[unit], value):
                _set(document, other, unit.path, value)
        return tomlkit.dumps(document)
    except (TOMLKitError, tomllib.TOMLDecodeError, ValueError, KeyError, TypeError):
        return ""  # written so that it takes a person


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
            if key not in table[last] or not same(_plain(table[last][key]), one):
                _set(document, other, (*path, key), one)
        return
    theirs = known.get(last) if hasattr(known, "get") else None
    inline = isinstance(table, tomlkit.items.InlineTable)
    table[last] = theirs if theirs is not None and not inline and same(_plain(theirs), value) else value


def _plain(item: Any) -> Any:
    return item.unwrap() if hasattr(item, "unwrap") else item


def _delete(document: Any, path: Path) -> None:
    table = document
    for key in path[:-1]:
        table = table[key]
    del table[path[-1]]
