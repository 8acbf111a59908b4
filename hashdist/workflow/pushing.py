"""Profiles to other repositories, with the sources that are needed there and cannot be had elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from hashdist.errors import ConflictError, HashdistError, NotFoundError
from hashdist.hostscan.recording import join_scans
from hashdist.objects.ids import CommitId, SourceId, TreeId
from hashdist.objects.tree import Mode
from hashdist.refs import names
from hashdist.remote import fetching, remotes
from hashdist.remote.carrier import Sent
from hashdist.remote.carrying import carrier
from hashdist.remote.remotes import Following, Remote
from hashdist.store.roots import in_use
from hashdist.store.store import Store

from .history import walk
from .profile import LOCK, branch_of
from .session import Session


class LocalSourcesError(HashdistError):
    """A push without sources that are nowhere else, which others would need."""

    code = "local_sources"


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A source that is nowhere but on this machine."""

    package: str
    """Whose it is."""
    id: SourceId
    """Its tree."""
    size: int
    """Bytes of its files."""


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
        same = next((other for other, one in heads if one.ref == names.HEADS + theirs), None)
        if same is not None:
            raise ConflictError(
                f"'{same}' and '{profile}' both follow '{theirs}' of {remote.name}",
                hint=f"hdist push {remote.name} {profile}",
            )
        heads.append((profile, Sent(tip, names.HEADS + theirs, expected=known, force=force)))
        _collect(store, tip, None if with_sources else known, sources, local)
    sent = [one for _, one in heads]
    for one in _tags(store) if tags else []:
        sent.append(one)
        assert one.commit is not None, "tags are pushed, not deleted"
        tagged = store.objects.peeled(one.commit)
        if store.objects.find(store.objects.commit(tagged).tree, LOCK) is not None:
            _collect(store, tagged, None if with_sources else heads[0][1].expected, sources, local)
    sent += _scans(store, remote) if hosts else []
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


def _scans(store: Store, remote: Remote) -> list[Sent]:
    """The scans that the other side has not got; those of several machines of one class are joined."""
    found = []
    for ref, mine in store.refs.all(names.HOSTS).items():
        theirs = store.refs.get(remote.refs + ref[len("refs/") :])
        commit = mine if theirs is None else join_scans(store, ref, theirs)
        if commit is not None:
            found.append(Sent(commit, ref))
    return found


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
    """The bytes of a source's files; 0 for one that is not here."""
    commit = _held(store, id)
    if commit is None:
        return 0
    total, pending, seen = 0, [store.objects.commit(commit).tree], set()
    while pending:
        for entry in store.objects.tree(pending.pop()):
            if entry.id not in seen:
                seen.add(entry.id)
                if entry.mode is Mode.DIRECTORY:
                    pending.append(TreeId(entry.id))
                else:
                    total += store.objects.size(entry.id)
    return total
