"""Look at everything, with all cores; then say which profiles are hit by what was found."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from hashdist.errors import HashdistError, NotFoundError
from hashdist.objects import checking
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import CommitId, ObjectId, SpecId
from hashdist.objects.spec import read_spec
from hashdist.objects.workers import spread
from hashdist.progress import SILENT, Progress
from hashdist.refs import names
from hashdist.refs.edges import EdgeReader
from hashdist.store.checkouts import registered

from . import artifacts, others
from .findings import Finding, Report
from .refs import Reach, check_settings, hit_by, read_refs

if TYPE_CHECKING:
    from hashdist.store.store import Store

Batch = TypeVar("Batch")
Result = TypeVar("Result")


def verify(store: Store, *, quick: bool = False, only: Iterable[SpecId] = (), progress: Progress = SILENT) -> Report:
    """Look at the whole store, or at the artifacts of some specs `only`; `quick` leaves the bytes of files unread.

    Nothing is changed, and others may work meanwhile: what they take away is no finding.
    """
    report = Report()
    wanted = set(only)
    refs, findings = read_refs(store)
    report.refs = len(refs)
    if not wanted:
        report.findings += findings + check_settings(store)
        _objects(store, refs, report, quick=quick, progress=progress)
    _artifacts(store, refs, wanted, report, quick=quick, progress=progress)
    if not wanted:
        _others(store, report, quick=quick, progress=progress)
    report.findings = _named(store, refs, _still_so(store, report.findings))
    return report


def _objects(store: Store, refs: Mapping[str, CommitId], report: Report, *, quick: bool, progress: Progress) -> None:
    folder = os.path.join(store.git, "objects")
    work, present, faults = checking.batches(folder)
    report.objects = len(present)
    for checked in _each("objects", checking.check, [] if quick else work, progress):
        report.bytes += checked.size
        faults += checked.faults
    damaged = {fault.id for fault in faults if fault.id is not None}
    for fault in faults:
        words = f"object {fault.id} {fault.words}" if fault.id else fault.words
        report.findings.append(Finding("damaged", "object", fault.path, words, object=fault.id))
    reach = Reach(store, present)
    with progress.task("refs", len(refs), "ref") as task:
        for _ in reach.follow(refs):
            task.advance()
    for id, words in reach.bad.items():
        if id not in damaged:
            missing = words == "is not there"
            text = f"object {id} {words}" if missing else words
            found = Finding("missing" if missing else "damaged", "object", folder, text, object=ObjectId(id))
            report.findings.append(found)


def _artifacts(
    store: Store,
    refs: Mapping[str, CommitId],
    wanted: set[SpecId],
    report: Report,
    *,
    quick: bool,
    progress: Progress,
) -> None:
    work = []
    for name, commit in refs.items():
        if not name.startswith(names.ARTIFACTS):
            continue
        spec = name[len(names.ARTIFACTS) :]
        if not wanted or spec in wanted:
            try:
                found, findings = artifacts.look(store, SpecId(spec), commit, quick=quick)
            except ValueError as error:
                found, findings = [], [Finding("damaged", "ref", name, f"names no spec: {error}")]
            work += found
            report.findings += findings
            report.artifacts += bool(found)
    for checked in _each("artifacts", artifacts.check, work, progress):
        report.bytes += checked.size
        report.files += checked.files
        report.findings += checked.findings


def _others(store: Store, report: Report, *, quick: bool, progress: Progress) -> None:
    for one in _each("prefixes", others.check_prefix, list(others.prefixes(store)), progress):
        report.findings += one.findings
    if quick:
        return
    for one in _each("downloads", others.check_download, list(others.downloads(store)), progress):
        report.bytes += one.size
        report.findings += one.findings
    for path in others.unpacked(store):
        report.findings += others.check_unpacked(store, path).findings


def _each(label: str, check: Callable[[Batch], Result], work: list[Batch], progress: Progress) -> Iterator[Result]:
    with progress.task(label, len(work), "batch") as task:
        for result in spread(check, work):
            yield result
            task.advance()


def _still_so(store: Store, findings: list[Finding]) -> list[Finding]:
    """What was found and is not merely what gc took away, or a build made anew, while we looked."""
    if not findings:
        return []
    fresh = store.reopened()
    refs, _ = read_refs(fresh)
    lost: set[str] = set()
    if any(_is_of_walk(finding) for finding in findings):
        reach = Reach(fresh, set())
        for _ in reach.follow(refs):
            pass
        lost = set(reach.bad)
    return [finding for finding in findings if _is_so(fresh, finding, refs, lost)]


def _is_of_walk(finding: Finding) -> bool:
    """Whether it was found by following refs, and not in a file of objects."""
    return finding.what == "object" and os.path.isdir(finding.path)


def _is_so(store: Store, finding: Finding, refs: Mapping[str, CommitId], lost: set[str]) -> bool:
    if finding.what in {"artifact", "record"} and finding.spec is not None:
        commit = refs.get(names.ARTIFACTS + finding.spec)
        if commit is None:
            return False
        return finding.what != "record" or bool(artifacts.look(store, finding.spec, commit, quick=True)[1])
    if _is_of_walk(finding):
        return finding.object in lost
    if finding.what == "object":
        return os.path.lexists(finding.path)
    if finding.what == "prefix":
        folder = f"{store.config.path}/prefixes/"
        return os.path.lexists(folder + finding.path.removeprefix(folder).split("/")[0])
    return finding.what not in {"download", "unpacked"} or os.path.lexists(finding.path)


def _named(store: Store, refs: Mapping[str, CommitId], findings: list[Finding]) -> list[Finding]:
    """Say of each finding which profiles and other refs are hit."""
    bad = {finding.object for finding in findings if finding.object is not None}
    by_object = hit_by(store, refs, {str(id) for id in bad}) if bad else {}
    by_spec = users(store, refs) if any(finding.spec for finding in findings) else {}
    found = []
    for finding in findings:
        hits = set(finding.hits)
        if finding.object is not None:
            hits |= by_object.get(finding.object, set())
        artifact = finding.artifact
        if finding.spec is not None:
            hits |= by_spec.get(finding.spec, set())
            artifact = artifact or _artifact(store, finding.spec)
        if finding.what == "prefix" and _is_left(store, finding):
            continue
        # with a record and without a directory it does not exist: a gc that was killed left it so, and nobody needs it
        unneeded = finding.kind == "missing" and finding.what == "artifact" and not hits and _is_root(store, finding)
        kind = "note" if unneeded else finding.kind
        found.append(dataclasses.replace(finding, kind=kind, artifact=artifact, hits=tuple(sorted(hits))))
    return found


def _is_left(store: Store, finding: Finding) -> bool:
    """Whether a prefix led to what was upstream, and no checkout shows it any more: gc takes it."""
    folder = f"{store.config.path}/prefixes/"
    prefix = folder + finding.path.removeprefix(folder).split("/")[0]
    shown = {os.path.realpath(path) for path in registered(store).values()}
    return os.path.realpath(prefix) not in shown and bool(others.elsewhere(prefix))


def _is_root(store: Store, finding: Finding) -> bool:
    """Whether a finding is about an artifact as a whole."""
    return finding.artifact is not None and finding.path == store.artifacts.own_path(finding.artifact)


def _artifact(store: Store, spec: SpecId) -> ArtifactId | None:
    try:
        return read_spec(store.objects, spec).artifact
    except HashdistError:
        return None


def users(store: Store, refs: Mapping[str, CommitId]) -> dict[SpecId, set[str]]:
    """Which profiles, tags and checkouts name which specs, at their tips or, then said so, in their history."""
    edges = EdgeReader(store.objects)
    found: dict[SpecId, set[str]] = {}
    for name, tip in refs.items():
        if name != "HEAD" and not name.startswith((names.HEADS, names.TAGS, names.CHECKOUTS, names.PINS)):
            continue
        seen: set[CommitId] = set()
        pending = [tip]
        while pending:
            commit = pending.pop()
            if commit in seen:
                continue
            seen.add(commit)
            short = names.short_name(name) if commit == tip else f"{names.short_name(name)} (history)"
            try:
                named = edges.named(commit)
                for spec in named.specs.values():
                    if commit == tip or names.short_name(name) not in found.get(spec, set()):
                        found.setdefault(spec, set()).add(short)
                pending += store.objects.commit(commit).parents if named.is_profile else ()
            except (HashdistError, NotFoundError):
                continue
    return found
