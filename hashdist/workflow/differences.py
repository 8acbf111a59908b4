"""What differs between two specs of one package: down to the flag, the patch's line, the source's file.

Both are read only where their ids differ, and no deeper than that.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import ObjectId, SpecId
from hashdist.objects.libgit2 import ObjectMissingError
from hashdist.objects.spec import InvalidSpecError
from hashdist.objects.tree import Entry, Mode, show_name

#: Files of a source that are told one by one; of more only their number.
_FILES = 5
#: So many are counted at most.
_COUNTED = 1000
#: Larger files are only named.
_LARGEST = 1 << 20
#: Characters of a line that are shown.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between two specs."""

    lines: tuple[str, ...]
    """What was changed in it itself, a line each."""
    inputs: tuple[str, ...]
    """What came, went or changed of its inputs, likewise."""
    changed: frozenset[str]
    """Names of inputs that are there on both sides, and differ."""
    came: frozenset[str]
    """Names of inputs that only the new one has."""
    went: frozenset[str]
    """Names of inputs that only the old one had."""


class SpecDocument:
    """A spec as it is stored, read without checks that it passed when it was made."""

    def __init__(self, objects: ObjectDatabase, id: SpecId) -> None:
        self.entries = {entry.name: entry for entry in objects.tree(id)}
        build = self.entries.get(b"build.json")
        if build is None:
            raise InvalidSpecError(f"tree {id} is not a spec")
        try:
            self.fields: dict[str, Any] = json.loads(objects.blob(build.id))
        except ValueError as error:
            raise InvalidSpecError(f"spec {id} is malformed: {error}") from error

    @property
    def inputs(self) -> Mapping[str, str]:
        """Its inputs, by name."""
        return self.fields.get("inputs") or {}

    def table(self, key: str) -> Mapping[str, str]:
        """A part of it that has names and texts."""
        return self.fields.get(key) or {}


def differences(objects: ObjectDatabase, old: SpecDocument, new: SpecDocument) -> Differences:
    """What differs between two specs."""
    before, after = old.inputs, new.inputs
    lines = tuple(_lines(objects, old, new))
    inputs = tuple(_mapping("input", before, after, short=True))
    both = before.keys() & after.keys()
    return Differences(
        lines,
        inputs,
        frozenset(name for name in both if before[name] != after[name]),
        frozenset(after.keys() - before.keys()),
        frozenset(before.keys() - after.keys()),
    )


def _lines(objects: ObjectDatabase, old: SpecDocument, new: SpecDocument) -> Iterator[str]:
    one, two = old.fields, new.fields
    if one.get("version") != two.get("version"):
        yield f"version {one.get('version')} → {two.get('version')}"
    for key in ("cpu", "arch", "os"):
        if old.table("platform").get(key) != new.table("platform").get(key):
            yield f"{key} {old.table('platform').get(key)} → {new.table('platform').get(key)}"
    if one.get("runner") != two.get("runner"):
        yield f"runner {one.get('runner')} → {two.get('runner')}"
    yield from _sources(objects, old.table("sources"), new.table("sources"))
    yield from _flags("env", old.table("env"), new.table("env"))
    if one.get("commands") != two.get("commands"):
        yield from _commands(one.get("commands") or [], two.get("commands") or [])
    yield from _files(objects, old.entries.get(b"files"), new.entries.get(b"files"))
    if "host" in one and "host" in two:
        yield from _host(objects, old, new)


def _host(objects: ObjectDatabase, old: SpecDocument, new: SpecDocument) -> Iterator[str]:
    one, two = old.fields["host"], new.fields["host"]
    for key in ("finder", "identity"):
        if one.get(key) != two.get(key):
            yield f"{key} {one.get(key)} → {two.get(key)}"
    yield from _mapping("needs", one.get("facts") or {}, two.get("facts") or {})
    yield from _mapping("variable", one.get("environment") or {}, two.get("environment") or {})
    before, after = (side.entries.get(b"manifest") for side in (old, new))
    if before is not None and after is not None and before.id != after.id:
        yield from _manifest(objects.blob(before.id), objects.blob(after.id))


def _mapping(what: str, old: Mapping[str, str], new: Mapping[str, str], *, short: bool = False) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        one, two = old.get(name), new.get(name)
        if one != two:
            shown = [("(none)" if value is None else value[:12] if short else value) for value in (one, two)]
            yield f"{what} {name}: {shown[0]} → {shown[1]}"


def _flags(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Of values of many words only those that changed."""
    for line in _mapping(what, old, new):
        name = line[len(what) + 1 :].partition(":")[0]
        one, two = old.get(name), new.get(name)
        words = _words(one.split(), two.split()) if one is not None and two is not None else None
        yield f"{what} {name}: {words}" if words is not None else line


def _words(old: Sequence[str], new: Sequence[str]) -> str | None:
    """The words that changed between two lists of which most are the same; None where that says no more than both."""
    changes = _replaced(old, new)
    same = len(old) - sum(len(gone) for gone, _ in changes)
    if not changes or not same or len(changes) > same:
        return None
    return ", ".join(f"{' '.join(gone) or '(none)'} → {' '.join(come) or '(none)'}" for gone, come in changes)


def _replaced(old: Sequence[str], new: Sequence[str]) -> list[tuple[Sequence[str], Sequence[str]]]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [(old[a:b], new[c:d]) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def _commands(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    for gone, come in _replaced(old, new):
        pairs = list(itertools.zip_longest(gone, come))
        for one, two in pairs:
            words = _words(one.split(), two.split()) if one is not None and two is not None else None
            if words is not None and two is not None:
                yield f"command {two.split()[0]}: {words}"
                continue
            if one is not None:
                yield f"command - {one}"
            if two is not None:
                yield f"command + {two}"


def _files(objects: ObjectDatabase, old: Entry | None, new: Entry | None) -> Iterator[str]:
    """The patches and scripts that differ, with the first line that does."""
    if (old.id if old else None) == (new.id if new else None):
        return
    before, after = (
        {entry.name: entry for entry in objects.tree(side.id)} if side is not None else {} for side in (old, new)
    )
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        if one is None or two is None:
            yield f"file {'+' if one is None else '-'} {show_name(name)}"
        elif one.id != two.id:
            yield f"file {show_name(name)}{_first_line(objects, one.id, two.id)}"


def _sources(objects: ObjectDatabase, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for line in _mapping("source", old, new, short=True):
        yield line
        name = line[len("source ") :].partition(":")[0]
        if name in old and name in new:
            try:
                yield from _source_files(objects, name, ObjectId(old[name]), ObjectId(new[name]))
            except ObjectMissingError:
                continue  # one of them is not here: it was never fetched, or gc has taken it


def _source_files(objects: ObjectDatabase, name: str, old: ObjectId, new: ObjectId) -> Iterator[str]:
    found = list(itertools.islice(_tree_differences(objects, b"", old, new), _COUNTED))
    if len(found) > _FILES:
        more = " or more" if len(found) == _COUNTED else ""
        yield f"source {name}: {len(found)}{more} files differ"
        return
    for path, one, two in found:
        if one is None or two is None:
            yield f"source {name} {'+' if one is None else '-'} {show_name(path)}"
        else:
            yield f"source {name} {show_name(path)}{_first_line(objects, one, two)}"


def _tree_differences(
    objects: ObjectDatabase, folder: bytes, old: ObjectId | None, new: ObjectId | None
) -> Iterator[tuple[bytes, ObjectId | None, ObjectId | None]]:
    """The files that differ between two trees, with their ids; descends only where ids differ."""
    pending = [(folder, old, new)]
    while pending:
        folder, old, new = pending.pop()
        before, after = (
            {entry.name: entry for entry in objects.tree(side)} if side is not None else {} for side in (old, new)
        )
        for name in sorted(before.keys() | after.keys()):
            one, two = before.get(name), after.get(name)
            if one is not None and two is not None and (one.id, one.mode) == (two.id, two.mode):
                continue
            path = folder + name
            trees = [side.id if side is not None and side.mode is Mode.DIRECTORY else None for side in (one, two)]
            blobs = [side.id if side is not None and side.mode is not Mode.DIRECTORY else None for side in (one, two)]
            if any(blobs):
                yield path, blobs[0], blobs[1]
            if any(trees):
                pending.append((path + b"/", trees[0], trees[1]))


def _first_line(objects: ObjectDatabase, old: ObjectId, new: ObjectId) -> str:
    """Where two files begin to differ, and how; empty where that cannot be told."""
    if old == new:
        return ": executable or not"
    if max(objects.size(old), objects.size(new)) > _LARGEST:
        return ""
    one, two = objects.blob(old), objects.blob(new)
    if b"\0" in one[:8000] or b"\0" in two[:8000]:
        return ""
    lines = [data.decode(errors="replace").split("\n") for data in (one, two)]
    for number, (before, after) in enumerate(itertools.zip_longest(*lines), start=1):
        if before != after:
            shown = [None if line is None else " ".join(line.split()) for line in (before, after)]
            pairs = itertools.zip_longest(shown[0] or "", shown[1] or "")
            alike = next((at for at, (one, other) in enumerate(pairs) if one != other), 0)
            return f":{number}: {_cut(shown[0], alike)} → {_cut(shown[1], alike)}"
    return ""


def _cut(line: str | None, alike: int) -> str:
    """A line, or of a long one the part around where it begins to differ, after so many characters."""
    if line is None:
        return "(end)"
    if len(line) <= _SHOWN:
        return line or "(empty)"
    begin = 0 if alike < _SHOWN * 2 // 3 else min(alike, len(line)) - _SHOWN // 2
    end = begin + _SHOWN
    return f"{'…' if begin else ''}{line[begin:end]}{'…' if end < len(line) else ''}"


def _manifest(old: bytes, new: bytes) -> Iterator[str]:
    before, after = ({line.split("\t")[3]: line for line in data.decode().splitlines()} for data in (old, new))
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield f"host file {path}"
