"""Fetch profiles, tags, host scans and sources: into quarantine, looked at whole, and only then into the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from hashdist.errors import ConflictError, InvalidError, NotFoundError
from hashdist.objects.git_program import git_env
from hashdist.objects.ids import CommitId, SourceId
from hashdist.objects.signing import check_signature
from hashdist.progress import Progress
from hashdist.refs import names
from hashdist.sources.network import Network
from hashdist.store.store import Store

from .carrying import carrier
from .quarantine import NEW, Quarantine, quarantine
from .remotes import Remote, remotes
from .validating import HostileError, Kind, Validator

#: Which of the other side's refs are of interest, and what their commits are.
_KINDS: dict[str, Kind] = {names.HEADS: "profile", names.TAGS: "profile", names.HOSTS: "host scan"}
#: A profile's name that would stand where the host scans of a remote are.
_RESERVED = "hosts/"
#: So many refs are asked for by name; for more all are listed.
_NAMED = 200


@dataclass(frozen=True, slots=True)
class Moved:
    """A ref that came or moved."""

    ref: str
    """Its full name here."""
    old: CommitId | None
    """Where it was."""
    new: CommitId | None
    """Where it is; None if it is gone."""
    forced: bool = False
    """Whether what it had is not in its history any more."""


@dataclass(slots=True)
class Fetched:
    """What a fetch came to."""

    moved: list[Moved] = field(default_factory=list)
    """What changed here."""
    notes: list[str] = field(default_factory=list)
    """What was not taken, and why."""


def fetch(
    store: Store,
    remote: Remote,
    *,
    env: Mapping[str, str],
    network: Network,
    prune: bool = False,
    signers: str | None = None,
) -> Fetched:
    """Bring a remote's profiles, tags and host scans; with `prune` forget those that it has no more.

    With `signers`, a file, each profile and tag must be signed by somebody in it, or `UnsignedError` is raised. Raises
    `HostileError` when something sent breaks the rules; in both cases nothing of it is taken. Or `NetworkError`.
    """
    mine = store.refs.all()
    haves = {name: id for name, id in mine.items() if name.startswith((names.HEADS, names.TAGS, remote.refs))}
    with quarantine(store, haves) as place:
        specs = [f"+{prefix}*:{NEW}{prefix[len('refs/') :]}*" for prefix in _KINDS]
        carrier(store, env=env, network=network).fetch(place, remote.url, specs, source=False)
        found = Fetched()
        validator = Validator(place.objects, network.settings.limits)
        wanted = _wanted(place, validator, found, remotes(store))
        _validate(place, validator, wanted, haves, network.progress)
        if signers is not None:
            _check_signatures(store, place, wanted, haves, {**env, "PATH": store.search_path}, signers)
        with store.lock(shared=True, purpose="fetch"):
            place.take_over(list(wanted.values()), list(haves.values()))
            _move(store, remote, wanted, found, prune=prune)
    return found


def _wanted(place: Quarantine, validator: Validator, found: Fetched, others: Collection[str]) -> dict[str, CommitId]:
    """What came and is of interest; the rest is noted."""
    wanted = {}
    objects = place.objects
    for name, id in place.refs().items():
        if name.startswith(names.TAGS):
            validator.tag(id)
        kind = next(kind for prefix, kind in _KINDS.items() if name.startswith(prefix))
        short = names.short_name(name)
        try:
            names.check_short_name(short, what="ref")
        except InvalidError as error:
            found.notes.append(f"not taken: {error.message}")
            continue
        commit = objects.peeled(id)
        if objects.kind(commit) != "commit":
            found.notes.append(f"not taken: '{short}' is no commit")
        elif f"{name}/".startswith(names.HEADS + _RESERVED):
            found.notes.append(f"not taken: '{short}', since host scans stand there")
        elif validator.kind(commit) != kind:
            found.notes.append(f"not taken: '{short}' is not of a {kind}")
        elif name.startswith(names.TAGS) and (short == "HEAD" or short.partition("/")[0] in others):
            found.notes.append(f"not taken: tag '{short}', which would be taken for a remote's profile")
        else:
            wanted[name] = id if name.startswith(names.TAGS) else commit
    return wanted


def _validate(
    place: Quarantine,
    validator: Validator,
    wanted: Mapping[str, CommitId],
    haves: Mapping[str, CommitId],
    progress: Progress,
) -> None:
    for prefix, kind in _KINDS.items():
        tips = [id for name, id in wanted.items() if name.startswith(prefix)]
        commits = place.new_commits(tips, list(haves.values())) if tips else []
        if commits:
            with progress.task("looking at what came", len(commits), "commit") as task:
                validator.commits(commits, kind=kind, task=task)


def _check_signatures(
    store: Store,
    place: Quarantine,
    wanted: Mapping[str, CommitId],
    haves: Mapping[str, CommitId],
    env: Mapping[str, str],
    signers: str,
) -> None:
    """A signature of the newest commit is one of all before it, since it names them."""
    known = set(haves.values())
    program = {**git_env(place.path, store.search_path), "HOME": env.get("HOME", "/")}
    for name, id in wanted.items():
        if name.startswith((names.HEADS, names.TAGS)) and id not in known:
            check_signature(id, signers, kind=place.objects.kind(id), env=program)


def _move(store: Store, remote: Remote, wanted: Mapping[str, CommitId], found: Fetched, *, prune: bool) -> None:
    places = {_place(remote, name): id for name, id in wanted.items()}
    known = store.refs.all(remote.refs)
    gone = {ref: old for ref, old in known.items() if ref not in places} if prune else {}
    if gone:  # before others come, for which they may be in the way
        with store.refs.transaction(f"fetch {remote.name}: prune") as transaction:
            for ref, last in gone.items():
                transaction.delete(ref, old=last)
        found.moved += [Moved(ref, last, None) for ref, last in gone.items()]
    with store.refs.transaction(f"fetch {remote.name}") as transaction:
        for ref, id in places.items():
            old = store.refs.get(ref)
            if old == id:
                continue
            if ref.startswith(names.TAGS) and old is not None:
                found.notes.append(f"not taken: there is another tag '{names.short_name(ref)}' here")
                continue
            forced = old is not None and store.objects.merge_base(old, store.objects.peeled(id)) != old
            try:
                transaction.update(ref, id, old=old)
            except ConflictError as error:  # a name that cannot stand beside another one here
                found.notes.append(f"not taken: {error.message}")
                continue
            found.moved.append(Moved(ref, old, id, forced))


def _place(remote: Remote, name: str) -> str:
    """Where a ref of the other side stands here."""
    if name.startswith(names.HEADS):
        return remote.refs + name[len(names.HEADS) :]
    if name.startswith(names.HOSTS):
        return f"{remote.refs}{name[len('refs/') :]}"
    return name


def bring_source(store: Store, remote: Remote, id: SourceId, *, env: Mapping[str, str], network: Network) -> bool:
    """Bring one source from a remote; False if it has not got it. Raises `HostileError` or `NetworkError`."""
    ref = names.SOURCES + id
    if not has_refs(store, remote, [ref], env=env, network=network):
        return False
    with quarantine(store, {}) as place:
        spec = f"+{ref}:{NEW}{ref[len('refs/') :]}"
        carrier(store, env=env, network=network).fetch(place, remote.url, [spec], source=True)
        commit = place.refs().get(ref)
        if commit is None:
            return False
        Validator(place.objects, network.settings.limits).source(commit, id)
        with store.lock(shared=True, purpose="fetch"):
            place.take_over([commit], [])
            store.refs.update(ref, commit, old=store.refs.get(ref), reason=f"fetch {remote.name}")
    return True


def has_refs(
    store: Store, remote: Remote, refs: list[str], *, env: Mapping[str, str], network: Network
) -> dict[str, CommitId]:
    """Those of some refs that a remote has, with their commits."""
    wanted = set(refs)
    asked = refs if len(refs) <= _NAMED else [f"{names.SOURCES}*"]
    found = carrier(store, env=env, network=network).refs(remote.url, asked)
    try:
        return {name: CommitId(id) for name, id in found.items() if name in wanted}
    except ValueError as error:
        raise HostileError(f"'{remote.url}' names objects as the store does not: {error}") from error


def tracked(store: Store, remote: Remote, branch: str) -> CommitId:
    """Where a remote's profile was when it was fetched last; raises `NotFoundError`."""
    commit = store.refs.get(remote.refs + branch)
    if commit is None:
        raise NotFoundError(f"'{remote.name}' has no profile '{branch}'", hint=f"hdist fetch {remote.name}")
    return commit
