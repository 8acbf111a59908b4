"""Archives that are kept: ``downloads/`` of the store, and a directory that several stores may share.

A file is named by its SHA-256 and appears whole, so one that is there need not be fetched again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

from hashdist.objects.manifest import file_sha256

from .settings import FetchSettings

if TYPE_CHECKING:
    from hashdist.store.store import Store


def cached(store: Store, sha256: str, settings: FetchSettings) -> str | None:
    """Where the file with this hash lies, if it is here and whole; a damaged one is removed."""
    for folder in folders(store, settings):
        path = os.path.join(folder, sha256)
        if os.path.isfile(path):
            if file_sha256(path) == sha256:
                with contextlib.suppress(OSError):
                    os.utime(path)  # gc tells by it when it was last wanted
                return path
            with contextlib.suppress(OSError):  # somebody else's: it is passed over
                os.unlink(path)
    return None


def md5_of(store: Store, sha256: str, settings: FetchSettings) -> str | None:
    """The MD5 of the file with this SHA-256, for lists that know no better; None if it is not here."""
    path = cached(store, sha256, settings)
    if path is None:
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def folders(store: Store, settings: FetchSettings) -> list[str]:
    """Where downloads are looked for; the first is where they are put."""
    own = store.inside("downloads")
    shared = settings.downloads
    if shared is None:
        return [own]
    with contextlib.suppress(OSError):
        os.makedirs(shared, exist_ok=True)
    return [shared, own] if os.access(shared, os.W_OK) else [own, shared]
