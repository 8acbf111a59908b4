"""Build what a commit or a stack file names: check the host, bring the sources, run the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hashdist.build import plan as build_plan
from hashdist.build.jailing import Jailing
from hashdist.build.job import NotInstalledError
from hashdist.build.nothing import all_sealed, remember_sealed
from hashdist.build.plan import BuildPlan
from hashdist.build.scheduler import BuildReport, BuildsFailedError, run
from hashdist.errors import ConflictError
from hashdist.hostscan.drift import drifts
from hashdist.hostscan.finding import scan
from hashdist.hostscan.recording import realise, record_scan
from hashdist.objects.ids import CommitId
from hashdist.objects.spec import read_spec
from hashdist.stack.file import parse_stack
from hashdist.stack.lock import Lock
from hashdist.stack.packages import HostEntry

from .carrying import take_from
from .hosts import drift_words, expected_of, live_host
from .jailing import is_strict, jailing_of, refuse_impure_parts, summary
from .profile import check_fresh, read_profile
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
    taken: list[str] = field(default_factory=list)
    """Artifacts that were taken from files."""


def build_commit(session: Session, commit: CommitId, *, keep_going: bool = False) -> Built:
    """Build what a commit of a profile names; quick when there is nothing to do."""
    known = all_sealed(session.store, commit, strict=is_strict(session))
    if known is not None:
        return Built(known)
    check_fresh(session.store.objects, commit)
    profile = read_profile(session.store.objects, commit)
    built = build_lock(session, profile.lock, text=profile.text, keep_going=keep_going)
    remember(session, commit, profile.lock, text=profile.text)
    return built


def build_lock(
    session: Session,
    lock: Lock,
    *,
    text: str,
    keep_going: bool = False,
    only: Sequence[str] | None = None,
    places: Sequence[str] = (),
) -> Built:
    """Build what a lock names, or `only` some of its packages, jailed as the stack file `text` says.

    What there is a file of in one of `places` (directories, or URLs of web servers) is taken from there.

    Raises `HostDriftError`, `BuildsFailedError`, `ImpureInputError` or what fetching raises.
    """
    plan, jailing = plan_jailed(session, lock, text, only=only)
    taken = take_from(session, plan.jobs, places) if places else []
    if taken:
        plan, jailing = plan_jailed(session, lock, text, only=only)
    foreign = [spec for spec in plan.jobs if spec.is_foreign]
    if foreign:
        raise NotInstalledError(*foreign)
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
    try:
        report = run(
            session.store,
            plan,
            jobs=session.jobs,
            env=session.env,
            keep_going=keep_going,
            jailing=jailing,
            progress=session.progress,
        )
    except BuildsFailedError as error:
        if told := summary(error.report.jail):
            session.progress.note(told)
        raise
    if told := summary(report.jail):
        session.progress.note(told)
    return Built(plan.total, report, [str(artifact) for artifact in taken])


def plan_jailed(
    session: Session, lock: Lock, text: str, *, only: Sequence[str] | None = None
) -> tuple[BuildPlan, Jailing]:
    """What has to be built, and how it is jailed; raises `ImpureInputError` for what is built and may not be taken."""
    plan = plan_lock(session, lock, only=only)
    jailing = jailing_of(session, text)
    refuse_impure_parts(session.store, plan, jailing)
    return plan, jailing


def plan_lock(session: Session, lock: Lock, *, only: Sequence[str] | None = None) -> BuildPlan:
    """Plan the building of all packages that a lock's prefix holds or its packages are, or `only` of some."""
    wanted = (
        set(only)
        if only is not None
        else {name for name, pin in lock.packages.items() if not pin.build_only} | set(lock.prefix_names())
    )
    return build_plan.plan(session.store, lock.specs, sorted(wanted))


def ready_host(session: Session, lock: Lock, plan: BuildPlan) -> None:
    """Check that the live system is what the host pins say, and make the artifacts of links that are missing.

    Host software that only a prefix needs is not checked while its artifact is there. All drift is reported
    at once, in `HostDriftError`.
    """
    store = session.store
    used = {name for spec in plan.jobs for name in spec.inputs if name in lock.host}
    pins = {
        name: lock.host[name]
        for name in used | set(plan.host)
        if name in used or read_spec(store.objects, lock.host[name].spec).artifact not in store.artifacts
    }
    with live_host(session) as host:
        found = {
            drift.name: drift for drift in drifts(store, expected_of(session, pins), host, machine=session.where.host)
        }
        if serious := [drift for drift in found.values() if drift.kind != "same"]:
            words = [drift_words(drift, than="it was committed with") for drift in serious]
            raise HostDriftError("\n".join(words), hint="hdist update --host")
        for name, pin in pins.items():
            drift = found.get(name)
            if drift is not None and drift.capture is not None:
                realise(store, drift.capture)
                record_scan(store, drift.capture, HostEntry(name, pin.find, pin.identity), where=session.where)
            elif drift is None and read_spec(store.objects, pin.spec).artifact not in store.artifacts:
                realise(store, scan(HostEntry(name, pin.find, pin.identity), host))


def remember(session: Session, commit: CommitId, lock: Lock, *, text: str) -> None:
    """Note that all of a commit is sealed, so that the next look is quick.

    Whether it is pure is noted too where somebody minds; else the records are not read for it.
    """
    objects, artifacts = session.store.objects, session.store.artifacts
    names = {name for name, pin in lock.packages.items() if not pin.build_only} | set(lock.prefix_names())
    specs = {name: id for name, id in lock.specs.items() if name in names}
    paths = [artifacts.path(read_spec(objects, specs[name]).artifact) for name in sorted(specs)]
    if session.store.has_upstream:
        own = [id for id in specs.values() if artifacts.own_record(id) is not None]
        paths += sorted({path for id in own for path in artifacts.record(id).elsewhere.values()} - set(paths))
    strict = any(package.jail == "enforce" for package in parse_stack(text).packages.values())
    records = (artifacts.record(id) for id in specs.values())
    pure = (strict or is_strict(session)) and all(record.pure for record in records if record.spec.host is None)
    remember_sealed(session.store, commit, paths, pure=pure, strict=strict)
