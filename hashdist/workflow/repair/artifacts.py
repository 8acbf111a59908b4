"""Mend artifacts and prefixes: modes by themselves, bytes by building again."""

from __future__ import annotations

import contextlib
import json
import os
import stat

from hashdist.build.rebuilding import compare
from hashdist.checkout import prefix as prefixes
from hashdist.checkout.links import Member
from hashdist.errors import ConflictError, HashdistError
from hashdist.fsutil.atomic import publish
from hashdist.fsutil.modes import sealed_directory_mode
from hashdist.fsutil.staging import staged_directory
from hashdist.objects import manifest
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import CommitId, SpecId
from hashdist.objects.record import ArtifactRecord
from hashdist.objects.spec import read_spec
from hashdist.objects.tree import Mode
from hashdist.refs import names
from hashdist.refs.edges import EdgeReader
from hashdist.stack.linking import Rule
from hashdist.store.store import Store
from hashdist.verify.findings import Finding
from hashdist.workflow.building import build_lock
from hashdist.workflow.history import walk
from hashdist.workflow.origin import where_it_was
from hashdist.workflow.profile import read_profile
from hashdist.workflow.session import Session

from .aside import Mended, put_aside


def mend_artifact(session: Session, spec: SpecId, findings: list[Finding]) -> list[Mended]:
    """Mend one artifact; raises nothing that mending can meet."""
    try:
        return _mend(session, spec, findings)
    except (HashdistError, OSError) as error:
        words = f"could not be mended: {str(error).splitlines()[0]}; it is as it was"
        return [Mended(finding, done=False, words=words) for finding in findings]


def _mend(session: Session, spec: SpecId, findings: list[Finding]) -> list[Mended]:
    store = session.store
    if all(finding.kind in {"mode", "extra"} for finding in findings):
        return [
            _mend_mode(store, finding) if finding.kind == "mode" else _take_away(store, finding) for finding in findings
        ]
    if all(finding.what == "record" for finding in findings) and _reads(store, spec):
        return [Mended(finding, done=True, words="whole again, with the objects") for finding in findings]
    commit = store.artifacts.own_record(spec)
    before = None if any(finding.what == "record" for finding in findings) else store.artifacts.record(spec)
    path = store.artifacts.own_path(read_spec(store.objects, spec).artifact)
    if before is not None and before.spec.host is not None:
        _link_again(store, path, before)
        return [Mended(finding, done=True, words="the links were made again") for finding in findings]
    if commit is not None:
        # first: what is half built must never be taken for the artifact
        with store.refs.transaction("repair: to be built again", undoable=False) as transaction:
            transaction.delete(names.ARTIFACTS + spec, old=commit)
    aside = put_aside(store, path) if os.path.lexists(path) else None
    try:
        words = _build_again(session, spec, before)
    except BaseException:
        _put_back(store, spec, path, aside, commit if before is not None else None)
        raise
    words += f"; the damaged one is {aside}" if aside is not None else ""
    return [Mended(finding, done=True, words=words) for finding in findings]


def _reads(store: Store, spec: SpecId) -> bool:
    """Whether a record can be read: objects are mended before artifacts."""
    try:
        store.artifacts.record(spec)
    except HashdistError:
        return False
    return True


def _put_back(store: Store, spec: SpecId, path: str, aside: str | None, commit: CommitId | None) -> None:
    """Have the damaged artifact as it was: most of it may still be of use."""
    if aside is None:
        return
    if os.path.lexists(path):
        put_aside(store, path)
    publish(aside, path, durable=store.durable)
    os.chmod(path, sealed_directory_mode(path))
    if commit is not None:
        store.refs.update(names.ARTIFACTS + spec, commit, old=None, reason="repair: could not be built again")


def _mend_mode(store: Store, finding: Finding) -> Mended:
    """Take write bits away, and have the executable bit as it was; the bytes are what they should be."""
    path = finding.path
    if os.path.isdir(path):
        os.chmod(path, sealed_directory_mode(path))
        return Mended(finding, done=True, words="is read-only again")
    executable = bool(os.stat(path).st_mode & stat.S_IXUSR)
    if finding.spec is not None:
        root = os.fsencode(store.artifacts.own_path(read_spec(store.objects, finding.spec).artifact))
        name = os.path.relpath(os.fsencode(path), root)
        entries = manifest.decode(store.artifacts.record(finding.spec).manifest)
        executable = any(entry.path == name and entry.mode is Mode.EXECUTABLE for entry in entries)
    os.chmod(path, 0o555 if executable else 0o444)
    return Mended(finding, done=True, words="has its mode again")


def _take_away(store: Store, finding: Finding) -> Mended:
    folder = os.path.dirname(finding.path)
    mode = stat.S_IMODE(os.stat(folder).st_mode)
    os.chmod(folder, mode | stat.S_IWUSR)
    try:
        aside = put_aside(store, finding.path)
    finally:
        os.chmod(folder, mode)
    return Mended(finding, done=True, words=f"moved to {aside}")


def _link_again(store: Store, path: str, record: ArtifactRecord) -> None:
    """Make the links of a capture as its manifest says."""
    if os.path.lexists(path):
        put_aside(store, path)
    with staged_directory(path) as staging:
        for entry in manifest.decode(record.manifest):
            if entry.mode is Mode.SYMLINK and entry.target is not None and not entry.path.startswith(b"/"):
                link = os.path.join(os.fsencode(staging), entry.path)
                os.makedirs(os.path.dirname(link), exist_ok=True)
                os.symlink(entry.target, link)
        mode = sealed_directory_mode(path)
        for folder, _, _ in os.walk(staging):
            os.chmod(folder, mode if folder != staging else mode | 0o700)
    os.chmod(path, mode)


def _build_again(session: Session, spec: SpecId, before: ArtifactRecord | None) -> str:
    """Build a spec as a commit that names it says; tell whether the bytes are the old ones."""
    store = session.store
    found = _commit_naming(store, spec)
    if found is None and (pin := _pin_of(store, spec)) is not None:
        raise ConflictError(f"{names.short_name(pin)} keeps it, and no profile says how it is built")
    if found is None:
        return "nothing names it: it is an artifact no more"
    profile = read_profile(store.objects, found)
    name = next(name for name, id in profile.lock.specs.items() if id == spec)
    build_lock(where_it_was(session, found), profile.lock, text=profile.text, only=[name])
    if before is None:
        return "built again"
    after = store.artifacts.record(spec)
    count = sum(1 for _ in compare(manifest.decode(before.manifest), manifest.decode(after.manifest)))
    return "built again, the same bytes" if not count else f"built again; {count} files are not as they were"


def _commit_naming(store: Store, spec: SpecId) -> CommitId | None:
    """The newest commit of a profile that names a spec."""
    edges = EdgeReader(store.objects)
    kinds = (names.HEADS, names.TAGS, names.CHECKOUTS, names.PINS, names.UNDO)
    refs = {name: commit for kind in kinds for name, commit in store.refs.all(kind).items()}
    for only_tips in (True, False):
        for tip in refs.values():
            try:
                for commit in walk(store.objects, tip):
                    named = edges.named(commit.id)
                    if named.is_profile and spec in named.specs.values():
                        return commit.id
                    if only_tips:
                        break
            except HashdistError:
                continue
    return None


def _pin_of(store: Store, spec: SpecId) -> str | None:
    """The ref of a pin that keeps the artifact of a spec, or refers to it; None if there is none."""
    edges = EdgeReader(store.objects)
    for name, commit in store.refs.all(names.PINS).items():
        with contextlib.suppress(HashdistError):
            if spec in edges.named(commit).specs.values():
                return name
    return None


def mend_prefix(session: Session, path: str, findings: list[Finding]) -> list[Mended]:
    """Make a prefix again from what it says it is made of."""
    store = session.store
    try:
        if all(finding.kind == "mode" for finding in findings):
            return [_mend_mode(store, finding) for finding in findings]
        document = read_document(path)
        if document is None:
            aside = put_aside(store, path)
            words = f"hdist checkout makes it again; the damaged one is {aside}"
            return [Mended(finding, done=True, words=words) for finding in findings]
        members, rules = document
        plan = prefixes.plan(store, [Member(one, store.artifacts.path(one)) for one in members], rules)
        prefixes.layout(store, plan, env=session.env)  # raises if it cannot be made
        put_aside(store, path)
        with store.lock(shared=True, purpose="make a prefix"):
            made = prefixes.make(store, plan, env=session.env, progress=session.progress)
        words = f"made again at {made}" if made != path else "made again"
        return [Mended(finding, done=made == path, words=words) for finding in findings]
    except (HashdistError, OSError) as error:
        return [Mended(finding, done=False, words=f"could not be made again: {error}") for finding in findings]


def read_document(path: str) -> tuple[list[ArtifactId], list[Rule]] | None:
    """Give the artifacts and the rules that a prefix says it is made of; None if it does not say."""
    try:
        with open(os.path.join(path, prefixes.DOCUMENT), encoding="utf-8") as file:
            document = json.load(file)
        artifacts = [ArtifactId.parse(text) for text in document["artifacts"]]
        rules = [Rule(kind, glob, owner) for kind, glob, owner in document.get("rules", [])]
    except (OSError, ValueError, KeyError, TypeError, HashdistError):
        return None
    return artifacts, rules
