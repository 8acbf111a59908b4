"""What has to be built, in which order; pure but for looking at what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashdist.objects.ids import SpecId
from hashdist.objects.spec import Spec
from hashdist.refs.edges import EdgeReader

if TYPE_CHECKING:
    from hashdist.store.store import Store


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What is missing for a set of packages."""

    jobs: tuple[Spec, ...]
    """Specs to build, inputs first."""
    host: Mapping[str, SpecId]
    """Host specs that the jobs or the wanted packages need, by name."""
    specs: Mapping[str, SpecId]
    """All specs of the stack, by name."""
    total: int
    """How many packages are wanted, built or not."""


def plan(store: Store, specs: Mapping[str, SpecId], wanted: Iterable[str]) -> BuildPlan:
    """Plan the building of the packages named `wanted`, out of a stack's `specs`.

    An input that is only needed for building is not missed when what it builds is there.
    """
    edges = EdgeReader(store.objects)
    names = {id: name for name, id in specs.items()}
    wanted = list(wanted)
    sealed = _sealed(store, [edges.spec(specs[name]) for name in specs])
    needed: dict[SpecId, Spec] = {}
    host: dict[str, SpecId] = {}
    pending = [specs[name] for name in wanted]
    while pending:
        id = pending.pop()
        spec = edges.spec(id)
        if spec.host is not None:
            host[names.get(id, spec.name)] = id
        elif id not in sealed and id not in needed:
            needed[id] = spec
            pending += spec.inputs.values()
    return BuildPlan(_ordered(needed), host, dict(specs), len(wanted))


def _sealed(store: Store, specs: list[Spec]) -> set[SpecId]:
    missing = {artifact.spec for artifact in store.artifacts.missing([spec.artifact for spec in specs])}
    return {spec.id for spec in specs} - missing


def _ordered(needed: Mapping[SpecId, Spec]) -> tuple[Spec, ...]:
    """Inputs first: inputs are expanded, so whoever has more of them comes later; names settle the rest."""

    def key(spec: Spec) -> tuple[int, str, str]:
        return sum(id in needed for id in spec.inputs.values()), spec.name, spec.version

    return tuple(sorted(needed.values(), key=key))
