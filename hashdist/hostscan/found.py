"""What a finder found: names of files and packages, none of them read yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .packages import Package


@dataclass(frozen=True, slots=True)
class Found:
    """Software of the host, before it is read."""

    finder: str
    """Which kind of finder it was."""
    version: str
    """As the software calls itself, or its package is called."""
    artifact_version: str
    """The part of it that stands in paths."""
    identity: str
    """What makes it the same, unless the stack file chose otherwise."""
    links: Mapping[str, str]
    """Path in the prefix to absolute target."""
    packages: tuple[Package, ...] = ()
    """The packages that were asked for."""
    files: Iterable[str] = ()
    """Absolute paths of what it uses besides, and is identified by."""
    recorded: Iterable[str] = ()
    """Likewise, but recorded only."""
    abi: Mapping[str, str] = field(default_factory=dict)
    """What `recorded` files promise, by the name of who promises: the C library's version."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Names and versions, or an ABI: what identifies it where its bytes do not."""
    trees: tuple[str, ...] = ()
    """Directories that belong to it as a whole and are not read, as some of `files` identify them."""
    watched: tuple[str, ...] = ()
    """Directories in which a new file would change what is found."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that builds get."""
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Lists of directories that builds get, by variable."""
    search: tuple[str, ...] = ()
    """Directories in which its programs look for libraries besides the system's."""
