"""Profiles to and from other repositories: clone, fetch, pull, push."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from hashdist import process
from hashdist.errors import ConflictError, HashdistError, NotFoundError
from hashdist.objects.ids import CommitId, SourceId
from hashdist.refs import names
from hashdist.remote import fetching, remotes
from hashdist.remote.carrier import Sent
from hashdist.remote.carrying import carrier
from hashdist.remote.fetching import Fetched
from hashdist.remote.remotes import Following, Remote
from hashdist.store.roots import in_use
from hashdist.store.store import Store

from .commit import resolve_anew
from .history import walk
from .hosts import Checked, check
from .merging.verbs import FastForward, Merged, merge
from .profile import LOCK, branch_of, is_stale
from .session import Session


class LocalSourcesError(HashdistError):
    """A push without sources that are nowhere else, which others would need."""

    code = "local_sources"


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
    if store.refs.get(branch) is not None:
        raise ConflictError(f"there is a profile '{name}' already", hint=f"hdist clone {url} OTHER-NAME")
    known = remotes.remotes(store).get(name)
    again = known is not None and known.url == url  # of a clone that was cut off, or undone
    remote = known if again and known is not None else remotes.add_remote(store, name, url)
    try:
        with in_use(store, purpose="clone"):
            fetched = fetching.fetch(
                store, remote, env=session.env, network=session.fetcher.network(), signers=session.signers
            )
            theirs = _default(session, remote)
            tip = fetching.tracked(store, remote, theirs)
            _make(store, branch, tip, reason=f"clone: from {url}")
    except BaseException:
        if not again:
            remotes.remove_remote(store, name)
        raise
    remotes.follow(store, name, Following(name, theirs))
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


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A source that is nowhere but on this machine."""

    package: str
    """Whose it is."""
    id: SourceId
    """Its tree."""
    size: int
    """Bytes that it takes in git."""


@dataclass(slots=True)
class Pushed:
    """What a push came to."""

    remote: Remote
    """Where it went."""
    sent: list[Sent] = field(default_factory=list)
    """What was not there before."""
    absent: list[SourceId] = field(default_factory=list)
    """Sources that should have gone along and are not here."""


def push(
    session: Session,
    name: str | None = None,
    profiles: Sequence[str] = (),
    *,
    tags: bool = False,
    hosts: bool = False,
    with_sources: bool = False,
    with_local: bool = False,
    force: bool = False,
) -> Pushed:
    """Push profiles (none: the one HEAD names) to a remote (None: the one it follows), with the sources they need.

    Sources that can be had by hash stay here unless `with_sources`; those that are nowhere else go `with_local`, and
    without it `LocalSourcesError` lists them. `force` replaces what was fetched last, and nothing newer.
    """
    store = session.store
    chosen = list(dict.fromkeys(names.short_name(branch_of(store, one)) for one in profiles or (None,)))
    remote = remotes.find_remote(store, name, profile=chosen[0])
    done = Pushed(remote)
    heads: list[tuple[str, Sent]] = []
    sources: dict[SourceId, str] = {}
    local: dict[SourceId, str] = {}
    for profile in chosen:
        tip = store.refs.get(names.HEADS + profile)
        if tip is None:
            raise NotFoundError(f"no profile named '{profile}'", hint="see: hdist branch")
        following = remotes.followed(store, profile)
        theirs = following.branch if following is not None and following.remote == remote.name else profile
        known = store.refs.get(remote.refs + theirs)
        heads.append((profile, Sent(tip, names.HEADS + theirs, expected=known, force=force)))
        _collect(store, tip, None if with_sources else known, sources, local)
    sent = [one for _, one in heads]
    sent += _tags(store) if tags else []
    sent += _scans(store) if hosts else []
    network = session.fetcher.network()
    with in_use(store, purpose="push"):
        wanted = dict.fromkeys([*local, *(sources if with_sources else ())])
        there = (
            fetching.has_refs(store, remote, [names.SOURCES + id for id in wanted], env=session.env, network=network)
            if wanted
            else {}
        )
        missing = {id: package for id, package in local.items() if names.SOURCES + id not in there}
        if missing and not with_local:
            raise _refusal(store, remote, missing)
        for id in wanted:
            if names.SOURCES + id in there:
                continue
            commit = _held(store, id)
            if commit is None and id in local:
                raise NotFoundError(
                    f"source {id[:12]} of '{local[id]}' is not here, and nowhere else", hint="hdist build brings it"
                )
            if commit is None:
                done.absent.append(id)
            else:
                sent.append(Sent(commit, names.SOURCES + id))
        done.sent = carrier(store, env=session.env, network=network).push(remote, sent)
    _remember(store, remote, heads)
    return done


def _held(store: Store, id: SourceId) -> CommitId | None:
    """The commit of a source, here or upstream."""
    return next((commit for one in store.chain if (commit := one.refs.get(names.SOURCES + id)) is not None), None)


def _remember(store: Store, remote: Remote, heads: Sequence[tuple[str, Sent]]) -> None:
    """Note where the other side is now."""
    with store.refs.transaction(f"push {remote.name}") as transaction:
        for _, one in heads:
            assert one.commit is not None, "profiles are pushed, not deleted"
            transaction.set(remote.refs + one.ref[len(names.HEADS) :], one.commit)
    for profile, one in heads:
        if remotes.followed(store, profile) is None:
            remotes.follow(store, profile, Following(remote.name, one.ref[len(names.HEADS) :]))


def _tags(store: Store) -> list[Sent]:
    return [Sent(commit, ref) for ref, commit in store.refs.all(names.TAGS).items()]


def _scans(store: Store) -> list[Sent]:
    return [Sent(commit, ref) for ref, commit in store.refs.all(names.HOSTS).items()]


def _collect(
    store: Store,
    tip: CommitId,
    known: CommitId | None,
    sources: dict[SourceId, str],
    local: dict[SourceId, str],
) -> None:
    """The sources of the commits that the other side has not got: what servers have, and what is of here alone."""
    stop = known if known is not None and known in store.objects else None
    seen = set()
    for commit in walk(store.objects, tip, stop=stop):
        entry = store.objects.find(commit.tree, LOCK)
        if entry is None or entry.id in seen:
            continue
        seen.add(entry.id)
        try:
            document = json.loads(store.objects.blob(entry.id))["sources"]
            for package, pins in document.items():
                for pin in pins.values():
                    url = pin.get("url")
                    where = sources if url is not None and not remotes.is_local(url) else local
                    where.setdefault(SourceId(pin["tree"]), package)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue  # merged as text: the commit after it has them
    for id in sources:  # what others can have too is not nowhere else
        local.pop(id, None)


def _refusal(store: Store, remote: Remote, missing: dict[SourceId, str]) -> LocalSourcesError:
    lines = [
        f"  {one.package}: {one.id[:12]}, {one.size} bytes"
        for one in (LocalSource(package, id, _size(store, id)) for id, package in missing.items())
    ]
    count = f"{len(lines)} {'source is' if len(lines) == 1 else 'sources are'}"
    return LocalSourcesError(
        "\n".join(
            [f"{count} nowhere but here, and {remote.name} has not got {'it' if len(lines) == 1 else 'them'}", *lines]
        ),
        hint="hdist push --with-local sends them",
    )


def _size(store: Store, id: SourceId) -> int:
    """What a source takes in git; 0 for one that is not here."""
    commit = _held(store, id)
    if commit is None:
        return 0
    output = process.run(["git", "rev-list", "--objects", "--disk-usage", commit], env=store.git_env())
    return int(output)
