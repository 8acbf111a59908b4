"""The files of an export: what lies where, the prefix and its artifacts first, then files of the host."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from hashdist.errors import ConflictError
from hashdist.hostscan.scans import Scan
from hashdist.objects import manifest
from hashdist.objects.manifest import ManifestEntry
from hashdist.objects.tree import Mode
from hashdist.workflow.hosts import live_host
from hashdist.workflow.session import Session

from .closure import Closure

#: Which files of the host come along: none; those that no package of it owns; all that is needed in an empty root.
HostFiles = Literal["none", "unowned", "all"]


class HostChangedError(ConflictError):
    """Files of the host that are not what was captured."""

    code = "host_changed"


class ElsewhereError(ConflictError):
    """An artifact of links to files that are not in the store."""

    code = "elsewhere"


@dataclass(frozen=True, slots=True)
class Item:
    """A file, directory or link of an export."""

    path: str
    """Where it lies, absolute."""
    mode: Mode
    """What it is."""
    size: int = 0
    """Bytes of a file."""
    target: str | None = None
    """Of a link."""
    sha256: str | None = None
    """What a file of the host must still be."""


def contents(session: Session, closure: Closure, host: HostFiles) -> list[Item]:
    """All that an export holds, sorted by path; raises `OSError` where something cannot be read."""
    found: dict[str, Item] = {}
    for artifact, root in closure.artifacts.items():
        foreign = closure.specs[artifact].is_foreign
        for item in _walk(root):
            if foreign and (item.target or "").startswith("/") and not _is_inside(session, item.target or ""):
                raise ElsewhereError(
                    f"files of '{artifact.name}' lie with what made it, such as {item.target}, and not in the store",
                    hint="export it by the means of that",
                )
            found[item.path] = item
    found |= {item.path: item for item in _walk(closure.prefix)}
    found[closure.link] = Item(
        closure.link, Mode.SYMLINK, target=os.path.relpath(closure.prefix, os.path.dirname(closure.link))
    )
    for item in _of_host(session, closure, host):
        found.setdefault(item.path, item)
    return [found[path] for path in sorted(found, key=os.fsencode)]


def _is_inside(session: Session, path: str) -> bool:
    return any(path.startswith(store.config.path + "/") for store in session.store.chain)


def with_parents(items: Sequence[Item], root: str) -> list[Item]:
    """The same with all directories between them and a root, which has none of its own; sorted by path."""
    found = {item.path: item for item in items}
    for item in items:
        folder = os.path.dirname(item.path)
        while folder not in {root, *found}:
            found[folder] = Item(folder, Mode.DIRECTORY)
            folder = os.path.dirname(folder)
    return [found[path] for path in sorted(found, key=os.fsencode)]


def root_of(items: Sequence[Item]) -> str:
    """The deepest directory that has all of it below."""
    return os.path.commonpath([os.path.dirname(item.path) for item in items])


def _walk(root: str) -> Iterator[Item]:
    pending = [root]
    while pending:
        folder = pending.pop()
        yield Item(folder, Mode.DIRECTORY)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield Item(entry.path, Mode.SYMLINK, target=os.readlink(entry.path))
                elif entry.is_dir():
                    pending.append(entry.path)
                else:
                    status = entry.stat()
                    mode = Mode.EXECUTABLE if status.st_mode & stat.S_IXUSR else Mode.FILE
                    yield Item(entry.path, mode, status.st_size)


def _of_host(session: Session, closure: Closure, host: HostFiles) -> Iterator[Item]:
    if host == "none":
        return
    scans = [*closure.scans, *([closure.base] if host == "all" and closure.base is not None else [])]
    entries = {os.fsdecode(entry.path): entry for scan in scans for entry in _used_in_place(session, scan)}
    found = {path: _item(path, entry) for path, entry in entries.items()}
    for path, target in closure.system.links:
        found.setdefault(path, Item(path, Mode.SYMLINK, target=target))
    for path in closure.system.files:
        mode = Mode.EXECUTABLE if os.access(path, os.X_OK) else Mode.FILE
        found.setdefault(path, Item(path, mode, os.stat(path).st_size))
    owned: set[str] = set()
    if host == "unowned":
        with live_host(session) as live:
            owned = {*live.owners(found), *live.alternatives()}
        # configuration, and links such as /lib64, are of every system, and not for an archive to lay anew
        owned |= {path for path in found if path.startswith("/etc/") or os.path.dirname(path) == "/"}
    yield from (item for path, item in found.items() if path not in owned)


def _item(path: str, entry: ManifestEntry) -> Item:
    target = None if entry.target is None else os.fsdecode(entry.target)
    return Item(path, entry.mode, entry.size or 0, target, entry.sha256)


def _used_in_place(session: Session, scan: Scan) -> Iterator[ManifestEntry]:
    """The files of the host that a scan captured: those that are used where they are, and those that links lead to."""
    objects = next((store.objects for store in session.store.chain if scan.commit.id in store.objects), None)
    for entry in () if objects is None else manifest.decode(scan.manifest(objects)):
        if entry.path.startswith(b"/"):
            yield entry
        elif entry.target is not None and entry.sha256 is not None:
            place = os.path.realpath(entry.target)
            mode = Mode.EXECUTABLE if os.access(place, os.X_OK) else Mode.FILE
            yield ManifestEntry(place, mode, entry.size, entry.sha256)
