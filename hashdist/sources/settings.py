"""How sources are fetched: what a person, a site or a command has chosen."""

from __future__ import annotations

from dataclasses import dataclass, field

from hashdist.objects.importing import Limits


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Choices that hold for every source; what a single one needs is in its declaration."""

    offline: bool = False
    """Fetch nothing over the network."""
    require_hash: bool = False
    """Refuse what would be pinned on first use."""
    accept_repacked: bool = False
    """Take another archive than was pinned if its tree is the very same."""
    mirrors: tuple[str, ...] = ()
    """URLs of directories that ``hdist source mirror`` made, asked first for what is known by hash."""
    downloads: str | None = None
    """A directory of archives that several stores share; None: the store's own."""
    limits: Limits = field(default_factory=Limits)
    """What is refused beyond."""
    minimum_rate: int = 1024
    """Bytes a second below which a download is given up."""
    patience: float = 30.0
    """Seconds over which the rate is measured, and for which a server may be silent."""
    tries: int = 3
    """How often a server is asked that does not answer well."""
    first_wait: float = 0.5
    """Seconds before the second try; each further one waits twice as long."""
    parallel: int = 4
    """Downloads at a time."""
