"""Artifacts as files: written for colleagues with a store at the same path, and taken instead of building."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from hashdist.build.artifact_file import ArtifactFileError, file_name
from hashdist.build.exporting import export_artifact
from hashdist.build.importing import OtherStoreError, import_artifact
from hashdist.errors import NetworkError, NotFoundError
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.importing import LimitError
from hashdist.objects.spec import Spec, read_spec
from hashdist.sources.download import HashMismatchError, download
from hashdist.sources.network import UrlNotFoundError
from hashdist.store.artifacts import NotBuiltError

from .naming import find_spec
from .profile import find, read_profile
from .session import Session


def export(session: Session, what: str, folder: str) -> list[tuple[ArtifactId, str]]:
    """Write the files of all packages of a revision, or of one artifact with what it refers to, into a directory.

    Gives the artifacts with their files' paths. Raises `NotBuiltError` for what is not built.
    """
    store = session.store
    if not os.path.isdir(folder):
        raise NotFoundError(f"no directory '{folder}'", hint="make it first")
    progress = session.progress
    return [(one, export_artifact(store, one, folder, progress=progress)) for one in _wanted(session, what)]


def _wanted(session: Session, what: str) -> list[ArtifactId]:
    store = session.store
    spec = find_spec(store, what)
    if spec is None:
        lock = read_profile(store.objects, find(store, what)).lock
        found = [read_spec(store.objects, pin.spec).artifact for pin in lock.packages.values()]
        missing = [artifact.name for artifact in found if artifact not in store.artifacts]
        if missing:
            raise NotBuiltError(f"not built: {', '.join(missing)}", hint=f"hdist build {what}")
        return found
    wanted: dict[ArtifactId, None] = {}
    pending = [spec]
    while pending:
        one = read_spec(store.objects, pending.pop())
        if one.host is None and one.artifact not in wanted:
            wanted[one.artifact] = None
            pending += store.artifacts.record(one.id).references
    return list(wanted)


def take_files(session: Session, paths: Iterable[str]) -> list[tuple[ArtifactId, bool]]:
    """Take artifacts from files; gives each with whether it was not here before. Raises as `import_artifact` does."""
    limits = session.fetching.limits
    return [import_artifact(session.store, path, limits=limits, progress=session.progress) for path in paths]


def take_from(session: Session, jobs: Sequence[Spec], places: Sequence[str]) -> list[ArtifactId]:
    """Take those of what is to be built of which there is a file in a directory or on a web server.

    A file that cannot be taken and a server that does not answer are noted: what they do not give is built.
    """
    taken = []
    silent: set[str] = set()
    for spec in jobs:
        for place in places:
            if place in silent:
                continue
            try:
                path = _file(session, spec, place)
            except (NetworkError, LimitError, HashMismatchError) as error:
                session.progress.note(f"{error.message}: nothing is taken from there")
                silent.add(place)
                continue
            if path is None:
                continue
            try:
                artifact, _ = import_artifact(
                    session.store, path, wanted=spec.id, limits=session.fetching.limits, progress=session.progress
                )
            except (OtherStoreError, ArtifactFileError) as error:
                session.progress.note(error.message)
                continue
            session.progress.note(f"took {spec.name} {spec.version} {spec.id[:12]} from {place}")
            taken.append(artifact)
            break
    return taken


def _file(session: Session, spec: Spec, place: str) -> str | None:
    """The path of the file of a spec's artifact that a place has; None if it has none."""
    name = file_name(spec.artifact)
    if "://" not in place:
        path = os.path.join(session.directory or os.curdir, os.path.expanduser(place), name)
        return path if os.path.isfile(path) else None
    url = f"{place.rstrip('/')}/{quote(name)}"
    try:
        return download(session.store, [url], sha256=None, network=session.fetcher.network()).path
    except UrlNotFoundError:
        return None
