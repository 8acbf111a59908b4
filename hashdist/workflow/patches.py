"""What people wrote that differs between two commits: the stack file and what it refers to, as unified diffs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId, ObjectId
from hashdist.objects.tree import Entry, Mode

from .profile import LOCK, SPECS


def patch(objects: ObjectDatabase, old: CommitId | None, new: CommitId) -> Iterator[str]:
    """The lines of the diff, without line ends; descends only where ids differ. Locks and specs are not in it."""
    before = objects.commit(old).tree if old is not None else None
    for path, one, two in _files(objects, before, objects.commit(new).tree):
        yield from _diff(objects, path, one, two)


def _files(
    objects: ObjectDatabase, old: ObjectId | None, new: ObjectId
) -> Iterator[tuple[str, ObjectId | None, ObjectId | None]]:
    pending: list[tuple[str, ObjectId | None, ObjectId | None]] = [("", old, new)]
    while pending:
        folder, one, two = pending.pop()
        if one == two:
            continue
        before, after = ({entry.name: entry for entry in objects.tree(side)} if side else {} for side in (one, two))
        for name in sorted(before.keys() | after.keys()):
            path = folder + name.decode(errors="replace")
            first, second = before.get(name), after.get(name)
            if path in {LOCK, SPECS} or (first is not None and second is not None and first.id == second.id):
                continue
            (file, directory), (file_after, directory_after) = _kinds(first), _kinds(second)
            if file or file_after:
                yield path, file, file_after
            if directory or directory_after:
                pending.append((f"{path}/", directory, directory_after))


def _kinds(entry: Entry | None) -> tuple[ObjectId | None, ObjectId | None]:
    """The id as a file's and as a directory's; one of them is None."""
    if entry is None:
        return None, None
    return (None, entry.id) if entry.mode is Mode.DIRECTORY else (entry.id, None)


def _diff(objects: ObjectDatabase, path: str, old: ObjectId | None, new: ObjectId | None) -> Iterator[str]:
    before, after = (objects.blob(side) if side is not None else b"" for side in (old, new))
    names = ("/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}")
    if b"\0" in before or b"\0" in after:
        yield f"binary files {names[0]} and {names[1]} differ"
        return
    lines = [data.decode(errors="replace").splitlines() for data in (before, after)]
    yield from difflib.unified_diff(lines[0], lines[1], *names, lineterm="")
