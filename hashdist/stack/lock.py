"""``lock.json``: every pin of a stack, beside the stack file in each commit of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hashdist.errors import InvalidError
from hashdist.objects import canonical
from hashdist.objects.ids import BlobId, SpecId
from hashdist.sources.pin import Pin

FORMAT = 1
EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@dataclass(frozen=True, slots=True)
class HostPin:
    """What was captured for a host entry."""

    find: tuple[str, ...]
    """What the stack file said."""
    finder: str
    """The finder that fitted."""
    identity: str
    """What makes it the same software."""
    version: str
    """As it calls itself."""
    fingerprint: str
    """SHA-256 of the manifest of all that was captured."""
    spec: SpecId
    """The host spec."""


@dataclass(frozen=True, slots=True)
class PackagePin:
    """What a package of the stack became."""

    spec: SpecId
    """Its spec."""
    version: str
    """Its version."""
    requires: tuple[str, ...]
    """What it needs to run, by name."""
    build_only: bool
    """Whether prefixes leave it out."""


@dataclass(frozen=True, slots=True)
class Lock:
    """All pins of a stack."""

    stack: BlobId
    """The stack file they belong to."""
    sources: Mapping[str, Mapping[str, Pin]] = field(default_factory=dict)
    """Package, then directory, to pin."""
    host: Mapping[str, HostPin] = field(default_factory=dict)
    """Host entry to pin."""
    packages: Mapping[str, PackagePin] = field(default_factory=dict)
    """Package to spec."""
    native_cpu: str | None = None
    """The baseline that 'native' means here; None where no package asks."""

    @classmethod
    def empty(cls) -> Lock:
        """The lock of a stack file in which there is nothing."""
        return cls(BlobId(EMPTY_BLOB))

    @property
    def specs(self) -> dict[str, SpecId]:
        """Every spec, of packages and of the host, by name."""
        return {name: pin.spec for name, pin in self.host.items()} | {
            name: pin.spec for name, pin in self.packages.items()
        }

    def prefix_names(self) -> list[str]:
        """What a prefix holds: all packages but build-only ones, and all they require, sorted."""
        found: set[str] = set()
        pending = [name for name, pin in self.packages.items() if not pin.build_only]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += self.packages[name].requires if name in self.packages else ()
        return sorted(found)

    def encode(self) -> bytes:
        """The bytes of ``lock.json``: canonical in content, indented so that a plain diff is readable."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "stack": self.stack,
            "sources": {
                name: {directory: pin.to_json() for directory, pin in pins.items()}
                for name, pins in self.sources.items()
            },
            "host": {name: _host_json(pin) for name, pin in self.host.items()},
            "packages": {name: _package_json(pin) for name, pin in self.packages.items()},
        }
        if self.native_cpu is not None:
            document["native_cpu"] = self.native_cpu
        return canonical.dumps_indented(document)

    @classmethod
    def decode(cls, data: bytes) -> Lock:
        """Read what `encode` wrote; raises `InvalidError`."""
        document: Any = canonical.loads_indented(data)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise InvalidError(f"not a lock of format {FORMAT}", hint="a newer hdist may have written it")
        try:
            return cls(
                BlobId(document["stack"]),
                {
                    name: {directory: Pin.from_json(pin) for directory, pin in pins.items()}
                    for name, pins in document["sources"].items()
                },
                {name: _host_pin(pin) for name, pin in document["host"].items()},
                {name: _package_pin(pin) for name, pin in document["packages"].items()},
                document.get("native_cpu"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidError(f"bad lock: {error}") from error


def _host_json(pin: HostPin) -> dict[str, Any]:
    return {
        "find": list(pin.find),
        "finder": pin.finder,
        "identity": pin.identity,
        "version": pin.version,
        "fingerprint": pin.fingerprint,
        "spec": pin.spec,
    }


def _host_pin(document: Any) -> HostPin:
    return HostPin(
        tuple(document["find"]),
        document["finder"],
        document["identity"],
        document["version"],
        document["fingerprint"],
        SpecId(document["spec"]),
    )


def _package_json(pin: PackagePin) -> dict[str, Any]:
    return {"spec": pin.spec, "version": pin.version, "requires": list(pin.requires), "build_only": pin.build_only}


def _package_pin(document: Any) -> PackagePin:
    return PackagePin(
        SpecId(document["spec"]), document["version"], tuple(document["requires"]), bool(document["build_only"])
    )
