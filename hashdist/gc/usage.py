"""How much each profile takes: bytes and inodes, its own and shared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashdist.objects import manifest
from hashdist.objects.ids import SpecId
from hashdist.refs import names
from hashdist.refs.edges import EdgeReader

if TYPE_CHECKING:
    from hashdist.store.store import Store


@dataclass(frozen=True, slots=True)
class ProfileUsage:
    """What the tip of a profile takes in artifacts."""

    profile: str
    """Its name."""
    artifacts: int
    """How many artifacts are there."""
    size: int
    """Their bytes."""
    inodes: int
    """Their files, directories and links."""
    own_size: int
    """Bytes of those that no other profile's tip has."""
    own_inodes: int
    """Inodes of those."""
    shared_size: int
    """Bytes of the others."""
    shared_inodes: int
    """Inodes of those."""


def usage(store: Store) -> list[ProfileUsage]:
    """Measure all profiles by the manifests of their artifacts; no file is looked at."""
    edges = EdgeReader(store.objects)
    records = dict(store.artifacts.all())
    specs = {
        names.short_name(ref): {spec for spec in edges.specs(commit).values() if spec in records}
        for ref, commit in store.refs.all(names.HEADS).items()
    }
    measured: dict[SpecId, tuple[int, int]] = {}
    for spec in set().union(*specs.values()) if specs else set():
        measured[spec] = _measure(store.artifacts.record(spec).manifest)
    found = []
    for profile, own in specs.items():
        others = set().union(*(some for name, some in specs.items() if name != profile))
        sizes = [measured[spec] for spec in own]
        unique = [measured[spec] for spec in own - others]
        rest = [measured[spec] for spec in own & others]
        found.append(ProfileUsage(profile, len(own), *_total(sizes), *_total(unique), *_total(rest)))
    return found


def _measure(data: bytes) -> tuple[int, int]:
    return manifest.measure(manifest.decode(data))


def _total(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(size for size, _ in sizes), sum(inodes for _, inodes in sizes)
