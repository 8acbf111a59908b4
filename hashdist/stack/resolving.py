"""From a checked stack and its pins to specs: pure, the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hashdist.objects.ids import SourceId, SpecId
from hashdist.objects.spec import Platform, Spec

from .packages import Package, Stack
from .presets import PRESETS, expand, script

RUNNER = 1


@dataclass(frozen=True, slots=True)
class Pins:
    """What the outside world gave."""

    sources: Mapping[str, Mapping[str, SourceId]]
    """Package, then directory, to tree."""
    host: Mapping[str, SpecId]
    """Host entry to spec."""
    patches: Mapping[str, bytes]
    """Path beside the stack file to bytes."""
    platform: Platform
    """Where results run, with the oldest CPU baseline."""
    native_cpu: str | None
    """What 'native' means here."""
    given: Mapping[SpecId, Spec] = field(default_factory=dict)
    """The specs that the stack names by their ids."""


def resolve(stack: Stack, pins: Pins) -> dict[str, Spec]:
    """The spec of every package, by name, inputs first."""
    specs: dict[str, Spec] = {}
    ids: dict[str, SpecId] = dict(pins.host)
    for name in stack.order:
        package = stack.packages[name]
        if package.spec is not None:
            specs[name] = pins.given[package.spec]
        else:
            specs[name] = _spec(package, {one: ids[one] for one in stack.expanded[name]}, pins)
        ids[name] = specs[name].id
    return specs


def _spec(package: Package, inputs: Mapping[str, SpecId], pins: Pins) -> Spec:
    preset = PRESETS[package.builder] if package.builder else None
    files = {name: script(name) for name in preset.files} if preset else {}
    files |= {_patch_name(patch): pins.patches[patch] for patch in package.patches}
    patching = [f'patch -p1 < "$FILES/{_patch_name(patch)}"' for patch in package.patches]
    cpu = pins.native_cpu if package.cpu == "native" else package.cpu
    platform = Platform(pins.platform.os, pins.platform.arch, cpu or pins.platform.cpu)
    return Spec(
        name=package.name,
        version=package.version,
        platform=platform,
        runner=RUNNER,
        commands=(*patching, *(expand(preset, package.options) if preset else package.commands)),
        env=package.env,
        sources=pins.sources.get(package.name, {}),
        inputs=inputs,
        files=files,
    )


def _patch_name(path: str) -> str:
    return path.rpartition("/")[2]
