"""Packages as the host's package managers know them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package."""

    manager: str
    """'dpkg' or 'rpm'."""
    name: str
    """Its name, with ``:ARCH`` where it is not of the machine's own architecture."""
    version: str
    """With epoch and the distribution's revision."""
    source: str
    """The source package that it was made from, without version."""
    witness: str
    """A file that changes whenever the package does."""


class PackageDatabase(Protocol):
    """What the finders ask of a package manager."""

    manager: str

    def find(self, name: str) -> Package:
        """The installed package of that name; raises `HostNotFoundError`."""

    def closure(self, packages: Iterable[Package], *, beyond_abi: bool = True) -> list[Package]:
        """These and all that they need to run, sorted by name; raises `HostNotFoundError` when one is missing.

        Without `beyond_abi` not what only packages need that are identified by ABI: that is their business.
        """

    def files(self, package: Package) -> Sequence[str]:
        """Its files and links, by canonical path, sorted; raises `HostNotFoundError` when one is missing."""

    def owners(self, paths: Iterable[str]) -> dict[str, Package]:
        """Which of these canonical paths belong to a package, and to which."""

    def versions(self, names: Iterable[str]) -> dict[str, str]:
        """The versions of those of these packages that are installed."""

    def state(self) -> object:
        """Something that differs after anything was installed or removed."""


#: Source packages whose results are judged by the interface they promise: the C library, the kernel, its drivers.
_BY_ABI = re.compile(
    r"(?:e?glibc|musl|linux|linux-\d.*|kernel|kernel-headers|linux-glibc-devel|linux-libc-dev|nvidia-.*|cuda-drivers.*)\Z"
)
_NUMBERS = re.compile(r"(?:\d+:)?(\d+(?:\.\d+)?)")


def is_by_abi(package: Package) -> bool:
    """Whether a package is part of the C library, the kernel or a driver."""
    return _BY_ABI.match(package.source) is not None


def abi_version(package: Package) -> str:
    """The part of its version that stands for its interface: ``2.36-9+deb12u13`` is ``2.36``."""
    found = _NUMBERS.match(package.version)
    return found[1] if found else package.version


def upstream_version(version: str) -> str:
    """A version without epoch and the distribution's revision: ``1:1.2.13.dfsg-1`` is ``1.2.13.dfsg``."""
    version = version.partition(":")[2] or version
    return version.rpartition("-")[0] or version
