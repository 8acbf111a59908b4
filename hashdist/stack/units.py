"""What a stack file says, cut into the units that are merged, compared and settled one by one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

PACKAGES = "packages"
HOST = "host"
FILES = "files"


class Unit(NamedTuple):
    """A package, a host entry, another key, or a file that the stack file refers to."""

    section: str
    """The table that it stands in, dotted; `FILES` for a file."""
    name: str
    """Its key there."""

    def __str__(self) -> str:
        """Give what people call it: a package by its name, all else with a colon, which no package has."""
        if self.section == PACKAGES:
            return self.name
        return f"{'file' if self.section == FILES else self.section or 'stack'}:{self.name}"

    @property
    def path(self) -> tuple[str, ...]:
        """Its keys in the stack file."""
        return (*self.section.split("."), self.name) if self.section else (self.name,)


def units(text: str) -> dict[Unit, Any]:
    """The units of a stack file that was checked."""
    return units_of(tomllib.loads(text))


def units_of(data: Mapping[str, Any]) -> dict[Unit, Any]:
    """The units of a parsed stack file."""
    found: dict[Unit, Any] = {}
    for section, table in data.items():
        if not isinstance(table, dict):
            found[Unit("", section)] = table
            continue
        for key, value in table.items():
            if isinstance(value, dict) and section not in {PACKAGES, HOST}:
                found |= {Unit(f"{section}.{key}", inner): one for inner, one in value.items()}
            else:
                found[Unit(section, key)] = value
    return found
