"""Mend refs, reflogs and git objects."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
from collections.abc import Iterable, Iterator

from hashdist import process
from hashdist.errors import HashdistError
from hashdist.fsutil.atomic import write_file
from hashdist.fsutil.modes import is_shared
from hashdist.hostscan.finding import scan
from hashdist.hostscan.scans import write_scan
from hashdist.objects.commits import NOBODY
from hashdist.objects.git_program import git_env
from hashdist.objects.ids import CommitId, ObjectId, SourceId, TreeId
from hashdist.objects.salvaging import salvage
from hashdist.refs import names
from hashdist.refs.reflog import ReflogEntry
from hashdist.sources.pin import Pin
from hashdist.stack.packages import HostEntry
from hashdist.store.making import git_config
from hashdist.store.store import Store
from hashdist.verify.findings import Finding
from hashdist.verify.refs import PACKED, edges
from hashdist.workflow.history import walk
from hashdist.workflow.hosts import live_host
from hashdist.workflow.profile import read_profile
from hashdist.workflow.session import Session

from .aside import Mended, put_aside

_PACKED = re.compile(rb"[0-9a-f]{40} refs/[^ ~^:?*\\[\\\\]+")


def mend_settings(store: Store, finding: Finding) -> Mended:
    """Write git's configuration anew: it is the same in every store."""
    if os.path.basename(finding.path) != "config":
        return Mended(finding, done=False, words="write 'ref: refs/heads/PROFILE' into it")
    aside = put_aside(store, finding.path) if os.path.lexists(finding.path) else None
    write_file(finding.path, git_config(shared=is_shared(store.path)), durable=store.durable)
    words = f"; the old one is {aside}: carry over what was your own" if aside else ""
    return Mended(finding, done=True, words=f"written anew{words}")


def mend_ref(store: Store, finding: Finding) -> Mended:
    """Put a ref back to where its reflog says it went last, if that is there; else it stays, and stops gc."""
    name = finding.path
    if name == PACKED:
        return _mend_packed(store, finding)
    try:
        log = store.refs.reflog(name)
    except HashdistError as error:
        return Mended(finding, done=False, words=f"its reflog cannot be read either: {error.message}")
    source = name[len(names.SOURCES) :] if name.startswith(names.SOURCES) else None
    if source is not None and SourceId(source) in store.objects:
        aside = _copy_aside(store, name)
        commit = store.objects.add_commit(TreeId(source), identity=NOBODY, time=0, message=f"source {source}\n")
        _write(store, name, commit)
        return Mended(finding, done=True, words=f"made again: it is the same in every store{aside}")
    if name == "HEAD" or name.endswith("/HEAD"):
        return _mend_head(store, finding)
    if not log or log[0].new not in store.objects:
        words = "its reflog tells of nothing that is here; hdist gc stops until you have written or removed it"
        return Mended(finding, done=False, words=words)
    aside = _copy_aside(store, name)
    _write(store, name, log[0].new)
    return Mended(finding, done=True, words=f"is at {log[0].new[:12]} again, as its reflog says{aside}")


def _mend_head(store: Store, finding: Finding) -> Mended:
    """Have a checkout follow the profile again that is where it is."""
    name = finding.path
    checkout = names.DEFAULT_CHECKOUT if name == "HEAD" else name[len(names.CHECKOUTS) :].split("/")[0]
    at = store.refs.get(names.at_ref(checkout))
    branch = _branch_at(store, at) if at is not None else None
    if branch is None:
        return Mended(finding, done=False, words=f"write 'ref: refs/heads/PROFILE' into {store.git}/{name}")
    aside = _copy_aside(store, name)
    _write(store, name, f"ref: {branch}")
    return Mended(finding, done=True, words=f"follows {names.short_name(branch)}, which is where it is{aside}")


def _write(store: Store, name: str, value: str) -> None:
    with store.refs.transaction("repair", undoable=False) as transaction:
        transaction.mend(name, value)


def _branch_at(store: Store, commit: CommitId) -> str | None:
    """The profile that a checkout at a commit followed: the one that is there, if there is but one, or main."""
    found = [name for name, tip in store.refs.all(names.HEADS).items() if tip == commit]
    main = f"{names.HEADS}main"
    return main if main in found else found[0] if len(found) == 1 else None


def _copy_aside(store: Store, name: str) -> str:
    """Keep a copy of a ref's file; give the words that say where it is."""
    path = os.path.join(store.git, name)
    if not os.path.isfile(path):
        return ""
    copy = f"{path}.damaged"
    shutil.copyfile(path, copy)
    return f"; the old file is {put_aside(store, copy)}"


def _mend_packed(store: Store, finding: Finding) -> Mended:
    """Keep the lines of ``packed-refs`` that are whole, and take from reflogs where the others were."""
    path = os.path.join(store.git, PACKED)
    with store.refs.still("repair"):
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
        aside = put_aside(store, path)
        kept = [line for line in lines if line[:1] == b"#" or _PACKED.fullmatch(line)]
        write_file(path, b"".join(line + b"\n" for line in kept), durable=store.durable)
    back = 0
    for name in store.refs.reflog_names():
        log = store.refs.reflog(name)
        if name.startswith("refs/") and store.refs.get(name) is None and log and log[0].new in store.objects:
            _write(store, name, log[0].new)
            back += 1
    words = f"{len(kept)} lines kept, {back} refs put back by their reflogs; the old file is {aside}"
    return Mended(finding, done=True, words=words)


def mend_reflog(store: Store, finding: Finding) -> Mended:
    """Leave the lines that can be read."""
    path = os.path.join(store.git, "logs", finding.path)
    with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        lines = file.read().split("\n")
    aside = put_aside(store, path)
    kept = [line for line in lines if _is_line(line)]
    write_file(path, "".join(f"{line}\n" for line in kept).encode(), durable=store.durable)
    return Mended(finding, done=True, words=f"{len(kept)} lines kept; the old file is {aside}")


def _is_line(line: str) -> bool:
    try:
        ReflogEntry.parse(line)
    except HashdistError:
        return False
    return True


def mend_objects(session: Session, findings: list[Finding]) -> tuple[Session, list[Mended]]:
    """Move damaged files of objects aside, save what is whole in them, and bring what is missing again."""
    store = session.store
    moved: dict[str, str] = {}
    for path in dict.fromkeys(finding.path for finding in findings if finding.kind == "damaged"):
        if os.path.isfile(path):
            moved[path] = _save(store, path)
    _index_packs(store)
    session = dataclasses.replace(session, store=store.reopened())
    wanted = {finding.object for finding in findings if finding.object is not None}
    lost = {id for id in wanted if not _is_here(session.store, id)}
    told: dict[ObjectId, str] = {}
    for came in _bring(session, lost):
        told[came] = "fetched again"
    session = dataclasses.replace(session, store=store.reopened())
    found = []
    for finding in findings:
        id = finding.object
        aside = f"; the old file is {moved[finding.path]}" if finding.path in moved else ""
        if id is None or _is_here(session.store, id):
            words = told.get(id, "another copy is whole") if id is not None else "made again"
            found.append(Mended(finding, done=True, words=words + aside))
        else:
            hint = "bring it from another clone: git -C THERE cat-file, or hdist fetch"
            found.append(Mended(finding, done=False, words=f"nothing has it; {hint}{aside}"))
    return session, found


def _index_packs(store: Store) -> None:
    """Make the indexes of packs that have none: without one nobody looks into a pack."""
    folder = os.path.join(store.git, "objects", "pack")
    with store.refs.still("repair"):
        for name in sorted(os.listdir(folder)):
            index = os.path.join(folder, f"{name[:-5]}.idx")
            if name.startswith("pack-") and name.endswith(".pack") and not os.path.exists(index):
                _index(store, index)


def _index(store: Store, index: str) -> None:
    """Make the index of a pack, if that is whole."""
    with contextlib.suppress(process.ProgramFailedError):
        command = ["git", "index-pack", "-o", index, f"{index[:-4]}.pack"]
        process.run(command, env=git_env(store.git, store.search_path))


def _is_here(store: Store, id: ObjectId) -> bool:
    try:
        store.objects.kind(id)
    except HashdistError:
        return False
    return True


def _save(store: Store, path: str) -> str:
    """Move a file of objects aside; what is whole in a pack is kept."""
    with store.refs.still("repair"):
        if path.endswith(".idx") and os.path.exists(f"{path[:-4]}.pack"):
            aside = put_aside(store, path)
            _index(store, path)
            return aside
        if path.endswith(".pack"):
            with contextlib.suppress(OSError, ValueError):
                salvage(store.objects, f"{path[:-5]}.idx")
                store.sync_objects()
            for other in (".idx", ".rev", ".bitmap"):
                if os.path.lexists(path[:-5] + other):
                    put_aside(store, path[:-5] + other)
        return put_aside(store, path)


def _bring(session: Session, lost: set[ObjectId]) -> Iterator[ObjectId]:
    """Fetch the sources again that lost objects are parts of; yield what came."""
    store = session.store
    incomplete = {source for source in store.sources.all() if _leads_to(store, source, lost)} if lost else set()
    for source in incomplete:
        for pin in _pins(store, source):
            ref = names.SOURCES + source
            commit = store.refs.get(ref)
            try:
                if commit is not None:
                    with store.refs.transaction("repair: fetch again", undoable=False) as transaction:
                        transaction.delete(ref, old=commit)
                session.fetcher.bring(pin)
            except (HashdistError, OSError) as error:
                session.progress.note(f"source {source} cannot be fetched again: {error}")
                if commit is not None and store.refs.get(ref) is None:
                    store.refs.update(ref, commit, old=None, reason="repair: could not be fetched")
                continue
            break
    if any(not _is_here(store.reopened(), id) for id in lost):
        _scan_again(session)
    fresh = store.reopened()
    yield from (id for id in lost if _is_here(fresh, id))


def _scan_again(session: Session) -> None:
    """Look at the host again: where it is as it was, what is lost of its captures comes again."""
    store = session.store
    entries: set[HostEntry] = set()
    for tip in store.refs.all(names.HEADS).values():
        with contextlib.suppress(HashdistError):
            for name, pin in read_profile(store.objects, tip).lock.host.items():
                entries.add(HostEntry(name, pin.find, pin.identity))
    with live_host(session) as host:
        for entry in entries:
            with contextlib.suppress(HashdistError, OSError):
                capture = scan(entry, host)
                capture.spec.write(store.objects)
                write_scan(store.objects, capture, entry)


def _leads_to(store: Store, source: SourceId, lost: Iterable[ObjectId]) -> bool:
    wanted = set(lost)
    seen: set[ObjectId] = set()
    pending: list[tuple[ObjectId, str]] = [(source, "tree")]
    while pending:
        id, kind = pending.pop()
        if id in wanted:
            return True
        if id not in seen:
            seen.add(id)
            try:
                pending += edges(store, id, kind)
            except HashdistError:
                return True
    return False


def _pins(store: Store, source: SourceId) -> Iterator[Pin]:
    """How profiles say that a source is had, the newest commits first."""
    for tip in store.refs.all(names.HEADS).values():
        try:
            for commit in walk(store.objects, tip):
                for pins in read_profile(store.objects, commit.id).lock.sources.values():
                    yield from (pin for pin in pins.values() if pin.tree == source)
        except HashdistError:
            continue
