"""``hdist artifact``: list and show artifacts."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli import artifact_files
from hashdist.cli.app import App, command as make, human_size
from hashdist.cli.jailing import details, summary
from hashdist.errors import ConflictError
from hashdist.fsutil.clock import time_text
from hashdist.objects import manifest
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.record import ArtifactRecord, read_record
from hashdist.objects.spec import read_spec
from hashdist.preload.report import Report
from hashdist.store.artifacts import NotBuiltError
from hashdist.workflow.profile import find, read_profile


@click.group("artifact", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Artifacts: finished installs, one for each spec."""


@make(reads=True)
def list_(app: App) -> None:
    """List all artifacts of the store."""
    store = app.store
    found = sorted(store.artifacts.record(spec).spec.artifact for spec, _ in store.artifacts.all())
    rows = [{"artifact": str(one), "path": store.artifacts.path(one)} for one in found]
    app.emit({"artifacts": rows}, lambda: iter(str(one) for one in found))


@make(reads=True)
@click.argument("name", metavar="NAME|ID")
def show(app: App, name: str) -> None:
    """Show what is known of an artifact."""
    store = app.store
    artifact = one_artifact(app, name)
    record, commit = read_record(store.objects, store.artifacts.commit_of_record(artifact.spec))
    entries = manifest.decode(record.manifest)
    size = sum(entry.size or 0 for entry in entries)
    document = {
        "artifact": str(artifact),
        "path": store.artifacts.path(artifact),
        "built_at": time_text(commit.time),
        "built_on": record.host,
        "seconds": record.seconds,
        "files": len(entries),
        "bytes": size,
        "references": list(record.references),
        "unresolved": list(record.unresolved),
        "pure": record.pure if record.spec.host is None else None,
        "jail": record.jail,
        "spec": record.spec.to_json(),
    }

    def lines() -> Iterator[str]:
        yield str(artifact)
        yield f"path        {document['path']}"
        yield f"built       {document['built_at']} on {record.host} in {record.seconds} s"
        yield f"size        {human_size(size)} in {len(entries)} files"
        for input_name, spec in record.spec.inputs.items():
            yield f"input       {input_name} {spec[:12]}{' (referred to)' if spec in record.references else ''}"
        yield from (f"unresolved  {line}" for line in record.unresolved)
        if record.spec.host is None:
            yield from _jail_lines(record)

    app.emit(document, lines)


def _jail_lines(record: ArtifactRecord) -> Iterator[str]:
    if record.jail is None:
        yield "jail        off: nothing is known of what it used"
        return
    report = Report.of_document(record.jail)
    yield f"jail        {report.mode}: {'pure' if report.pure and not report.hidden else summary(report)}"
    yield from details(report)


@make()
@click.argument("name", metavar="NAME|ID")
def path(app: App, name: str) -> None:
    """Print where an artifact lies; exit 3 when it is not built."""
    artifact = one_artifact(app, name)
    if artifact not in app.store.artifacts:
        raise NotBuiltError(f"'{artifact}' is not built", hint="hdist build")
    app.put(app.store.artifacts.path(artifact))


@make()
@click.argument("name", metavar="NAME|ID")
def log(app: App, name: str) -> None:
    """Print the log of an artifact's build."""
    record = app.store.artifacts.record(one_artifact(app, name).spec)
    app.put_bytes(record.log)


def one_artifact(app: App, text: str) -> ArtifactId:
    """The artifact that a name means: of the profile that HEAD names if it has one, else the only one there is."""
    store = app.store
    head = store.refs.get("HEAD")
    if head is not None and "/" not in text:
        lock = read_profile(store.objects, find(store, None)).lock
        if text in lock.specs:
            return read_spec(store.objects, lock.specs[text]).artifact
    found = store.artifacts.find(text)
    if not found:
        raise NotBuiltError(f"no artifact '{text}' in this store", hint="see: hdist artifact list")
    if len(found) > 1:
        raise ConflictError(f"'{text}' could be any of: {', '.join(map(str, found))}", hint="give more of the id")
    return found[0]


for _one in (list_, show, path, log, artifact_files.export, artifact_files.import_):
    command.add_command(_one)
