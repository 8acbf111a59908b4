"""What a command in a jail may use: said by paths, artifacts and host software, with or without a store."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from hashdist.errors import InvalidError, NotFoundError
from hashdist.fsutil.atomic import write_file
from hashdist.fsutil.modes import make_directories
from hashdist.hostscan.finding import scan
from hashdist.hostscan.live import LiveHost
from hashdist.objects import manifest
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import SpecId
from hashdist.preload.base import base_rules
from hashdist.preload.captured import allow_captured
from hashdist.preload.rules import Rules
from hashdist.progress import SILENT, Progress
from hashdist.stack.finders import parse_entry
from hashdist.stack.packages import HostEntry

if TYPE_CHECKING:
    from hashdist.store.store import Store

_FORMAT = 1
#: Finders whose answer follows from what is installed, and so can be remembered until that changes.
_LASTING = ("base@", "dpkg:", "rpm:")


def declared(allow: Sequence[str], write: Sequence[str], here: Sequence[str], env: Mapping[str, str]) -> Rules:
    """Rules that grant what every program may use, these paths, and to write in the directory `here` and in TMPDIR.

    Raises `NotFoundError` for paths to be read that are not there: a rule for them would be a mistake.
    """
    rules = base_rules()
    problems = [path for path in allow if not os.path.lexists(path)]
    if problems:
        raise NotFoundError("\n".join(f"there is no '{path}'" for path in problems))
    rules.allow_tree(*map(os.path.abspath, allow))
    rules.allow_writing(*map(os.path.abspath, write), *here, os.path.abspath(env.get("TMPDIR") or "/tmp"))  # noqa: S108
    return rules


def allow_host(
    rules: Rules,
    finders: Iterable[str],
    env: Mapping[str, str],
    *,
    cache: str | None = None,
    progress: Progress = SILENT,
) -> None:
    """Grant what host software consists of; `cache` is a directory in which that is remembered, if it can be written.

    Raises `InvalidError` or `HostNotFoundError`.
    """
    host = LiveHost(env, progress=progress)
    for finder in finders:
        entry = parse_entry(finder)
        if entry is None:
            raise InvalidError(
                f"'{finder}' is no finder", hint="write dpkg:NAME, path:COMMAND, pkgconfig:NAME, module:NAME or base@1"
            )
        allow_captured(rules, manifest.decode(_manifest(entry, host, env, cache)))


def _manifest(entry: HostEntry, host: LiveHost, env: Mapping[str, str], cache: str | None) -> bytes:
    (finder,) = entry.find
    if cache is None or not finder.startswith(_LASTING):
        return scan(entry, host).manifest
    key = hashlib.sha256(repr((_FORMAT, finder, env.get("PATH"), host.state(), _links_state())).encode()).hexdigest()
    path = os.path.join(cache, f"captured-{key[:32]}")
    with contextlib.suppress(OSError), open(path, "rb") as file:
        known, _, end = file.read().rpartition(b"\0")
        if end == b"end\n":
            return known
    found = scan(entry, host).manifest
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time and nothing else
        make_directories(cache)
        write_file(path, found + b"\0end\n", durable=False)
    return found


def _links_state() -> object:
    """Differs after somebody chose another alternative, or the loader's cache was made anew."""
    found = []
    for path in ("/etc/alternatives", "/etc/ld.so.cache"):
        with contextlib.suppress(OSError):
            status = os.stat(path)
            found.append((path, status.st_mtime_ns, status.st_ino))
    return found


def allow_artifact(rules: Rules, store: Store, artifact: ArtifactId) -> None:
    """Grant an artifact with what its files refer to, and what of the host it stands for; raises `NotBuiltError`."""
    pending = [artifact.spec]
    done: set[SpecId] = set()
    while pending:
        spec = pending.pop()
        if spec in done:
            continue
        done.add(spec)
        record = store.artifacts.record(spec)
        rules.allow_tree(store.artifacts.path(record.spec.artifact))
        if record.spec.host is not None:
            allow_captured(rules, manifest.decode(record.manifest))
        pending += record.references
