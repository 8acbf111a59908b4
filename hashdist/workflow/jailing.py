"""The jail of builds: who wants which, whose files were used, and what may not be taken."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from hashdist.build.jailing import Jailing, refuse_impure
from hashdist.build.plan import BuildPlan
from hashdist.errors import HashdistError
from hashdist.hostscan.live import LiveHost
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import SpecId
from hashdist.preload.report import Owners, Report, whose
from hashdist.stack.file import parse_stack

from .session import Session

if TYPE_CHECKING:
    from hashdist.hostscan.packages import Package
    from hashdist.store.store import Store

#: Digits of a spec's id that stand in every artifact's path.
_LEAST = 12


def jailing_of(session: Session, text: str) -> Jailing:
    """How the packages of a stack file are jailed: as the command says, else the file, else the settings."""
    owners = owners_of(session.env, session.store)
    if session.jail is not None:
        return Jailing(session.jail, {}, owners)
    packages = parse_stack(text).packages.values()
    return Jailing(session.default_jail, {one.name: one.jail for one in packages if one.jail}, owners)


def summary(reports: Mapping[str, Report]) -> str | None:
    """One line about builds: which of them used what undeclared; None if none did."""
    impure = [name for name, report in sorted(reports.items()) if not report.pure]
    if not impure:
        return None
    accesses = {access.path: access for name in impure for access in reports[name].undeclared}
    names = ", ".join(impure)
    if not accesses:
        return f"jail: {names} cannot be called pure: hdist artifact show {impure[0]}"
    return (
        f"jail: {names} used undeclared {whose(list(accesses.values()))}; to declare it: hdist learn {' '.join(impure)}"
    )


def is_strict(session: Session) -> bool:
    """Whether the jail is enforced where the stack file does not say otherwise."""
    return (session.jail or session.default_jail) == "enforce"


def owners_of(env: Mapping[str, str], store: Store | None = None) -> Owners:
    """Tells whose files are: of the store's artifacts, or of the host's packages; for several threads."""
    host = LiveHost(env, patience=0)
    lock = threading.Lock()

    def owners(paths: Collection[str]) -> Mapping[str, str]:
        with lock:
            found = _artifacts(store, paths) if store is not None else {}
            # a directory belongs to many packages
            files = {path for path in set(paths) - found.keys() if not os.path.isdir(path)}
            packages: Mapping[str, Package] = {}
            # whose a file is must not decide whether a build succeeds
            with contextlib.suppress(OSError, HashdistError):
                packages = host.owners(files)
        return {**found, **{path: f"{one.manager}:{one.name}" for path, one in packages.items()}}

    return owners


def _artifacts(store: Store, paths: Collection[str]) -> dict[str, str]:
    """Which of these paths are in artifacts, and in which."""
    folder = os.path.realpath(store.inside("artifacts")) + "/"
    inside = [path for path in paths if path.startswith(folder)]
    specs = [spec for spec, _ in store.artifacts.all()] if inside else []
    places: dict[str, ArtifactId | None] = {}
    found = {}
    for path in inside:
        for spec in specs:
            if spec[:_LEAST] not in path:
                continue
            if spec not in places:
                places[spec] = _artifact(store, spec)
            artifact = places[spec]
            place = os.path.realpath(store.artifacts.path(artifact)) if artifact else "/nonexistent"
            if path == place or path.startswith(f"{place}/"):
                found[path] = f"artifact:{artifact}"
    return found


def _artifact(store: Store, spec: SpecId) -> ArtifactId | None:
    try:
        return store.artifacts.record(spec).spec.artifact
    except HashdistError:  # gone meanwhile, or damaged: it is not ours to tell
        return None


def refuse_impure_parts(store: Store, plan: BuildPlan, jailing: Jailing) -> None:
    """Raise `ImpureInputError` where the jail is enforced and what is built already is not known to be pure.

    What is still to be built is looked at when its turn comes.
    """
    built: dict[str, dict[str, SpecId]] = {}
    for name, id in plan.specs.items():
        if jailing.choice(name) == "enforce" and store.artifacts.record_commit(id) is not None:
            built[name] = {name: id}
    for spec in plan.jobs:
        if jailing.choice(spec.name) == "enforce":
            built[spec.name] = {
                name: id for name, id in spec.inputs.items() if store.artifacts.record_commit(id) is not None
            }
    for name, specs in built.items():
        refuse_impure(store, name, specs)
