"""What two commits say together, since what both come from: stack file, the files it refers to, and pins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tomlkit

from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId
from hashdist.stack.file import parse_stack
from hashdist.stack.lock import HostPin, Lock
from hashdist.stack.merging import MISSING, Conflict, Merged, Side, merge_units
from hashdist.stack.merging_locks import PinConflict, merge_locks
from hashdist.stack.merging_text import merge_lines, merge_text, with_markers
from hashdist.stack.packages import Stack
from hashdist.stack.units import FILES, HOST, PACKAGES, Unit, units
from hashdist.workflow.profile import known_pins, read_written

_SHOWN = 100
#: How often histories may have crossed before the first of several bases has to do.
_CROSSINGS = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that both sides changed, each in its own way: one of them has to be taken."""

    unit: Unit
    """What it is about."""
    differences: tuple[tuple[str, str, str, str], ...]
    """Of each thing that differs: its name, and in words what it is in ours, in theirs, and was before."""


@dataclass(frozen=True, slots=True)
class Combined:
    """What both sides say together."""

    text: str | None
    """The stack file; None while something has to be chosen."""
    files: Mapping[str, bytes]
    """The files that either stack file refers to."""
    lock: Lock
    """The pins to start from."""
    choices: tuple[Choice, ...]
    """What has to be chosen."""


@dataclass(frozen=True, slots=True)
class _Point:
    """One of the three points of a merge: a commit, or what several bases say together."""

    text: str
    units: Mapping[Unit, Any]
    lock: Lock | None
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, objects: ObjectDatabase, commit: CommitId) -> _Point:
        text, files = read_written(objects, commit)
        return cls(text, units(text), known_pins(objects, commit, parse_stack(text)), files)


_NOTHING = _Point("", {}, None, {})


def combine(
    objects: ObjectDatabase,
    bases: Sequence[CommitId],
    ours: CommitId,
    theirs: CommitId,
    *,
    settled: Mapping[str, Side],
    text: str | None = None,
) -> Combined:
    """Merge two commits of profiles in three ways; without `bases` they have nothing in common.

    `settled` says whose side to take, by what a unit is called; `text` is a stack file that settles all that is in it.
    Raises `UnmergeableError`, or `StackError` where both together are no stack.
    """
    before = _base(objects, bases, _CROSSINGS)
    mine, other = (_Point.of(objects, one) for one in (ours, theirs))
    merged = _merge(before, mine, other, settled)
    choices = [] if text is not None else [_of_units(conflict) for conflict in merged.conflicts]
    if text is None and not choices:
        text = merge_text(before.text, mine.text, other.text, merged.units)
    stack = parse_stack(text) if text is not None else None
    lock, pins = _merge_pins(before, mine, other, stack, settled)
    files, in_conflict = _merge_files(before, mine, other, settled)
    wanted = {path for path in in_conflict if stack is None or path in stack.patches}
    choices += [*map(_of_pins, pins), *map(_of_file, sorted(wanted))]
    return Combined(text if not choices else None, files, lock, tuple(choices))


def marked(
    objects: ObjectDatabase,
    bases: Sequence[CommitId],
    ours: CommitId,
    theirs: CommitId,
    *,
    settled: Mapping[str, Side],
    names: tuple[str, str],
) -> str:
    """The stack file that both say together, with git's markers around what is still to be chosen."""
    before = _base(objects, bases, _CROSSINGS)
    mine, other = (_Point.of(objects, one) for one in (ours, theirs))
    open_units = {str(conflict.unit) for conflict in _merge(before, mine, other, settled).conflicts}
    texts = []
    for side in ("ours", "theirs"):
        choice: Mapping[str, Side] = {**settled, **dict.fromkeys(open_units, side)}
        merged = _merge(before, mine, other, choice)
        texts.append(merge_text(before.text, mine.text, other.text, merged.units))
    return with_markers(texts[0], texts[1], names)


def _base(objects: ObjectDatabase, bases: Sequence[CommitId], crossings: int) -> _Point:
    """What the bases say together; where they do not agree it is nothing that either side could say."""
    if not bases:
        return _NOTHING
    found = _Point.of(objects, bases[0])
    for one in bases[1:] if crossings else ():
        other = _Point.of(objects, one)
        before = _base(objects, objects.merge_bases(bases[0], one), crossings - 1)
        merged = merge_units(before.units, found.units, other.units, {})
        said = {**merged.units, **{conflict.unit: object() for conflict in merged.conflicts}}
        lock = merge_locks(before.lock, found.lock or Lock.empty(), other.lock or Lock.empty(), None, {}).lock
        files, bad = _merge_files(before, found, other, {})
        found = _Point(found.text, said, lock, {path: data for path, data in files.items() if path not in bad})
    return found


def _merge(before: _Point, mine: _Point, other: _Point, settled: Mapping[str, Side]) -> Merged:
    known = dict.fromkeys([*before.units, *mine.units, *other.units])
    sides = {unit: settled[str(unit)] for unit in known if str(unit) in settled}
    whole = [unit for unit in known if unit.section == PACKAGES and _lost_patches(unit, before, mine, other)]
    return merge_units(before.units, mine.units, other.units, sides, whole=whole)


def _lost_patches(unit: Unit, before: _Point, mine: _Point, other: _Point) -> bool:
    """Whether one side changed a patch that the other does not apply any more, or calls by another name."""
    lists = [_patches(side, unit) for side in (before, mine, other)]
    for kept, changing in ((1, other), (2, mine)):
        gone = [path for path in lists[0] if path not in lists[kept]]
        if any(changing.files.get(path) != before.files.get(path) for path in gone if path in changing.files):
            return True
    return False


def _patches(side: _Point, unit: Unit) -> list[str]:
    table = side.units.get(unit)
    found = table.get("patches", []) if isinstance(table, dict) else []
    return found if isinstance(found, list) else []


def _merge_pins(
    before: _Point, mine: _Point, other: _Point, stack: Stack | None, settled: Mapping[str, Side]
) -> tuple[Lock, Sequence[PinConflict]]:
    assert mine.lock is not None, "commits have locks"
    assert other.lock is not None, "likewise"
    sides: dict[Unit, Side] = {}
    for lock in (mine.lock, other.lock):
        known = [Unit(PACKAGES, name) for name in lock.sources]
        known += [*(Unit(HOST, name) for name in lock.host), Unit("defaults", "cpu")]
        sides |= {unit: settled[str(unit)] for unit in known if str(unit) in settled}
    merged = merge_locks(before.lock, mine.lock, other.lock, stack, sides)
    # of what is no stack yet it cannot be told which pins it will want
    return merged.lock, merged.conflicts if stack is not None else ()


def _merge_files(
    before: _Point, ours: _Point, theirs: _Point, settled: Mapping[str, Side]
) -> tuple[dict[str, bytes], list[str]]:
    found: dict[str, bytes] = {}
    bad = []
    for path in sorted({*ours.files, *theirs.files}):
        base = before.files.get(path)
        mine, other = ours.files.get(path), theirs.files.get(path)
        side = settled.get(str(Unit(FILES, path)))
        if mine is None or other is None:
            merged = mine if other is None else other
        elif other in (mine, base):
            merged = mine
        elif mine == base:
            merged = other
        elif side is not None:
            merged = mine if side == "ours" else other
        else:
            merged = _merge_bytes(base or b"", mine, other)
            if merged is None:
                bad.append(path)
                merged = mine
        if merged is not None:
            found[path] = merged
    return found, bad


def _merge_bytes(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    # surrogates: the bytes come out as they went in
    before, mine, other = (data.decode("utf-8", errors="surrogateescape") for data in (base, ours, theirs))
    merged = merge_lines(before, mine, other)
    return merged.encode("utf-8", errors="surrogateescape") if merged is not None else None


def _of_units(conflict: Conflict) -> Choice:
    rows = (
        (".".join(one.keys), _words(one.ours), _words(one.theirs), _words(one.base)) for one in conflict.differences
    )
    return Choice(conflict.unit, tuple(rows))


def _of_pins(conflict: PinConflict) -> Choice:
    ours, theirs = (_pin_words(pin) for pin in (conflict.ours, conflict.theirs))
    return Choice(conflict.unit, ((f"pin {conflict.what}".strip(), ours, theirs, ""),))


def _pin_words(pin: Any) -> str:
    if isinstance(pin, HostPin):
        return f"{pin.version} ({pin.spec[:12]})"
    return f"{pin.url or pin.commit or 'the files'} ({pin.tree[:12]})" if hasattr(pin, "tree") else str(pin)


def _of_file(path: str) -> Choice:
    return Choice(Unit(FILES, path), (("lines", "some", "others at the same place", ""),))


def _words(value: Any) -> str:
    if value is MISSING or type(value) is object:
        return "not there" if value is MISSING else "one or the other"
    if isinstance(value, dict) and "version" in value:
        return f"version {value['version']}"
    text = " ".join(str(tomlkit.item(value).as_string()).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
