"""Bring a store of an older format to the present one, a step at a time; each step can be done twice.

Format 2: locks and roots name host, boot and process in a way that counts on other machines, ``damaged``
holds what was moved aside. Objects, refs, artifacts and prefixes are as they were.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator

from hashdist.errors import BusyError
from hashdist.fsutil.atomic import write_file
from hashdist.fsutil.modes import make_directories
from hashdist.fsutil.removal import remove_tree

from .making import README
from .store import FORMAT, Store


def upgrade_store(path: str, *, waiting: Callable[[str], None] | None = None) -> Iterator[tuple[str, str]]:
    """Upgrade the store at `path`; yield the formats of each step, old and new, once it is done.

    Raises `BusyError` while commands of the older hdist are at work, and `UnsupportedFormatError`.
    """
    store = Store.open(path, waiting=waiting, formats=frozenset({*_STEPS, FORMAT}))
    with store.lock(shared=False, purpose="upgrade-store"), store.refs.still("upgrade-store"):
        while (found := store.read_format()) != FORMAT:
            step, after = _STEPS[found]
            step(store)
            write_file(store.inside("format"), f"{after}\n".encode())
            yield found, after


def _from_1(store: Store) -> None:
    """Drop the roots of commands that have ended: they name processes in the old way."""
    roots = store.inside("roots")
    for name in os.listdir(roots):
        path = os.path.join(roots, name)
        with open(path, "rb") as file:
            try:
                # of format 1 the file itself was locked as long as its command lived
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    "a command of an older hdist is at work on this store", hint="wait for it to end and try again"
                ) from error
        remove_tree(path)
    make_directories(store.inside("damaged"))
    write_file(store.inside("README"), README.encode())


_STEPS: dict[str, tuple[Callable[[Store], None], str]] = {"1": (_from_1, "2")}
