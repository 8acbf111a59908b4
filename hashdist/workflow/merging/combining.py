"""What two commits say together, since a third: stack file, the files it refers to, and pins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tomlkit

from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId
from hashdist.stack import merging
from hashdist.stack.lock import HostPin, Lock
from hashdist.stack.merging import MISSING, Conflict, Side
from hashdist.stack.merging_locks import PinConflict, merge_locks
from hashdist.stack.units import FILES, Unit, units
from hashdist.workflow.profile import Profile, read_profile

_SHOWN = 100


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


def combine(
    objects: ObjectDatabase,
    base: CommitId | None,
    ours: CommitId,
    theirs: CommitId,
    *,
    settled: Mapping[str, Side],
    text: str | None = None,
) -> Combined:
    """Merge two commits of profiles in three ways (without `base`: they have nothing in common).

    `settled` says whose side to take, by what a unit is called; `text` is a stack file that settles all that is in it.
    """
    before = read_profile(objects, base) if base is not None else None
    mine, other = read_profile(objects, ours), read_profile(objects, theirs)
    three = [units(one.text) if one is not None else {} for one in (before, mine, other)]
    known = dict.fromkeys([*three[0], *three[1], *three[2]])
    sides = {unit: settled[str(unit)] for unit in known if str(unit) in settled}
    merged = merging.merge_units(three[0], three[1], three[2], sides)
    choices = [] if text is not None else [_of_units(conflict) for conflict in merged.conflicts]
    if text is None and not choices:
        text = merging.merge_text(before.text if before else "", mine.text, other.text, merged.units)
    if text is not None:
        merged = merging.Merged(units(text), ())
    # what still has to be chosen takes its pins along
    undecided: dict[Unit, Side] = {choice.unit: "ours" for choice in choices}
    taken = {**merging.taken(merged, three[1], three[2]), **undecided}
    pins = merge_locks(before.lock if before else None, mine.lock, other.lock, taken, _all_sides(settled, mine, other))
    choices += [_of_pins(conflict) for conflict in pins.conflicts]
    files, in_conflict = _merge_files(before, mine, other, settled)
    choices += [_of_file(path) for path in in_conflict]
    return Combined(text if not choices else None, files, pins.lock, tuple(choices))


def _all_sides(settled: Mapping[str, Side], *profiles: Profile) -> dict[Unit, Side]:
    """What was settled of pins, of the host's base tools too, which stand in no stack file."""
    found: dict[Unit, Side] = {}
    for profile in profiles:
        for unit in (*(Unit("packages", name) for name in profile.lock.sources), *_host_units(profile)):
            if str(unit) in settled:
                found[unit] = settled[str(unit)]
    return found


def _host_units(profile: Profile) -> list[Unit]:
    return [*(Unit("host", name) for name in profile.lock.host), Unit("defaults", "cpu")]


def _merge_files(
    before: Profile | None, ours: Profile, theirs: Profile, settled: Mapping[str, Side]
) -> tuple[dict[str, bytes], list[str]]:
    found: dict[str, bytes] = {}
    bad = []
    for path in sorted({*ours.files, *theirs.files}):
        base = before.files.get(path) if before else None
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
        if merged is not None:
            found[path] = merged
    return found, bad


def _merge_bytes(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    # surrogates: the bytes come out as they went in
    three = [data.decode("utf-8", errors="surrogateescape") for data in (base, ours, theirs)]
    merged = merging.merge_lines(*three)
    return merged.encode("utf-8", errors="surrogateescape") if merged is not None else None


def _of_units(conflict: Conflict) -> Choice:
    three = (conflict.ours, conflict.theirs, conflict.base)
    if conflict.keys and all(isinstance(one, dict) for one in three[:2]):
        base = conflict.base if isinstance(conflict.base, dict) else {}
        sides = (conflict.ours, conflict.theirs, base)
        rows = [(key, [_words(side.get(key, MISSING)) for side in sides]) for key in conflict.keys]
        return Choice(conflict.unit, tuple((key, ours, theirs, was) for key, (ours, theirs, was) in rows))
    ours, theirs, before = (_words(one) for one in three)
    return Choice(conflict.unit, (("", ours, theirs, before),))


def _of_pins(conflict: PinConflict[object]) -> Choice:
    ours, theirs = (_pin_words(pin) for pin in (conflict.ours, conflict.theirs))
    return Choice(conflict.unit, (("pin", ours, theirs, ""),))


def _pin_words(pin: object) -> str:
    if isinstance(pin, HostPin):
        return f"{pin.version} ({pin.spec[:12]})"
    if isinstance(pin, Mapping):
        return ", ".join(f"{one.url or one.tree} ({one.tree[:12]})" for one in pin.values())
    return str(pin)


def _of_file(path: str) -> Choice:
    return Choice(Unit(FILES, path), (("lines", "some", "others at the same place", ""),))


def _words(value: Any) -> str:
    if value is MISSING:
        return "not there"
    if isinstance(value, dict):
        version = value.get("version")
        return f"version {version}" if version is not None else "changed"
    text = str(tomlkit.item(value).as_string())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
