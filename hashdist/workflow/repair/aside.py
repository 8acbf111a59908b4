"""Where damaged things go."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from hashdist.fsutil.atomic import publish, unique_suffix
from hashdist.fsutil.modes import make_directories
from hashdist.store.store import Store
from hashdist.verify.findings import Finding


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of something that was damaged."""

    finding: Finding
    """What was found."""
    done: bool
    """Whether it is as it should be now."""
    words: str
    """What was done, or what stands in the way."""


def put_aside(store: Store, path: str) -> str:
    """Move a file or directory into the store's ``damaged``; return where it is now. gc takes it after its grace."""
    folder = store.inside("damaged")
    make_directories(folder)
    place = os.path.join(folder, f"{os.path.basename(path.rstrip('/'))}.{unique_suffix()}")
    if os.path.isdir(path) and not os.path.islink(path):
        with contextlib.suppress(PermissionError):  # another member's, of whose group we are
            os.chmod(path, 0o755)
    publish(path, place, durable=store.durable)
    with contextlib.suppress(PermissionError):
        os.utime(place, follow_symlinks=False)  # gc counts from now
    return place
