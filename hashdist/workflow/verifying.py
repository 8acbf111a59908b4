"""Verify a store, and compare each prefix with what it would be if it were made now."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Iterable, Iterator

from hashdist.checkout import prefix as prefixes
from hashdist.checkout.links import Member
from hashdist.errors import HashdistError
from hashdist.objects.ids import SpecId
from hashdist.refs import names
from hashdist.store.checkouts import registered
from hashdist.verify.findings import Finding, Report
from hashdist.verify.others import prefixes as all_prefixes
from hashdist.verify.verifying import verify

from .repair.artifacts import read_document
from .session import Session


def verify_store(session: Session, *, quick: bool = False, only: Iterable[SpecId] = ()) -> Report:
    """Look at the whole store, or at the artifacts of some specs `only`; see `hashdist.verify.verifying`."""
    wanted = list(only)
    report = verify(session.store, quick=quick, only=wanted, progress=session.progress)
    report.findings = [_with_command(session, finding) for finding in report.findings]
    if not wanted:
        damaged = {finding.path for finding in report.damage if finding.what == "prefix"}
        for path in all_prefixes(session.store):
            if not any(one == path or one.startswith(f"{path}/") for one in damaged):
                report.findings += _gaps(session, path)
    return report


def _with_command(session: Session, finding: Finding) -> Finding:
    """A finding of a prefix that lacks what has gone upstream, with the command that builds it here."""
    if (finding.kind, finding.what) != ("missing", "prefix"):
        return finding
    for name, place in registered(session.store).items():
        commit = session.store.refs.get(names.at_ref(name))
        if commit is not None and os.path.realpath(place) == os.path.realpath(finding.path):
            where = "" if name == names.DEFAULT_CHECKOUT else f" --to {shlex.quote(place)}"
            words = f"{finding.words}; it is built here by: hdist checkout --build {commit[:12]}{where}"
            return dataclasses.replace(finding, words=words)
    return finding


def _gaps(session: Session, path: str) -> Iterator[Finding]:
    """What a prefix would have and has not."""
    document = read_document(path)
    if document is None:
        return
    members, rules = document
    store = session.store
    try:
        plan = prefixes.plan(store, [Member(one, store.artifacts.path(one)) for one in members], rules)
        if plan.path != path:
            return  # its artifacts have come to lie elsewhere
        layout = prefixes.layout(store, plan, env=session.env)
    except (HashdistError, OSError):
        return  # of something that is not there: that is told by itself
    for name in layout.paths():
        if not os.path.lexists(os.path.join(path, name)):
            yield Finding("missing", "prefix", os.path.join(path, name), "is not there")
