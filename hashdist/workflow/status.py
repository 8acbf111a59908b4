"""What is checked out, built and missing."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from hashdist.checkout.switch import Checkout
from hashdist.hostscan.errors import HostChangingError
from hashdist.objects.ids import CommitId

from .building import plan_lock
from .hosts import Checked, check
from .merging.state import state_ref
from .profile import is_stale, read_profile
from .session import Session


@dataclass(frozen=True, slots=True)
class Status:
    """How a checkout stands."""

    checkout: str
    """Where its link is."""
    profile: str | None
    """The profile it follows."""
    tip: CommitId | None
    """The profile's newest commit."""
    commit: CommitId | None
    """What is checked out."""
    prefix: str | None
    """The prefix the link leads to."""
    total: int
    """Packages at the tip."""
    missing: tuple[str, ...]
    """Those of them that are not built, inputs first."""
    host: Checked | None
    """How the host compares with what the tip was made with; None without a tip, or while packages are installed."""
    merging: bool = False
    """Whether a merge into the profile waits for choices."""
    stale: bool = False
    """Whether the tip was merged as text, and has to be resolved anew."""


def status(session: Session, checkout: Checkout) -> Status:
    """Look at a checkout and at the tip of the profile it follows."""
    refs = session.store.refs
    tip = refs.get(checkout.head)
    total = 0
    missing: tuple[str, ...] = ()
    host = None
    if tip is not None:
        plan = plan_lock(session, read_profile(session.store.objects, tip).lock)
        with contextlib.suppress(HostChangingError):  # a package manager is at work: ask again later
            host = check(session, tip)
        total, missing = plan.total, tuple(spec.name for spec in plan.jobs)
    profile = checkout.branch
    merging = profile is not None and refs.value(state_ref(profile)) is not None
    stale = tip is not None and is_stale(session.store.objects, tip)
    return Status(checkout.path, profile, tip, checkout.commit, checkout.prefix, total, missing, host, merging, stale)
