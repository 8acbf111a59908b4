"""Roots of running commands: while one works, a file names what it uses, so that gc leaves it alone."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hashdist.errors import DamagedError
from hashdist.fsutil.atomic import unique_suffix
from hashdist.fsutil.locks import is_locked, locked
from hashdist.objects.ids import SpecId

if TYPE_CHECKING:
    from .store import Store


@contextlib.contextmanager
def in_use(store: Store, specs: Iterable[SpecId]) -> Iterator[None]:
    """Keep gc from what `specs` name while the block runs; the file is locked as long as we live."""
    path = store.inside("roots", unique_suffix())
    document = {"host": os.uname().nodename, "boot": _boot(), "pid": os.getpid(), "specs": sorted(set(specs))}
    with store.lock(shared=True, purpose="build"), open(path, "x", encoding="utf-8") as file:
        json.dump(document, file)
    try:
        with locked(path):
            yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def used_specs(store: Store, *, drop_stale: bool = False) -> set[SpecId]:
    """What running commands use. A file of this host that nobody holds was left by a crash and does not count.

    Raises `DamagedError` for a file that cannot be read.
    """
    found: set[SpecId] = set()
    for name in sorted(os.listdir(store.inside("roots"))):
        path = store.inside("roots", name)
        held = is_locked(path)
        try:
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
            specs, host, boot = [SpecId(spec) for spec in document["specs"]], document["host"], document["boot"]
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            if held:
                raise DamagedError(f"root '{path}' cannot be read: {error}") from error
            specs, host, boot = [], os.uname().nodename, ""
        if held or (host != os.uname().nodename):
            found.update(specs)
        elif drop_stale and (boot != _boot() or not held):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    return found


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
