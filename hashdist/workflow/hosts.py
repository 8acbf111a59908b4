"""Host software: scan it, see whether it has changed, and whether what was built still runs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hashdist.errors import NotFoundError
from hashdist.hostscan.capture import HostCapture
from hashdist.hostscan.drift import Drift, Expected, drifts, find_drifts, watched_paths
from hashdist.hostscan.finders.base import is_base
from hashdist.hostscan.finding import scan
from hashdist.hostscan.hashing import Memory
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.memory import load_memory, save_memory
from hashdist.hostscan.needs import needs
from hashdist.hostscan.recording import realise, record_scan
from hashdist.hostscan.scans import Scan, newest_scans, scan_of
from hashdist.hostscan.seen import check_key, look, save_seen
from hashdist.objects import manifest
from hashdist.objects.ids import CommitId
from hashdist.objects.spec import read_spec
from hashdist.stack.finders import parse_entry
from hashdist.stack.lock import HostPin, Lock
from hashdist.stack.packages import HostEntry
from hashdist.store.roots import in_use

from .profile import read_profile
from .session import Session


@dataclass(frozen=True, slots=True)
class Scanned:
    """A host entry that was scanned."""

    capture: HostCapture
    """What was found."""
    path: str
    """Its artifact of links."""
    commit: CommitId
    """The commit that records it."""
    before: Scan | None
    """The newest scan before; None if this is the first."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A package that was built and will not run any more."""

    name: str
    """The package."""
    missing: tuple[str, ...]
    """Libraries and programs of the host that it needs and that are gone."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at the host came to."""

    looked_at: int
    """How many host entries were compared."""
    drifts: tuple[Drift, ...]
    """Those that have changed."""
    broken: tuple[Broken, ...]
    """Packages that will not run."""
    unknown: tuple[str, ...] = ()
    """Host entries that no host of this class was ever scanned for."""


@contextlib.contextmanager
def live_host(session: Session) -> Iterator[LiveHost]:
    """The host as it is now, with what is remembered of it; what is new in that is kept at the end."""
    memory = load_memory(session.store, session.where.host)
    yield LiveHost(session.env, platform=session.platform, memory=memory, progress=session.progress)
    save_memory(session.store, session.where.host, memory)


def scan_host(session: Session, entries: Sequence[HostEntry], *, anew: bool = True) -> list[Scanned]:
    """Scan, record the scans, and make the artifacts of links; nothing is recorded unless all are found.

    Unless all are to be scanned `anew`, the usual tools are taken to be as they were scanned last where nothing tells
    otherwise: what every stack needs, and what takes longest.
    """
    with in_use(session.store, purpose="host scan"), live_host(session) as host:
        known = {} if anew else _unchanged(session, entries, host)
        captures = [known[entry.name] if entry.name in known else scan(entry, host) for entry in entries]
        before = newest_scans(session.store.refs, session.store.objects, session.where.host_class)
        return [
            Scanned(
                capture,
                realise(session.store, capture),
                record_scan(session.store, capture, entry, where=session.where),
                before.get(entry.name),
            )
            for entry, capture in zip(entries, captures, strict=True)
        ]


def _unchanged(session: Session, entries: Sequence[HostEntry], host: LiveHost) -> dict[str, HostCapture]:
    """The usual tools as they were scanned last, if a scan would find the same.

    Only of these is what was captured all that a finder looks at; others read variables, settings, and what links in
    directories lead to.
    """
    store = session.store
    newest = newest_scans(store.refs, store.objects, session.where.host_class)
    found = {}
    for entry in entries:
        last = newest.get(entry.name)
        if last is None or last.entry.find != entry.find or len(entry.find) > 1 or not is_base(entry.find[0]):
            continue
        spec = read_spec(store.objects, last.spec)
        if spec.host is None or entry.identity not in {last.entry.identity, spec.host.identity}:
            continue
        if not drifts(store, [Expected(entry, last.spec, last.version, last)], host, machine=session.where.host):
            found[entry.name] = last.capture(store.objects)
    return found


def entries_named(session: Session, texts: Iterable[str]) -> list[HostEntry]:
    """The host entries that texts mean: ``FINDER:…``, ``NAME=FINDER:…``, or a name that is known already.

    Names are those of the profile that HEAD names, then those of earlier scans; no text means all of them.
    Raises `NotFoundError`.
    """
    known = known_entries(session)
    wanted = list(texts)
    if not wanted and not known:
        raise NotFoundError("no host software is known yet", hint="hdist host scan dpkg:gcc")
    found = {}
    for text in wanted or known:
        entry = known[text] if text in known else parse_entry(text)
        if entry is None:
            raise NotFoundError(f"no host entry '{text}'", hint=f"hdist host scan dpkg:{text}, or path:{text}")
        found[entry.name] = entry
    return list(found.values())


def known_entries(session: Session) -> dict[str, HostEntry]:
    """The host entries of the profile that HEAD names, and of earlier scans of this class of hosts, by name."""
    scans = newest_scans(session.store.refs, session.store.objects, session.where.host_class)
    found = {name: one.entry for name, one in scans.items()}
    tip = session.store.refs.get("HEAD")
    if tip is not None:
        lock = read_profile(session.store.objects, tip).lock
        found |= {name: _entry(name, pin) for name, pin in lock.host.items()}
    return found


def expected_of(session: Session, pins: Mapping[str, HostPin]) -> list[Expected]:
    """What host pins say the host should have."""
    return [
        Expected(_entry(name, pin), pin.spec, pin.version, _scan_of(session, name, pin))
        for name, pin in sorted(pins.items())
    ]


def _scan_of(session: Session, name: str, pin: HostPin) -> Scan | None:
    """The newest scan that gave what a pin says, here or else upstream; None if there is none."""
    for store in session.store.chain:
        scan = scan_of(store.refs, store.objects, name, pin.spec, session.where.host_class)
        if scan is not None:
            return scan
    return None


def _entry(name: str, pin: HostPin) -> HostEntry:
    """What a pin was made of: its identity counts as chosen, as a default may be another one day."""
    return HostEntry(name, pin.find, pin.identity)


def check(session: Session, commit: CommitId | None) -> Checked:
    """Compare the host with what a commit of a profile was made with, or with all scans of hosts of this class.

    It is looked where the scans looked, whatever the PATH of whoever asks. For a commit it is also asked whether what
    its artifacts need of the host is there. Nothing is recorded, and what was never scanned here is not scanned now.
    """
    store, where = session.store, session.where
    key = check_key(store, where.host_class, session.env, commit)
    known = look(store, where.host, key)
    if known is not None:
        return Checked(known, (), (), ())
    began = time.time_ns()
    lock = read_profile(store.objects, commit).lock if commit is not None else None
    if lock is not None:
        expected = expected_of(session, used_pins(session, lock))
    else:
        scans = newest_scans(store.refs, store.objects, where.host_class)
        expected = [Expected(one.entry, one.spec, one.version, one) for one in scans.values()]
    unknown = tuple(one.entry.name for one in expected if one.scan is None)
    expected = [one for one in expected if one.scan is not None]
    memory = load_memory(store, where.host)
    found = [drift for one in expected for drift in find_drifts(store, [one], _where_it_was(session, one, memory))]
    save_memory(store, where.host, memory)
    needed = dict(_needs(session, lock)) if lock is not None else {}
    missing = {name: [one for one, place in of.items() if place is None] for name, of in needed.items()}
    broken = tuple(Broken(name, tuple(gone)) for name, gone in missing.items() if gone)
    if not found and not broken and not unknown:
        places = {place for of in needed.values() for place in of.values() if place is not None}
        paths = watched_paths(store, [one.scan for one in expected if one.scan is not None])
        paths |= places | set(map(os.path.realpath, places)) | set(_folders(session, expected))
        paths |= set(_unbuilt(session, lock)) if lock is not None else set()
        save_seen(store, where.host, key, paths, entries=len(expected), since=began)
    return Checked(len(expected), tuple(found), broken, unknown)


def _unbuilt(session: Session, lock: Lock) -> Iterator[str]:
    """Where the packages of a prefix will lie that are not built yet: nobody knows what they need."""
    store = session.store
    for name in lock.prefix_names():
        artifact = read_spec(store.objects, lock.specs[name]).artifact
        if artifact not in store.artifacts:
            yield store.artifacts.path(artifact)


def used_pins(session: Session, lock: Lock) -> dict[str, HostPin]:
    """The host pins that packages of a lock are built with or need to run."""
    used = set(lock.prefix_names())
    for pin in lock.packages.values():
        used |= read_spec(session.store.objects, pin.spec).inputs.keys()
    return {name: pin for name, pin in lock.host.items() if name in used}


def _where_it_was(session: Session, one: Expected, memory: Memory) -> LiveHost:
    """The host, with commands that were found by name looked for first where they were found."""
    env = dict(session.env)
    if folders := _folders(session, [one]):
        env["PATH"] = ":".join([*folders, env.get("PATH", "")])
    return LiveHost(env, platform=session.platform, memory=memory, progress=session.progress)


def _folders(session: Session, expected: Sequence[Expected]) -> list[str]:
    """The directories in which commands were found by name, in the order in which they stand on the PATH."""
    found: set[str] = set()
    for one in expected:
        if one.scan is not None and _is_by_name(one.scan.finder):
            for entry in manifest.decode(one.scan.manifest(session.store.objects)):
                if entry.path.startswith(b"bin/") and entry.target:
                    found.add(os.path.dirname(os.fsdecode(entry.target)))
    order = [os.path.realpath(folder) for folder in session.env.get("PATH", "").split(":")]
    return sorted(found, key=lambda folder: (order.index(folder) if folder in order else len(order), folder))


def _is_by_name(finder: str) -> bool:
    kind, _, rest = finder.partition(":")
    return finder.startswith("base@") or (kind == "path" and not os.path.isabs(rest))


def _needs(session: Session, lock: Lock) -> Iterator[tuple[str, dict[str, str | None]]]:
    """What each package of a prefix that is built needs of the host, and where that is."""
    store = session.store
    for name in lock.prefix_names():
        if name in lock.packages:
            artifact = read_spec(store.objects, lock.specs[name]).artifact
            if artifact in store.artifacts:
                yield name, needs(store, artifact)


def drift_words(drift: Drift, *, than: str) -> str:
    """A drift in one line; `than` says what the host is compared with."""
    if drift.kind == "gone":
        return f"'{drift.name}' {drift.old_version} cannot be used any more: {drift.reason}"
    if drift.old_version != drift.new_version:
        what = f"{drift.old_version} → {drift.new_version}"
    else:
        what = f"{drift.old_version}, {drift.expected[:12]} → {(drift.found or '')[:12]}"
    causes = [f"{one.name} {one.old or 'new'} → {one.new or 'gone'}" for one in drift.packages[:3]]
    causes = causes or [f"{one.path} {one.kind}" for one in drift.files[:3]]
    more = f" ({'; '.join(causes)})" if causes else ""
    return f"'{drift.name}' {'is' if drift.kind == 'same' else 'differs from'} the one {than} ({what}){more}"
