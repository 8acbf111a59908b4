"""Profiles to and from other repositories: clone, fetch, pull, push."""

from __future__ import annotations

from dataclasses import dataclass

from hashdist.errors import ConflictError, HashdistError, NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.remote import fetching, remotes
from hashdist.remote.carrying import carrier
from hashdist.remote.fetching import Fetched
from hashdist.remote.remotes import Following, Remote
from hashdist.store.roots import in_use
from hashdist.store.store import Store

from .commit import resolve_anew
from .hosts import Checked, check
from .merging.verbs import FastForward, Merged, merge
from .profile import branch_of, is_stale
from .session import Session


@dataclass(frozen=True, slots=True)
class Cloned:
    """What a clone came to."""

    remote: Remote
    """The new remote."""
    profile: str
    """The new profile."""
    commit: CommitId
    """Its tip."""
    fetched: Fetched
    """What came."""
    host: Checked | None
    """How this host compares with the one it was recorded on."""


def add(session: Session, name: str, url: str) -> Remote:
    """Remember a remote, which is trusted from then on."""
    return remotes.add_remote(session.store, name, remotes.check_url(url, directory=session.directory))


def fetch(session: Session, name: str | None = None, *, prune: bool = False) -> tuple[Remote, Fetched]:
    """Bring what a remote has; see `hashdist.remote.fetching.fetch`."""
    store = session.store
    remote = remotes.find_remote(store, name, profile=_profile(store))
    with in_use(store, purpose="fetch"):
        found = fetching.fetch(
            store, remote, env=session.env, network=session.fetcher.network(), prune=prune, signers=session.signers
        )
    return remote, found


def clone(session: Session, url: str, name: str | None) -> Cloned:
    """Make a remote and a profile of another repository; nothing of it stays when that fails.

    Raises `ConflictError` when there is a remote or profile of that name, and what fetching raises.
    """
    store = session.store
    url = remotes.check_url(url, directory=session.directory)
    name = name or _name_of(url)
    branch = names.HEADS + names.check_profile_name(name)
    own = name.replace("/", "-")
    if store.refs.get(branch) is not None:
        raise ConflictError(f"there is a profile '{name}' already", hint=f"hdist clone {url} OTHER-NAME")
    known = remotes.remotes(store).get(own)
    again = known is not None and known.url == url  # of a clone that was cut off, or undone
    remote = known if again and known is not None else remotes.add_remote(store, own, url)
    tags = store.refs.all(names.TAGS)
    try:
        with in_use(store, purpose="clone"):
            fetched = fetching.fetch(
                store, remote, env=session.env, network=session.fetcher.network(), signers=session.signers
            )
            theirs = _default(session, remote)
            tip = fetching.tracked(store, remote, theirs)
            remotes.follow(store, name, Following(own, theirs))
            _make(store, branch, tip, reason=f"clone: from {url}")
    except BaseException:
        if not again and store.refs.get(branch) is None:  # once it is there it is what was wanted, durable or not
            remotes.remove_remote(store, own)
            with store.refs.transaction("clone: failed") as transaction:
                for ref, commit in store.refs.all(names.TAGS).items():
                    if ref not in tags:
                        transaction.delete(ref, old=commit)
        raise
    try:
        commit = _fresh(session, name, tip)
    except HashdistError as error:
        commit = tip
        session.progress.note(f"{error.message}; what was merged as text is still to resolve: hdist update --resolve")
    return Cloned(remote, name, commit, fetched, check(session, commit))


def _make(store: Store, branch: str, tip: CommitId, *, reason: str) -> None:
    """Make the profile; HEAD names it where it names nothing that is there."""
    head = store.refs.symbolic("HEAD")
    with store.refs.transaction(reason) as transaction:
        transaction.update(branch, tip, old=None)
        if head is not None and store.refs.get(head) is None and head != branch:
            transaction.point("HEAD", branch)


def _default(session: Session, remote: Remote) -> str:
    """Which of a remote's profiles a clone is of."""
    store = session.store
    known = [name[len(remote.refs) :] for name in store.refs.all(remote.refs)]
    profiles = [name for name in known if not name.startswith("hosts/")]
    if not profiles:
        raise NotFoundError(f"'{remote.url}' has no profiles", hint="hdist push sends one there")
    told = carrier(store, env=session.env, network=session.fetcher.network()).default_branch(remote.url)
    only = profiles if len(profiles) == 1 else []
    wanted = [name for name in (told or "", "main", *only) if name in profiles]
    if not wanted:
        raise NotFoundError(
            f"'{remote.url}' does not say which of its profiles is meant: {', '.join(profiles[:5])}",
            hint=f"hdist remote add NAME {remote.url}; hdist fetch NAME; hdist branch PROFILE NAME/PROFILE",
        )
    return wanted[0]


def _name_of(url: str) -> str:
    last = url.rstrip("/").rpartition("/")[2].rpartition(":")[2]
    return last.removesuffix(".git").removesuffix(".bundle") or "origin"


def _profile(store: Store) -> str | None:
    head = store.refs.symbolic("HEAD")
    return names.short_name(head) if head is not None else None


def _fresh(session: Session, profile: str, tip: CommitId) -> CommitId:
    """The tip, resolved anew where somebody merged it as text."""
    if not is_stale(session.store.objects, tip):
        return tip
    session.progress.note(f"specs are older than stack.toml in {tip[:12]}: resolved anew")
    return resolve_anew(session, profile=profile).commit


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull came to."""

    fetched: Fetched
    """What came."""
    merged: Merged
    """What became of the profile."""


def pull(
    session: Session, name: str | None = None, *, profile: str | None = None, only_forward: bool = False
) -> Pulled:
    """Fetch, and merge what the profile follows into it; raises what both raise."""
    store = session.store
    branch = branch_of(store, profile)
    mine = names.short_name(branch)
    remote = remotes.find_remote(store, name, profile=mine)
    following = remotes.followed(store, mine)
    theirs = following.branch if following is not None and following.remote == remote.name else mine
    with in_use(store, purpose="pull"):
        fetched = fetching.fetch(
            store, remote, env=session.env, network=session.fetcher.network(), signers=session.signers
        )
    tip = fetching.tracked(store, remote, theirs)
    before = store.refs.get(branch)
    if before is None:
        _make(store, branch, tip, reason=f"pull: from {remote.name}")
        merged = Merged(mine, tip, tip, "fast-forward")
    else:
        how: FastForward = "only" if only_forward else "auto"
        merged = merge(session, tip, profile=mine, message=f"merge {theirs} of {remote.name}", fast_forward=how)
    if following is None:
        remotes.follow(store, mine, Following(remote.name, theirs))
    fresh = _fresh(session, mine, merged.commit)
    return Pulled(fetched, Merged(mine, before or fresh, fresh, merged.how))
