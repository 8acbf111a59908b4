"""What lies on this machine becomes a source: no network is needed, and none of its code is loaded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from hashdist.fsutil.clock import time_text
from hashdist.objects.ids import SourceId
from hashdist.objects.statcache import StatCache
from hashdist.progress import SILENT, Progress
from hashdist.store import index
from hashdist.store.provenance import Provenance

from .declaration import PathSource, to_json
from .keeping import keep
from .path import import_path
from .pin import Pin
from .settings import FetchSettings

if TYPE_CHECKING:
    from hashdist.store.store import Store


def add_path(
    store: Store,
    declaration: PathSource,
    path: str,
    *,
    env: Mapping[str, str],
    settings: FetchSettings,
    progress: Progress = SILENT,
) -> Pin:
    """Import the directory, archive or file at `path`, which is what `declaration` means.

    Of a directory that was imported before only the files that changed are read. Raises `NotFoundError`,
    `InvalidError` or `LimitError`.
    """
    with store.lock(shared=True, purpose="import"):
        key = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()
        remembered = index.read_bytes(store, index.STATES, key)
        before = StatCache.decode(remembered) if remembered else None
        if before is not None and SourceId(before.held_by) not in store.sources:
            before = None  # gc may have taken its blobs
        imported = import_path(store.objects, path, env=env, limits=settings.limits, progress=progress, before=before)
        came_from = Provenance("path", _recorded(path), stripped=imported.stripped, subdir=declaration.subdir)
        kept = keep(store, imported.tree, declaration.subdir, came_from)
        if imported.cache is not None and kept == imported.tree:
            index.write(store, index.STATES, key, imported.cache.encode())
        return Pin(to_json(declaration), kept, stripped=imported.stripped, date=time_text(store.now()))


def _recorded(path: str) -> str:
    """A path as records can hold it: one that is not text becomes a URL."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return f"file://{quote(os.fsencode(path))}"
    return path
