"""Mend all that was found: first what everything else rests on."""

from __future__ import annotations

from hashdist.objects.ids import SpecId
from hashdist.store.roots import in_use
from hashdist.verify.findings import Finding, Report
from hashdist.workflow.session import Session

from .artifacts import mend_artifact, mend_prefix
from .aside import Mended, put_aside
from .objects import mend_objects, mend_ref, mend_reflog, mend_settings


def repair(session: Session, report: Report) -> list[Mended]:
    """Mend what a report names; what cannot be proved is left, and said so."""
    damage = report.damage
    found: list[Mended] = []
    with in_use(session.store, [one.spec for one in damage if one.spec is not None], purpose="verify --repair"):
        found += [mend_settings(session.store, one) for one in _about(damage, "settings")]
        found += [mend_reflog(session.store, one) for one in _about(damage, "reflog")]
        if objects := _about(damage, "object"):
            lost = _lost_tips(session, objects)
            found += [mend_ref(session.store, one) for one in lost]
            session, mended = mend_objects(session, [one for one in objects if not _is_of(one, lost)])
            found += mended
        found += [mend_ref(session.store, one) for one in _about(damage, "ref")]
        for spec, some in _by_spec(damage).items():
            found += mend_artifact(session, spec, some)
        prefixes: dict[str, list[Finding]] = {}
        for one in _about(damage, "prefix"):
            prefixes.setdefault(_prefix_of(session, one.path), []).append(one)
        for path, some in prefixes.items():
            found += mend_prefix(session, path, some)
        for one in (*_about(damage, "download"), *_about(damage, "unpacked")):
            words = f"moved to {put_aside(session.store, one.path)}; it comes again when it is wanted"
            found.append(Mended(one, done=True, words=words))
    return found


def _lost_tips(session: Session, objects: list[Finding]) -> list[Finding]:
    """Refs that name what is nowhere, though their reflogs name something else that is here: they are damaged."""
    missing = {one.object for one in objects if one.kind == "missing"}
    found = []
    for name, commit in session.store.refs.all("refs/").items() if missing else ():
        log = session.store.refs.reflog(name) if commit in missing else ()
        if log and log[0].new != commit and log[0].new in session.store.objects:
            words = f"is at {commit}, which is not there"
            found.append(Finding("damaged", "ref", name, words, object=commit))
    return found


def _is_of(finding: Finding, lost: list[Finding]) -> bool:
    return any(finding.object == one.object for one in lost)


def _about(findings: list[Finding], what: str) -> list[Finding]:
    return [finding for finding in findings if finding.what == what]


def _by_spec(findings: list[Finding]) -> dict[SpecId, list[Finding]]:
    found: dict[SpecId, list[Finding]] = {}
    for finding in findings:
        if finding.what in {"artifact", "record"} and finding.spec is not None:
            found.setdefault(finding.spec, []).append(finding)
    return found


def _prefix_of(session: Session, path: str) -> str:
    root = f"{session.store.config.path}/prefixes/"
    return root + path.removeprefix(root).split("/")[0]
