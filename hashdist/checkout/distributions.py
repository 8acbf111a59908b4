"""The Python distributions in artifacts, as their metadata has them (core metadata, PEP 566 and later)."""

from __future__ import annotations

import email.parser
import glob
import json
import os
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from hashdist.store import index

if TYPE_CHECKING:
    from hashdist.objects.artifact_id import ArtifactId
    from hashdist.store.store import Store


#: Characters of a METADATA file that are read: what is required stands before the description.
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Distribution:
    """A Python project that is installed."""

    name: str
    """As its metadata has it."""
    version: str
    """Its version."""
    requires: tuple[str, ...]
    """What it requires, each with its markers."""
    python: str
    """The version of Python that finds it, such as 3.11."""


def distributions(store: Store, artifact: ArtifactId) -> list[Distribution]:
    """The distributions in an artifact; read once, since artifacts never change."""
    key = artifact.spec
    try:
        known = json.loads(index.read(store, index.DISTRIBUTIONS, key) or "")
        return [
            Distribution(str(name), str(version), tuple(map(str, requires)), str(python))
            for name, version, requires, python in known
        ]
    except (ValueError, TypeError):
        found = _read(store.artifacts.path(artifact))
    index.write(store, index.DISTRIBUTIONS, key, json.dumps([list(astuple(one)) for one in found]))
    return found


def _read(root: str) -> list[Distribution]:
    pattern = os.path.join(glob.escape(root), "lib*", "python3*", "site-packages", "*.dist-info", "METADATA")
    found = []
    for path in sorted(glob.glob(pattern)):
        python = path.split(os.sep)[-4].removeprefix("python")
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                message = email.parser.HeaderParser().parsestr(file.read(_LIMIT))
        except OSError:
            continue  # a directory, or a link that leads nowhere
        requires = tuple(str(value) for value in message.get_all("Requires-Dist", ()))
        if message["Name"] and message["Version"]:
            found.append(Distribution(str(message["Name"]), str(message["Version"]), requires, python))
    return found
