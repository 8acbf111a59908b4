"""The history of scans: find them by name, revision or host, and compare them."""

from __future__ import annotations

from collections.abc import Iterator

from hashdist.errors import NotFoundError
from hashdist.hostscan.comparing import ScanChange, compare_scans, previous, scans_of_host
from hashdist.hostscan.memory import scans_on
from hashdist.hostscan.scans import Scan, history, newest_scans, read_scan, scan_ref
from hashdist.refs.revision import resolve

from .session import Session


def log(session: Session, name: str | None) -> Iterator[Scan]:
    """The scans of a name, or all, for hosts of this class; newest first. Raises `NotFoundError`."""
    objects = session.store.objects
    newest = newest_scans(session.store.refs, objects, session.where.host_class)
    if name is not None:
        if name not in newest:
            raise NotFoundError(f"'{name}' was never scanned here", hint=f"hdist host scan dpkg:{name}")
        yield from history(objects, newest[name].commit.id)
        return
    everything = [scan for one in newest.values() for scan in history(objects, one.commit.id)]
    yield from sorted(everything, key=lambda scan: (-scan.commit.time, scan.name))


def compare(session: Session, old: str | None, new: str | None) -> list[ScanChange]:
    """What differs: between two hosts, two scans, or the last two scans of a name or of all names.

    Raises `NotFoundError` for what is neither a host nor a scan.
    """
    objects = session.store.objects
    if old is None:
        after = newest_scans(session.store.refs, objects, session.where.host_class)
        before = {name: one for name, scan in after.items() if (one := previous(objects, scan)) is not None}
        return compare_scans(objects, before, {name: after[name] for name in before})
    side = _side(session, old)
    if new is not None:
        return compare_scans(objects, side, _side(session, new))
    if _scan(session, old) is None:
        return compare_scans(objects, side, newest_scans(session.store.refs, objects, session.where.host_class))
    before = {name: one for name, scan in side.items() if (one := previous(objects, scan)) is not None}
    return compare_scans(objects, before, side) if before else []


def _side(session: Session, text: str) -> dict[str, Scan]:
    scan = _scan(session, text)
    if scan is not None:
        return {scan.name: scan}
    store = session.store
    found = scans_of_host(store.refs, store.objects, text)
    for commit in scans_on(store, text):
        if commit in store.objects:
            one = read_scan(store.objects, commit)
            found[one.name] = one
    if not found:
        raise NotFoundError(
            f"no host entry and no host '{text}' among the scans here", hint="see: hdist host log; or fetch its refs"
        )
    return found


def _scan(session: Session, text: str) -> Scan | None:
    """The scan that a name or revision means; None if it means none."""
    store = session.store
    base = text.replace("@{", "~").partition("~")[0].partition("^")[0]
    try:
        if store.refs.get(scan_ref(session.where.host_class, base)) is not None:
            text = scan_ref(session.where.host_class, base) + text[len(base) :]
        commit = resolve(store.refs, lambda: store.objects, text)
        return read_scan(store.objects, commit)
    except (NotFoundError, ValueError):
        return None
