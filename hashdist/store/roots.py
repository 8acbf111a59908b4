"""Roots of running commands: while one works, a file tells who, since when, and which specs it uses.

gc leaves alone what such a command uses, and whatever was made since the oldest of them began: it may be about
to be named by a ref. The file is renewed by work that takes hours; see `hashdist.fsutil.holders` for when its
command counts as dead.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hashdist.errors import DamagedError
from hashdist.fsutil import holders
from hashdist.fsutil.atomic import unique_suffix, write_file
from hashdist.fsutil.boot import boot_id, host_name
from hashdist.fsutil.holders import Holder
from hashdist.objects.ids import SpecId

if TYPE_CHECKING:
    from .store import Store

_TEMPORARY = ".tmp-"
#: How the names of roots of what others build begin.
STAGE = "stage-"
#: Digits of a boot's id in the name of a root.
_BOOT = 8


@dataclass(frozen=True, slots=True)
class Running:
    """What running commands keep alive."""

    specs: frozenset[SpecId]
    """Specs they use or build."""
    since: int | None
    """When the oldest of them began, in seconds since 1970; None when none runs."""
    holders: tuple[Holder, ...] = ()
    """The commands themselves."""


@contextlib.contextmanager
def in_use(store: Store, specs: Iterable[SpecId] = (), *, purpose: str = "a command") -> Iterator[None]:
    """Keep gc from what `specs` name, and from what is made, while the block runs; `purpose` names it to people."""
    path = store.inside("roots", _name())
    with store.lock(shared=True, purpose="begin"):
        holder = holders.me(purpose, since=store.now(), lease=holders.WORK)
        document = {"holder": holder.line(), "specs": sorted(set(specs))}
        write_file(path, json.dumps(document).encode(), durable=False)
    holders.remember(path)
    try:
        yield
    finally:
        holders.forget(path)
        with contextlib.suppress(OSError):
            os.unlink(path)


def running(store: Store, *, drop_stale: bool = False) -> Running:
    """What running commands keep alive; those that died count for nothing, and with `drop_stale` are removed.

    Raises `DamagedError` for a file that cannot be read.
    """
    specs: set[SpecId] = set()
    found: list[Holder] = []
    now = store.now()
    for name in sorted(os.listdir(store.inside("roots"))):
        path = store.inside("roots", name)
        read = _read(path, now)
        if read is None:
            continue
        holder, used, heard = read
        if holder is not None and holder.is_alive(now - heard):
            specs |= used
            found.append(holder)
        elif drop_stale:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    return Running(frozenset(specs), min((one.since for one in found), default=None), tuple(found))


def staged_by(store: Store, spec: SpecId) -> Holder | None:
    """The process that stages a spec's artifact, while it lives."""
    read = _read(_stage(store, spec), store.now())
    if read is None:
        return None
    holder, _, heard = read
    return holder if holder is not None and holder.is_alive(store.now() - heard) else None


def begin_stage(store: Store, spec: SpecId, specs: Iterable[SpecId], *, pid: int, purpose: str) -> None:
    """Keep gc from what `specs` name, and from what is made, while another process lives or until `end_stage`.

    Raises `ProcessLookupError` if there is no such process.
    """
    holder = holders.other(pid, purpose, since=store.now(), lease=holders.WORK)
    document = {"holder": holder.line(), "specs": sorted({spec, *specs})}
    write_file(_stage(store, spec), json.dumps(document).encode(), durable=False)


def end_stage(store: Store, spec: SpecId) -> None:
    """Nobody stages it any more."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_stage(store, spec))


def _stage(store: Store, spec: SpecId) -> str:
    return store.inside("roots", f"{STAGE}{spec}")


def assume_dead(store: Store, host: str) -> list[str]:
    """Drop what commands on a machine keep alive; return what they were for."""
    gone = []
    for name in sorted(os.listdir(store.inside("roots"))):
        path = store.inside("roots", name)
        read = _read(path, store.now())
        if read is not None and read[0] is not None and read[0].host == host:
            gone.append(str(read[0]))
            os.unlink(path)
    return gone


def _name() -> str:
    """A name that tells whose the file is, even if a power loss left it empty."""
    return f"{boot_id()[:_BOOT]}-{unique_suffix()}"


def _is_torn(path: str, age: float) -> bool:
    """Whether a file that cannot be read was left so by a start of this machine that is over, or is old."""
    boot, _, rest = os.path.basename(path).partition("-")
    ours = rest.startswith(f"{host_name()}-") and boot != boot_id()[:_BOOT] and len(boot) == _BOOT
    return ours or age > holders.WORK


def _read(path: str, now: float) -> tuple[Holder | None, set[SpecId], float] | None:
    """Who a root is of, what it uses, and when it was last heard of; None for one that has gone meanwhile.

    Without a holder it is what a crash left of one.
    """
    if _TEMPORARY in os.path.basename(path):
        return None, set(), 0
    heard = math.inf
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, encoding="utf-8") as file:
            heard = os.fstat(fd).st_mtime
            document: dict[str, Any] = json.load(file)
        return Holder.parse(document["holder"]), {SpecId(spec) for spec in document["specs"]}, heard
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if _is_torn(path, now - heard):
            return None, set(), heard
        raise DamagedError(
            f"root '{path}' cannot be read: {error}; nothing was deleted",
            hint="wait for the command that made it to end, then remove it",
        ) from error
