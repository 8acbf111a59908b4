"""What a stack consists of: host entries and packages, and how they hang together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hashdist.objects.ids import SpecId
from hashdist.sources.declaration import Declaration

from .linking import Rule

JailChoice = Literal["off", "report", "enforce"]
"""Whether a build is jailed, and whether the jail hides what is undeclared."""
JAIL_CHOICES: tuple[JailChoice, ...] = ("off", "report", "enforce")


@dataclass(frozen=True, slots=True)
class HostEntry:
    """Software of the host that packages are built with or need."""

    name: str
    """What inputs call it."""
    find: tuple[str, ...]
    """Finders such as ``path:/usr/bin/gcc``; the first that fits is taken."""
    identity: str | None = None
    """'content', 'version' or 'abi'; None: what suits the finder."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the stack."""

    name: str
    """What it is called."""
    version: str
    """Upstream's version."""
    builder: str | None = None
    """A preset's full name; None: ``commands`` stand alone."""
    commands: tuple[str, ...] = ()
    """Shell lines, where there is no preset."""
    options: tuple[str, ...] = ()
    """Arguments for the preset's configure step."""
    patches: tuple[str, ...] = ()
    """Files beside the stack file, applied in order."""
    sources: Mapping[str, Declaration] = field(default_factory=dict)
    """Directory ('.' is the main one) to source."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of the build, defaults included."""
    inputs: tuple[str, ...] = ()
    """What it is built with, what its preset brings included."""
    requires: tuple[str, ...] = ()
    """What it needs to run."""
    build_only: bool = False
    """Whether prefixes leave it out."""
    jail: JailChoice | None = None
    """How it is built; None: as the user has it."""
    rules: tuple[Rule, ...] = ()
    """How its files are linked into prefixes."""
    cpu: str | None = None
    """The CPU baseline; None: the platform's oldest; 'native': this machine's."""
    spec: SpecId | None = None
    """The spec that something else made, which stands for all of the above but what it requires."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A checked stack file."""

    host: Mapping[str, HostEntry]
    """Host entries by name, those that presets bring included."""
    packages: Mapping[str, Package]
    """Packages by name."""
    order: tuple[str, ...]
    """Names of packages, inputs first."""
    expanded: Mapping[str, tuple[str, ...]]
    """For each package the names of all it is built with."""
    rules: tuple[Rule, ...] = ()
    """How files are linked into prefixes, whatever their package."""

    @property
    def link_rules(self) -> tuple[Rule, ...]:
        """All rules of linking; where two differ the first counts."""
        return (*self.rules, *(rule for name in sorted(self.packages) for rule in self.packages[name].rules))

    @property
    def patches(self) -> tuple[str, ...]:
        """The files that the stack file refers to."""
        return tuple(sorted({patch for package in self.packages.values() for patch in package.patches}))

    def run_closure(self, names: list[str]) -> list[str]:
        """These and all they require to run, sorted."""
        return sorted(run_closure(self.packages, names))


def run_closure(packages: Mapping[str, Package], names: list[str]) -> set[str]:
    """These names, what they require to run, and so on."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            if name in packages:
                pending += packages[name].requires
    return found
