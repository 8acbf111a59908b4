"""Names of packages, versions and artifacts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hashdist.errors import InvalidError

from .ids import SpecId

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:~!-]*\Z")
NAME_LIMIT = 100


def check_name(name: str, *, what: str = "package name") -> str:
    """Return `name` if it can be a package's name, a file's name and part of a ref; else `InvalidError`."""
    fault = _name_fault(name)
    if fault:
        raise InvalidError(
            f"bad {what} '{name[:60]}': {fault}",
            hint="use letters, digits and . _ + -, beginning with a letter or digit",
        )
    return name


def _name_fault(name: str) -> str | None:
    if not name:
        return "it is empty"
    if len(name) > NAME_LIMIT:
        return f"it is longer than {NAME_LIMIT} characters"
    if not _NAME.match(name):
        return "it has characters that names cannot have"
    if ".." in name or name.endswith((".", ".lock")):
        return "git could not keep it in a ref"
    return None


def check_version(version: str) -> str:
    """Return `version` if it is 1 to 100 letters, digits and ``. _ + : ~ ! -``; else `InvalidError`."""
    if len(version) > NAME_LIMIT or not _VERSION.match(version):
        raise InvalidError(f"bad version '{version[:60]}'", hint="use letters, digits and . _ + : ~ ! -")
    return version


@dataclass(frozen=True, slots=True, order=True)
class ArtifactId:
    """``name/version/<spec id>``: the full name of an artifact."""

    name: str
    """The package's name, as `check_name` has it."""
    version: str
    """Upstream's version, as `check_version` has it."""
    spec: SpecId
    """The spec that determines the artifact."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_name(self.name)
        check_version(self.version)

    def __str__(self) -> str:
        """Give the text that `parse` reads."""
        return f"{self.name}/{self.version}/{self.spec}"

    @classmethod
    def parse(cls, text: str) -> ArtifactId:
        """Read ``name/version/<40 hex digits>``; raises `InvalidError`."""
        parts = text.split("/")
        if len(parts) != 3:  # noqa: PLR2004 - the three parts in the docstring
            raise InvalidError(f"not an artifact id: '{text}'", hint="write name/version/<spec id>")
        return cls(parts[0], parts[1], SpecId(parts[2]))
