"""Roots of running commands: while one works, a file tells since when, and which specs it uses.

gc leaves alone what such a command uses, and whatever was made since the oldest of them began: it may be about
to be named by a ref.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hashdist.errors import DamagedError
from hashdist.fsutil.atomic import unique_suffix
from hashdist.fsutil.boot import boot_id
from hashdist.fsutil.locks import is_locked, locked
from hashdist.objects.ids import SpecId

if TYPE_CHECKING:
    from .store import Store


@dataclass(frozen=True, slots=True)
class Running:
    """What running commands keep alive."""

    specs: frozenset[SpecId]
    """Specs they use or build."""
    since: int | None
    """When the oldest of them began, in seconds since 1970; None when none runs."""


@contextlib.contextmanager
def in_use(store: Store, specs: Iterable[SpecId] = ()) -> Iterator[None]:
    """Keep gc from what `specs` name, and from what is made, while the block runs.

    The file is locked as long as we live.
    """
    path = store.inside("roots", unique_suffix())
    document = {
        "host": os.uname().nodename,
        "boot": boot_id(),
        "pid": os.getpid(),
        "since": store.now(),
        "specs": sorted(set(specs)),
    }
    with contextlib.ExitStack() as stack:
        with store.lock(shared=True, purpose="begin"):
            with open(path, "x", encoding="utf-8") as file:
                json.dump(document, file)
            stack.callback(_unlink, path)
            stack.enter_context(locked(path))
        yield


def running(store: Store, *, drop_stale: bool = False) -> Running:
    """What running commands keep alive. A file of this host that nobody holds was left by a crash and does not count.

    Raises `DamagedError` for a file in use that cannot be read.
    """
    specs: set[SpecId] = set()
    since: int | None = None
    for name in sorted(os.listdir(store.inside("roots"))):
        path = store.inside("roots", name)
        held = is_locked(path)
        document = _read(path, held=held)
        if document is None:
            if drop_stale and not held:
                _unlink(path)
            continue
        if held or document["host"] != os.uname().nodename:
            specs.update(SpecId(spec) for spec in document["specs"])
            since = min(document["since"], since) if since is not None else document["since"]
        elif drop_stale:
            _unlink(path)
    return Running(frozenset(specs), since)


def _read(path: str, *, held: bool) -> dict[str, Any] | None:
    """What a root says; None for one that has gone, or is of no use to anybody."""
    try:
        with open(path, encoding="utf-8") as file:
            document: dict[str, Any] = json.load(file)
        if (
            isinstance(document["host"], str)
            and isinstance(document["specs"], list)
            and isinstance(document["since"], int)
        ):
            return document
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if held:
        raise DamagedError(f"root '{path}' cannot be read", hint="wait for the command that made it to end")
    return None


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
