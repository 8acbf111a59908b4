"""Refs and reflogs: all must be readable, and all be there that they lead to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from hashdist.errors import HashdistError
from hashdist.objects.ids import CommitId, ObjectId
from hashdist.objects.tree import Entry, InvalidTreeError, Mode, decode_foreign
from hashdist.refs import names

from .findings import Finding

if TYPE_CHECKING:
    from hashdist.store.store import Store


_BARE = re.compile(r"(?mi)^\s*bare\s*(=\s*(true|yes|on|1)\s*)?$")
PACKED = "packed-refs"


def read_refs(store: Store) -> tuple[dict[str, CommitId], list[Finding]]:
    """All refs that can be read, and a finding for each that cannot."""
    refs: dict[str, CommitId] = {}
    findings = []
    try:
        found = store.refs.names()
    except HashdistError as error:
        return {}, [Finding("damaged", "ref", PACKED, error.message)]
    for name in found:
        try:
            commit = store.refs.get(name)
        except HashdistError as error:
            if not _leads_on(store, name):  # or it is told of what it leads to
                findings.append(Finding("damaged", "ref", name, error.message, hits=(names.short_name(name),)))
            continue
        if commit is not None:
            refs[name] = commit
        elif name.startswith(names.ROOTS) and store.refs.symbolic(name) is not None:
            findings.append(Finding("damaged", "ref", name, "names a ref that is not there"))
    for name in store.refs.reflog_names():
        try:
            store.refs.reflog(name)
        except HashdistError as error:
            findings.append(Finding("damaged", "reflog", name, error.message))
    return refs, findings


def _leads_on(store: Store, name: str) -> bool:
    try:
        return store.refs.symbolic(name) is not None
    except HashdistError:
        return False


class Reach:
    """Walks from refs to everything they need, each object once."""

    def __init__(self, store: Store, present: set[str]) -> None:
        self._store = store
        self._present = present
        self._seen: set[str] = set()
        self.bad: dict[str, str] = {}
        """Objects that are missing or cannot be used, and why."""

    def follow(self, refs: Mapping[str, CommitId]) -> Iterator[None]:
        """Follow each ref, and what reflogs of roots name; something comes for each that is done."""
        for commit in refs.values():
            self._follow(commit)
            yield
        for name in self._store.refs.reflog_names():
            if name == "HEAD" or name.startswith(names.ROOTS):
                for commit in reflog_commits(self._store, name):
                    self._follow(commit)
                yield

    def _follow(self, start: ObjectId) -> None:
        pending = [(start, "commit")]
        while pending:
            id, kind = pending.pop()
            if id in self._seen:
                continue
            self._seen.add(id)
            try:
                pending += self._edges(id, kind)
            except HashdistError as error:
                self.bad[id] = error.message

    def _edges(self, id: ObjectId, kind: str) -> list[tuple[ObjectId, str]]:
        if id not in self._present and id not in self._store.objects:
            self.bad[id] = "is not there"
            return []
        return edges(self._store, id, kind)


def edges(store: Store, id: ObjectId, kind: str) -> list[tuple[ObjectId, str]]:
    """What an object of some kind leads to, and of which kind that should be."""
    if kind == "commit":
        tagged = store.objects.tagged(id)
        if tagged is not None:
            return [(tagged, "commit")]
        commit = store.objects.commit(id)
        return [(commit.tree, "tree"), *((parent, "commit") for parent in commit.parents)]
    if kind == "tree":
        return [(entry.id, "tree" if entry.mode is Mode.DIRECTORY else "blob") for entry in _entries(store, id)]
    return []


def _entries(store: Store, id: ObjectId) -> Iterable[Entry]:
    """What is in a tree; of somebody's own repository submodules are left out, as git does."""
    try:
        return store.objects.tree(id)
    except InvalidTreeError as error:
        entries, submodules = decode_foreign(store.objects.raw_tree(id))
        if not submodules:
            raise error from None
        return entries


def reflog_commits(store: Store, name: str) -> Iterator[CommitId]:
    """The commits that a reflog names; none if it cannot be read."""
    try:
        entries = store.refs.reflog(name)
    except HashdistError:
        return
    for entry in entries:
        yield from (commit for commit in (entry.old, entry.new) if commit is not None)


def hit_by(store: Store, refs: Mapping[str, CommitId], bad: set[str]) -> dict[str, set[str]]:
    """Which refs need which of some bad objects."""
    found: dict[str, set[str]] = {}
    for name, commit in refs.items():
        seen: set[str] = set()
        pending: list[tuple[ObjectId, str]] = [(commit, "commit")]
        while pending:
            id, kind = pending.pop()
            if id in seen:
                continue
            seen.add(id)
            if id in bad:
                found.setdefault(id, set()).add(names.short_name(name))
            try:
                pending += edges(store, id, kind) if kind != "blob" else []
            except HashdistError:
                continue
    return found


def check_settings(store: Store) -> list[Finding]:
    """The store's own files: git's configuration and HEAD, which plain git needs."""
    findings = []
    for name in ("config", "HEAD"):
        path = os.path.join(store.git, name)
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            findings.append(Finding("damaged", "settings", path, f"cannot be read: {error}"))
            continue
        if name == "config" and not _BARE.search(text):
            findings.append(Finding("damaged", "settings", path, "does not say that the repository is bare"))
    return findings
