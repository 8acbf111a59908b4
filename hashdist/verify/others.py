"""What can be made or fetched again: prefixes, downloaded archives, unpacked sources."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from hashdist.errors import HashdistError
from hashdist.objects.directory import import_remembering
from hashdist.objects.ids import is_hex
from hashdist.objects.manifest import file_sha256

from .findings import Finding

if TYPE_CHECKING:
    from hashdist.store.store import Store

_DOCUMENT = ".hashdist.json"
_PREFIX_DIGITS = 32
_SHA256_DIGITS = 64
_TREE_DIGITS = 40


class Checked(NamedTuple):
    """What looking at something gave."""

    size: int
    """Bytes that were read."""
    findings: list[Finding]
    """What is wrong."""


def prefixes(store: Store) -> Iterator[str]:
    """The paths of all prefixes."""
    root = os.path.join(store.config.path, "prefixes")
    yield from (os.path.join(root, name) for name in sorted(os.listdir(root)) if ".tmp-" not in name)


def check_prefix(path: str) -> Checked:
    """Whether a prefix is the one that its name says, no link in it leads nowhere, and nothing can be written to."""
    found: list[Finding] = []
    try:
        with open(os.path.join(path, _DOCUMENT), "rb") as file:
            data = file.read()
        json.loads(data)
    except (OSError, ValueError) as error:
        return Checked(0, [Finding("damaged", "prefix", path, f"does not say what it is made of: {error}")])
    if hashlib.sha256(data).hexdigest()[:_PREFIX_DIGITS] != os.path.basename(path):
        found.append(Finding("damaged", "prefix", path, "is not the one that its name says"))
    gone = {artifact: place for artifact, place in elsewhere(path).items() if not os.path.isdir(place)}
    for artifact, place in gone.items():
        words = f"leads to {artifact}, which has gone from upstream, '{place}'"
        found.append(Finding("missing", "prefix", path, words))
    with contextlib.suppress(FileNotFoundError):  # gc is taking it
        found += _prefix_files(path, tuple(f"{place}/" for place in gone.values()))
    return Checked(0, found)


def _prefix_files(path: str, gone: tuple[str, ...]) -> Iterator[Finding]:
    """What is wrong with the files of a prefix, but for links to what is known to be gone."""
    for folder, directories, files in os.walk(path):
        mode = os.stat(folder).st_mode
        if mode & 0o022 and not mode & 0o2000:
            yield Finding("mode", "prefix", folder, "can be written to")
        for name in (*directories, *files):
            place = os.path.join(folder, name)
            if os.path.islink(place):
                # a link of an artifact may lead nowhere by itself
                target = os.readlink(place)
                if not f"{target}/".startswith(gone) and not os.path.lexists(os.path.join(folder, target)):
                    words = f"leads to '{target}', which is not there"
                    yield Finding("damaged", "prefix", place, words)
            elif name in files and os.stat(place).st_mode & 0o222:
                yield Finding("mode", "prefix", place, "can be written to")


def elsewhere(prefix: str) -> dict[str, str]:
    """The paths upstream that a prefix leads to, by artifact."""
    try:
        with open(os.path.join(prefix, _DOCUMENT), "rb") as file:
            found = json.load(file).get("elsewhere", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return dict(found)


def downloads(store: Store) -> Iterator[str]:
    """The paths of all archives that are named by their SHA-256."""
    folder = store.inside("downloads")
    for name in sorted(os.listdir(folder)):
        if len(name) == _SHA256_DIGITS and is_hex(name[:_TREE_DIGITS]):
            yield os.path.join(folder, name)


def check_download(path: str) -> Checked:
    """Whether an archive is what its name says."""
    try:
        size = os.path.getsize(path)
        digest = file_sha256(path)
    except FileNotFoundError:
        return Checked(0, [])
    except OSError as error:
        return Checked(0, [Finding("damaged", "download", path, f"cannot be read: {error.strerror}")])
    if digest == os.path.basename(path):
        return Checked(size, [])
    return Checked(size, [Finding("damaged", "download", path, "its bytes are others")])


def unpacked(store: Store) -> Iterator[str]:
    """The paths of all unpacked sources."""
    folder = store.inside("unpacked")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if len(name) == _TREE_DIGITS and is_hex(name):
            yield os.path.join(folder, name)


def check_unpacked(store: Store, path: str) -> Checked:
    """Whether an unpacked source is the tree that its name says."""
    try:
        found = import_remembering(store.objects, path, None, now=None, hash_only=True).tree
    except (OSError, HashdistError) as error:
        return Checked(0, [Finding("damaged", "unpacked", path, f"cannot be read: {error}")])
    if found == os.path.basename(path):
        return Checked(0, [])
    return Checked(0, [Finding("damaged", "unpacked", path, f"is the tree {found}")])
