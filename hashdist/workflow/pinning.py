"""From a stack file to its lock and specs: what is unchanged keeps its pin, what is new is fetched or scanned."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hashdist.errors import ConflictError, HashdistError, InvalidError, NotFoundError
from hashdist.hostscan.platform import native_cpu
from hashdist.objects.database import object_id
from hashdist.objects.ids import BlobId, SpecId
from hashdist.objects.spec import Spec, read_spec
from hashdist.sources.declaration import Declaration, GitSource, PathSource, UrlSource
from hashdist.sources.network import local_path
from hashdist.sources.pin import Pin
from hashdist.sources.pypi import PythonTarget
from hashdist.sources.request import Request, wanted
from hashdist.stack.lock import HostPin, Lock, PackagePin
from hashdist.stack.packages import Stack
from hashdist.stack.resolving import Pins, resolve
from hashdist.store.store import Store

from .hosts import scan_host
from .session import Session


@dataclass(frozen=True, slots=True)
class Moving:
    """Which pins may move although nothing in the stack file changed."""

    packages: frozenset[str] = frozenset()
    """Sources of these packages."""
    all_sources: bool = False
    """Sources of all packages."""
    host: bool = False
    """All host entries."""
    never_scan: bool = False
    """Refuse host entries that have no pin, where their stack files had one each."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A stack with everything that follows from it."""

    text: str
    """The stack file."""
    stack: Stack
    """What it says."""
    lock: Lock
    """Every pin."""
    specs: Mapping[str, SpecId]
    """Every spec, packages and host, by name; all are written."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The files that the stack file refers to."""


KEEP_ALL = Moving()
KEEP_ONLY = Moving(never_scan=True)


def pin(
    session: Session,
    text: str,
    stack: Stack,
    files: Mapping[str, bytes],
    *,
    before: Lock | None,
    moving: Moving = KEEP_ALL,
) -> Resolved:
    """Pin everything and write the specs.

    `before` is the lock whose pins are kept where the declaration is unchanged, but for those in `moving`.
    Raises whatever fetching and scanning raise; several faults are reported together.
    """
    host = _pin_host(session, stack, before, moving)
    target = _python_target(session, stack, host)
    sources = _pin_sources(session, stack, before, moving, target)
    cpu = None
    if any(package.cpu == "native" for package in stack.packages.values()):
        cpu = (before.native_cpu if before and not moving.host else None) or native_cpu()
    pins = Pins(
        {name: {directory: pin.tree for directory, pin in of.items()} for name, of in sources.items()},
        {name: pin.spec for name, pin in host.items()},
        files,
        session.platform,
        cpu,
        _given(session.store, stack),
    )
    specs = resolve(stack, pins)
    for spec in specs.values():
        spec.write(session.store.objects)
    packages = {name: _package_pin(stack, name, spec) for name, spec in specs.items()}
    lock = Lock(BlobId(object_id("blob", text.encode())), sources, host, packages, cpu)
    return Resolved(text, stack, lock, lock.specs, files)


def _package_pin(stack: Stack, name: str, spec: Spec) -> PackagePin:
    package = stack.packages[name]
    return PackagePin(spec.id, spec.version, package.requires, package.build_only)


def _given(store: Store, stack: Stack) -> dict[SpecId, Spec]:
    """The specs that a stack names by their ids; raises `NotFoundError` or `InvalidError` with all that is wrong."""
    found = {}
    problems = []
    for name, package in stack.packages.items():
        if package.spec is None:
            continue
        if package.spec not in store.objects:
            problems.append(f"package '{name}': there is no spec {package.spec[:12]} here")
            continue
        spec = read_spec(store.objects, package.spec)
        if not spec.is_foreign:
            problems.append(f"package '{name}': spec {package.spec[:12]} is not of something else's making")
        elif package.version not in {"", spec.version}:
            problems.append(f"package '{name}': its spec is of version {spec.version}, not {package.version}")
        found[package.spec] = spec
    if problems:
        raise InvalidError(*problems, hint="hdist stage-artifact writes specs of what others make")
    return found


def _pin_host(session: Session, stack: Stack, before: Lock | None, moving: Moving) -> dict[str, HostPin]:
    kept: dict[str, HostPin] = {}
    wanted = []
    for name, entry in stack.host.items():
        old = before.host.get(name) if before and not moving.host else None
        if old is not None and old.find == entry.find and entry.identity in (None, old.identity):
            kept[name] = old
        else:
            wanted.append(entry)
    if wanted and moving.never_scan:
        lacking = ", ".join(entry.name for entry in wanted)
        raise NoPinError(
            f"no side has a pin that fits the host entry {lacking} as it is merged",
            hint="take one side's, or settle it with --edit, and hdist update --host afterwards",
        )
    scanned = {one.capture.name: one.capture for one in scan_host(session, wanted, anew=moving.host)} if wanted else {}
    found = {}
    for name, entry in stack.host.items():
        if name in kept:
            found[name] = kept[name]
            continue
        capture = scanned[name]
        host = capture.spec.host
        assert host is not None, "captures are of host software"
        found[name] = HostPin(
            entry.find, host.finder, host.identity, capture.version, capture.fingerprint, capture.spec.id
        )
    return found


def _python_target(session: Session, stack: Stack, host: Mapping[str, HostPin]) -> PythonTarget | None:
    """The Python that wheels must fit: the stack's own, captured or built."""
    if "python" in stack.packages:
        built = re.match(r"(\d)\.(\d+)", stack.packages["python"].version)
        return PythonTarget((int(built[1]), int(built[2])), f"cp{built[1]}{built[2]}") if built else None
    if "python" not in host:
        return None
    part = read_spec(session.store.objects, host["python"].spec).host
    found = re.match(r"cpython-(\d)(\d+)([a-z]*)", part.facts.get("abi", "") if part else "")
    if not found:
        return None
    return PythonTarget((int(found[1]), int(found[2])), f"cp{found[1]}{found[2]}{found[3]}")


def _pin_sources(
    session: Session, stack: Stack, before: Lock | None, moving: Moving, target: PythonTarget | None
) -> dict[str, dict[str, Pin]]:
    unknown = sorted(name for name in moving.packages if name not in stack.packages)
    if unknown:
        raise NotFoundError(f"no package '{unknown[0]}' in the stack", hint="see: hdist list")
    found: dict[str, dict[str, Pin]] = {name: {} for name, package in stack.packages.items() if package.sources}
    requests: dict[tuple[str, str], Request] = {}
    for name, package in stack.packages.items():
        old = before.sources.get(name, {}) if before else {}
        moves = moving.all_sources or name in moving.packages
        for directory, declaration in package.sources.items():
            kept = old.get(directory)
            if kept is not None and not moves and kept.declaration == wanted(declaration, target):
                found[name][directory] = kept
            else:
                requests[name, directory] = Request(declaration, target)
    if session.foreign and not session.trust:
        _refuse_outside(session, requests)
    failures: dict[str, HashdistError] = {}
    for (name, directory), pin in session.fetcher.pin_all(requests).items():
        if isinstance(pin, HashdistError):
            failures[name] = pin
        else:
            kept = before.sources.get(name, {}).get(directory) if before else None
            # a lock changes when what was taken does, and not with the day
            found[name][directory] = kept if kept is not None and kept.same_as(pin) else pin
    if failures:
        raise _together(failures)
    return found


class NoPinError(ConflictError):
    """Host software that would have to be scanned where nothing may be."""

    code = "no_pin"


class UntrustedPathError(HashdistError):
    """A stack from elsewhere that names a directory of this machine outside of its own."""

    code = "untrusted_path"


def _refuse_outside(session: Session, requests: Mapping[tuple[str, str], Request]) -> None:
    """Refuse paths outside of the stack file's directory: what lies there would become part of what is pushed."""
    home = os.path.realpath(session.directory) if session.directory is not None else None
    outside = []
    for (name, _), request in requests.items():
        for text in _local_paths(request.declaration):
            path = os.path.realpath(os.path.join(home or os.sep, os.path.expanduser(text)))
            if home is None or os.path.commonpath([home, path]) != home:
                outside.append(f"source of '{name}': '{text}' lies outside of the stack's directory")
    if outside:
        raise UntrustedPathError(
            "\n".join(outside), hint="this stack came from elsewhere: --trust takes it all the same"
        )


def _local_paths(declaration: Declaration) -> list[str]:
    """What of this machine a source names."""
    if isinstance(declaration, PathSource):
        return [declaration.path]
    urls = [declaration.url] if isinstance(declaration, GitSource) else []
    urls = [declaration.url, *declaration.mirrors] if isinstance(declaration, UrlSource) else urls
    return [local_path(url) for url in urls if url.partition(":")[0].lower() == "file"]


def _together(failures: Mapping[str, HashdistError]) -> HashdistError:
    """One error for several packages, of the kind of the first."""
    first = next(iter(failures.values()))
    lines = [f"source of '{name}': {error}" for name, error in failures.items()]
    joined: HashdistError = InvalidError(*lines, hint=first.hint)
    joined.exit_code, joined.code = first.exit_code, first.code
    return joined
