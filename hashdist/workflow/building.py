"""Build what a commit or a stack file names: check the host, bring the sources, run the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hashdist.build import plan as build_plan
from hashdist.build.nothing import all_sealed, remember_sealed
from hashdist.build.plan import BuildPlan
from hashdist.build.scheduler import BuildReport, run
from hashdist.errors import ConflictError
from hashdist.hostscan.finding import scan
from hashdist.hostscan.recording import realise
from hashdist.objects.ids import CommitId
from hashdist.objects.spec import read_spec
from hashdist.stack.lock import Lock
from hashdist.stack.packages import HostEntry

from .profile import read_profile
from .session import Session


class HostDriftError(ConflictError):
    """Host software that is not what a profile was committed with."""

    code = "host_drift"


@dataclass(slots=True)
class Built:
    """What building came to."""

    total: int
    """How many packages are there now."""
    report: BuildReport = field(default_factory=BuildReport)
    """What was done for it."""


def build_commit(session: Session, commit: CommitId, *, keep_going: bool = False) -> Built:
    """Build what a commit of a profile names; quick when there is nothing to do."""
    known = all_sealed(session.store, commit)
    if known is not None:
        return Built(known)
    profile = read_profile(session.store.objects, commit)
    built = build_lock(session, profile.lock, keep_going=keep_going)
    remember(session, commit, profile.lock)
    return built


def build_lock(session: Session, lock: Lock, *, keep_going: bool = False) -> Built:
    """Build what a lock names; raises `HostDriftError`, `BuildsFailedError` or what fetching raises."""
    plan = plan_lock(session, lock)
    if plan.jobs or plan.host:
        ready_host(session, lock, plan)
    session.fetcher.bring_all(
        [
            pin
            for spec in plan.jobs
            for directory, pin in lock.sources.get(spec.name, {}).items()
            if directory in spec.sources
        ]
    )
    report = run(
        session.store, plan, jobs=session.jobs, env=session.env, keep_going=keep_going, progress=session.progress
    )
    return Built(plan.total, report)


def plan_lock(session: Session, lock: Lock) -> BuildPlan:
    """Plan the building of all packages that a lock's prefix holds or its packages are."""
    wanted = {name for name, pin in lock.packages.items() if not pin.build_only} | set(lock.prefix_names())
    return build_plan.plan(session.store, lock.specs, sorted(wanted))


def ready_host(session: Session, lock: Lock, plan: BuildPlan) -> None:
    """Check that the live system is what the host pins say, and make the artifacts of links that are missing.

    Host software that only a prefix needs is not checked while its artifact is there. All drift is reported
    at once, in `HostDriftError`.
    """
    used = {name for spec in plan.jobs for name in spec.inputs if name in lock.host}
    drifts = []
    for name in sorted(used | set(plan.host)):
        pin = lock.host[name]
        if name not in used and read_spec(session.store.objects, pin.spec).artifact in session.store.artifacts:
            continue
        capture = scan(HostEntry(name, pin.find, pin.identity), env=session.env, platform=session.platform)
        if capture.spec.id == pin.spec:
            realise(session.store, capture)
        elif capture.version != pin.version:
            drifts.append(f"'{name}' differs from the one it was committed with ({pin.version} → {capture.version})")
        else:
            drifts.append(
                f"'{name}' differs from the one it was committed with ({pin.version}, "
                f"{pin.spec[:12]} → {capture.spec.id[:12]})"
            )
    if drifts:
        raise HostDriftError("\n".join(drifts), hint="hdist update --host")


def remember(session: Session, commit: CommitId, lock: Lock) -> None:
    """Note that all of a commit is sealed, so that the next look is quick."""
    objects, artifacts = session.store.objects, session.store.artifacts
    names = {name for name, pin in lock.packages.items() if not pin.build_only} | set(lock.prefix_names())
    specs: Mapping[str, str] = {name: id for name, id in lock.specs.items() if name in names}
    remember_sealed(
        session.store, commit, [artifacts.path(read_spec(objects, lock.specs[name]).artifact) for name in sorted(specs)]
    )
