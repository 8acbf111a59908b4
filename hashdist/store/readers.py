"""What readers of a shared store keep there: files in its ``pins.d``, if the site has made that (sticky, mode 1777).

A reader has a store of their own with the shared one as upstream. For each of their checkouts a file there names what
of the shared store it uses, and gc of the shared store leaves that alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from hashdist.errors import DamagedError
from hashdist.fsutil.atomic import write_file
from hashdist.objects.ids import SpecId

if TYPE_CHECKING:
    from .store import Store

FOLDER = "pins.d"
#: The largest file that is read.
_LIMIT = 4 << 20
_PREFIX = re.compile("[0-9a-f]{32}")


class Pin(NamedTuple):
    """What a reader uses."""

    path: str
    """The file that says so."""
    store: str
    """The reader's store."""
    prefix: str | None
    """The name of a prefix that a checkout shows."""
    specs: frozenset[SpecId]
    """The specs of artifacts."""


def leave_pin(store: Store, checkout: str, prefix: str | None, specs: Iterable[SpecId]) -> None:
    """Say in each store upstream what a checkout of this one uses there; where none may, nothing is said."""
    wanted = sorted(set(specs))
    for above in store.chain[1:]:
        path = _place(store, above, checkout)
        used = [spec for spec in wanted if above.artifacts.own_record(spec) is not None]
        shown = prefix if prefix and os.path.isdir(above.inside("prefixes", prefix)) else None
        with contextlib.suppress(OSError):
            if used or shown:
                document = {"format": 1, "store": store.config.path, "prefix": shown, "specs": used}
                write_file(path, json.dumps(document).encode(), durable=store.durable)
            else:
                os.unlink(path)


def drop_pin(store: Store, checkout: str) -> None:
    """Say that a checkout uses nothing upstream any more."""
    for above in store.chain[1:]:
        with contextlib.suppress(OSError):
            os.unlink(_place(store, above, checkout))


def _place(store: Store, above: Store, checkout: str) -> str:
    # one name for each store and checkout; the user's number for those who look at the directory
    digits = f"{zlib.crc32(os.fsencode(store.config.path)):08x}"
    return above.inside(FOLDER, f"{os.getuid()}-{digits}-{checkout}")


def pins(store: Store) -> Iterator[Pin]:
    """What readers keep in this store; raises `DamagedError` for a file that cannot be read."""
    folder = store.inside(FOLDER)
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        pin = _read(os.path.join(folder, name)) if ".tmp-" not in name else None
        if pin is not None:
            yield pin


def _prefix(name: object) -> str | None:
    if name is None or (isinstance(name, str) and _PREFIX.fullmatch(name)):
        return name
    raise ValueError("no name of a prefix")


def _read(path: str) -> Pin | None:
    """A pin; None for one that was taken away meanwhile."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            # of a pipe nothing can be read, which is no document
            document = json.loads(file.read(_LIMIT) or b"")
        specs = frozenset(SpecId(spec) for spec in document["specs"])
        prefix = _prefix(document["prefix"])
        return Pin(path, str(document["store"]), prefix, specs)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(
            f"the reader's pin '{path}' cannot be read: {error}; nothing was deleted",
            hint="ask whose it is (ls -l), or remove it",
        ) from error
