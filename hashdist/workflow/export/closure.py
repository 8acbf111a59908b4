"""What a profile's prefix needs to run: the artifacts behind it, and the software of the host behind those."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hashdist.errors import NotFoundError
from hashdist.hostscan.capture import PackageLine
from hashdist.hostscan.scans import Scan, scan_with
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import CommitId, SpecId
from hashdist.objects.spec import Spec, read_spec
from hashdist.refs import names
from hashdist.stack.lock import Lock
from hashdist.stack.presets import BASE
from hashdist.store.store import Store
from hashdist.workflow.checkout import closure
from hashdist.workflow.prefixes import find_prefix
from hashdist.workflow.profile import find, head_branch, read_profile
from hashdist.workflow.session import Session

from .system import SystemPart, system_part


@dataclass(frozen=True, slots=True)
class Closure:
    """A prefix with all that it needs."""

    name: str
    """The profile, as somebody called it; a plain file name."""
    commit: CommitId
    """What it was made from."""
    time: int
    """When that was recorded, in seconds since 1970."""
    prefix: str
    """Where the prefix lies."""
    link: str
    """A path that leads to it and stays the same from export to export."""
    lock: Lock
    """All pins of the stack."""
    artifacts: Mapping[ArtifactId, str]
    """What is needed to run, with the paths; sorted."""
    specs: Mapping[ArtifactId, Spec]
    """Their specs."""
    scans: tuple[Scan, ...]
    """The scans of the host software among that."""
    base: Scan | None
    """The scan of the host's basic tools, which scripts may want."""
    system: SystemPart
    """What the artifacts take from the system without naming it."""

    @property
    def packages(self) -> list[PackageLine]:
        """The packages of the host that are needed to run, sorted by name."""
        lines = (*self.system.packages, *(line for scan in self.scans for line in scan.packages))
        found = {(line.manager, line.name): line for line in lines}
        return [found[key] for key in sorted(found)]


def closure_of(session: Session, revision: str | None) -> Closure:
    """The prefix of a profile or other revision (None: the profile that HEAD names) with all that it needs.

    Raises as `find_prefix` does, and `NotFoundError` for host software of which no scan is here.
    """
    store = session.store
    revision = revision or names.short_name(head_branch(store))
    commit = find(store, revision)
    named = find_prefix(session, revision)
    profile = read_profile(store.objects, commit)
    specs = [read_spec(store.objects, id) for id in closure(store, _wanted(profile.lock))]
    artifacts = {spec.artifact: store.artifacts.path(spec.artifact) for spec in specs}
    base = profile.lock.host.get(BASE)
    name = named.name.replace("/", "-").lstrip(".") or commit[:12]
    return Closure(
        name,
        commit,
        store.objects.commit(commit).time,
        named.path,
        os.path.join(store.config.path, "exported", name),
        profile.lock,
        dict(sorted(artifacts.items())),
        {spec.artifact: spec for spec in specs},
        tuple(_scan(store, spec.name, spec.id) for spec in specs if spec.host is not None),
        None if base is None else _scan(store, BASE, base.spec),
        system_part(session, [spec.artifact for spec in specs if spec.host is None]),
    )


def _wanted(lock: Lock) -> Iterable[SpecId]:
    return [lock.specs[name] for name in lock.prefix_names()]


def _scan(store: Store, name: str, spec: SpecId) -> Scan:
    for one in store.chain:
        scan = scan_with(one.refs, one.objects, name, spec)
        if scan is not None:
            return scan
    raise NotFoundError(f"no scan of host software '{name}' {spec[:12]} is here", hint=f"hdist host scan {name}")
