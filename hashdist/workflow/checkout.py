"""Check a profile out: built, linked into a prefix, switched to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from hashdist.build.nothing import all_sealed
from hashdist.checkout import prefix as prefixes
from hashdist.checkout.links import Member
from hashdist.checkout.prefix import Layout, PrefixPlan
from hashdist.checkout.switch import Checkout, known_prefix, remember_prefix
from hashdist.errors import ConflictError, NotFoundError
from hashdist.objects.ids import CommitId, SpecId
from hashdist.objects.spec import read_spec
from hashdist.refs import names
from hashdist.stack.file import parse_stack
from hashdist.store.readers import leave_pin
from hashdist.store.store import Store

from .building import build_commit, plan_lock
from .profile import Profile, find, read_profile
from .requirements import Missing, missing_requirements
from .session import Session


@dataclass(frozen=True, slots=True)
class Target:
    """What to check out."""

    commit: CommitId
    """The commit."""
    branch: str | None
    """The ref to follow; None for a tag or a commit."""


def choose(session: Session, checkout: Checkout, revision: str | None) -> Target:
    """What a revision means for a checkout; None means the tip of the profile it follows."""
    refs = session.store.refs
    if revision in {None, "HEAD", "@"}:
        branch = refs.symbolic(checkout.head) or refs.symbolic("HEAD")
        if branch is None:
            raise NotFoundError("this checkout follows no profile", hint="hdist checkout PROFILE")
        return Target(find(session.store, None, head=branch), branch)
    assert revision is not None, "see above"
    ref = refs.find(revision)
    commit = find(session.store, revision)
    return Target(commit, ref if ref and ref.startswith(names.HEADS) else None)


def create(session: Session, name: str, start: str | None) -> Target:
    """Make a new profile at `start` (None: HEAD) to check out."""
    commit = find(session.store, start)
    branch = names.HEADS + names.check_profile_name(name)
    if session.store.refs.get(branch) is not None:
        raise ConflictError(f"there is a profile '{name}' already", hint=f"hdist checkout {name}")
    session.store.refs.update(branch, commit, old=None, reason=f"branch: from {start or 'HEAD'}")
    return Target(commit, branch)


def missing(session: Session, commit: CommitId) -> tuple[int, int]:
    """How many packages of a commit are to build, and how many there are."""
    plan = plan_lock(session, read_profile(session.store.objects, commit).lock)
    return len(plan.jobs), plan.total


def whole_prefix(session: Session, commit: CommitId) -> str | None:
    """The path of a commit's prefix, if it is there and so is all that it leads to."""
    known = known_prefix(session.store, commit)
    return known if known is not None and all_sealed(session.store, commit, strict=False) is not None else None


def ready(session: Session, commit: CommitId) -> str:
    """The path of a commit's prefix, built and linked if need be."""
    store = session.store
    known = whole_prefix(session, commit)
    if known is not None:
        return known
    build_commit(session, commit)
    plan = plan_prefix(session, read_profile(store.objects, commit))
    with store.lock(shared=True, purpose="make a prefix"):
        path = prefixes.make(store, plan, env=session.env, progress=session.progress)
        remember_prefix(store, commit, plan.name)
    return path


def keep_upstream(session: Session, checkout: Checkout, commit: CommitId) -> None:
    """Tell upstream stores what a checkout uses there, so that their gc leaves it alone."""
    store = session.store
    if store.has_upstream and checkout.prefix is not None:
        lock = read_profile(store.objects, commit).lock
        specs = [lock.specs[name] for name in lock.prefix_names()]
        leave_pin(store, checkout.name, os.path.basename(checkout.prefix), closure(store, specs))


def closure(store: Store, specs: Iterable[SpecId]) -> list[SpecId]:
    """Specs with all that their artifacts refer to, here and upstream."""
    found: dict[SpecId, None] = {}
    pending = list(specs)
    while pending:
        spec = pending.pop()
        if spec not in found:
            found[spec] = None
            if store.artifacts.record_commit(spec) is not None:
                pending += store.artifacts.record(spec).references
    return list(found)


def lay_out(session: Session, commit: CommitId) -> tuple[PrefixPlan, Layout]:
    """Where a commit's prefix would lie and what it would hold; all must be built. Raises as making it does."""
    plan = plan_prefix(session, read_profile(session.store.objects, commit))
    return plan, prefixes.layout(session.store, plan, env=session.env)


def lacks(session: Session, commit: CommitId) -> list[Missing]:
    """What Python packages of a commit's prefix require and do not find in it."""
    plan = plan_prefix(session, read_profile(session.store.objects, commit))
    return missing_requirements(session, plan.members, plan.rules)


def plan_prefix(session: Session, profile: Profile) -> PrefixPlan:
    """The prefix that a commit names."""
    store, lock = session.store, profile.lock
    members = []
    for name in lock.prefix_names():
        artifact = read_spec(store.objects, lock.specs[name]).artifact
        members.append(Member(artifact, store.artifacts.path(artifact)))
    return prefixes.plan(store, members, parse_stack(profile.text).link_rules)
