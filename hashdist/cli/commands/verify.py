"""``hdist verify``: look at everything in the store."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import click

from hashdist.build.rebuilding import rebuild as build_again
from hashdist.cli.app import App, command as make, human_size
from hashdist.errors import DamagedError, InvalidError
from hashdist.objects.ids import SpecId
from hashdist.objects.spec import read_spec
from hashdist.verify.findings import Finding, Report
from hashdist.workflow.naming import find_thing
from hashdist.workflow.repair.repairing import repair as mend
from hashdist.workflow.verifying import verify_store


@make(reads=True)
@click.argument("names", nargs=-1, metavar="[ARTIFACT]...")
@click.option("--quick", is_flag=True, help="Leave the bytes of files and objects unread.")
@click.option("--repair", is_flag=True, help="Mend what can be proved; what is damaged is moved aside first.")
@click.option("--rebuild", metavar="ARTIFACT", help="Build it a second time, and tell which files differ.")
def verify(app: App, names: tuple[str, ...], quick: bool, repair: bool, rebuild: str | None) -> int:
    """Look at every object, ref, record, artifact, prefix and download, or at some artifacts only.

    Names each thing that is damaged, with the profiles that need it; exit 8 if there is any. Host software that has
    changed since it was captured is told, and is no damage. With --rebuild: exit 1 if the build is not reproducible.
    """
    if rebuild is not None:
        return _rebuild(app, rebuild)
    specs = [_spec(app, name) for name in names]
    report = verify_store(app.session, quick=quick, only=specs)
    left = False
    if repair and report.damage:
        for mended in mend(app.session, report):
            left |= not mended.done
            app.say(f"{line(mended.finding)}: {'' if mended.done else 'NOT MENDED: '}{mended.words}")
        fresh = dataclasses.replace(app.session, store=app.store.reopened())
        report = verify_store(fresh, quick=quick, only=specs)
    _tell(app, report, repaired=repair)
    return DamagedError.exit_code if report.damage or left else 0


def _spec(app: App, name: str) -> SpecId:
    thing = find_thing(app.store, name)
    if not isinstance(thing, SpecId):
        raise InvalidError(f"'{name}' is no artifact", hint="hdist artifact list")
    if app.store.artifacts.own_record(thing) is None:
        raise InvalidError(f"'{name}' is in the upstream store", hint="hdist --store UPSTREAM verify")
    return thing


def _rebuild(app: App, name: str) -> int:
    store = app.store
    spec = read_spec(store.objects, _spec(app, name))
    if spec.host is not None:
        raise InvalidError(f"'{name}' is host software: nothing builds it", hint=f"hdist host check {spec.name}")
    found = build_again(store, spec, jobs=app.session.jobs, env=app.env, progress=app.progress)

    def lines() -> Iterator[str]:
        yield from (f"{one.words:<18} {one.path}" for one in found.differences)
        if found.differences:
            yield f"not reproducible: {len(found.differences)} of {found.files} files differ"
        else:
            yield f"reproducible: {found.files} files are the same"
        if not found.same_path:
            yield "built at another path of the same length: this system allows no mount namespaces"

    document = {
        "artifact": str(spec.artifact),
        "reproducible": not found.differences,
        "same_path": found.same_path,
        "files": found.files,
        "differences": [{"path": one.path, "what": one.words} for one in found.differences],
    }
    app.emit(document, lines)
    return 1 if found.differences else 0


def _tell(app: App, report: Report, *, repaired: bool) -> None:
    document = {
        "objects": report.objects,
        "refs": report.refs,
        "artifacts": report.artifacts,
        "files": report.files,
        "bytes": report.bytes,
        "damaged": len(report.damage),
        "findings": [_document(finding) for finding in report.findings],
    }

    def lines() -> Iterator[str]:
        yield from (line(finding) for finding in report.findings)
        if not app.quiet:
            words = f"{len(report.damage)} damaged" if report.damage else "all is well"
            yield (
                f"{words}: {report.objects} objects, {report.refs} refs, {report.artifacts} artifacts with "
                f"{report.files} files, {human_size(report.bytes)} read"
            )

    app.emit(document, lines)
    if report.damage and not repaired:
        app.say("hint: hdist verify --repair mends what can be proved")


def line(finding: Finding) -> str:
    """A finding, for people."""
    hits = f" [{', '.join(finding.hits)}]" if finding.hits else ""
    return f"{finding.kind:<8} {finding.what} {finding.path}: {finding.words}{hits}"


def _document(finding: Finding) -> dict[str, object]:
    document = dataclasses.asdict(finding)
    document["artifact"] = str(finding.artifact) if finding.artifact else None
    document["profiles"] = list(document.pop("hits"))
    return document


command = verify
