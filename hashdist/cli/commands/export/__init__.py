"""``hdist export``: profiles for those who have no hashdist."""

from __future__ import annotations

from hashdist.cli.groups import LazyGroup

command = LazyGroup(
    "export",
    __name__,
    ("tar", "squashfs", "dockerfile", "apptainer", "sbom"),
    help="A profile's prefix with all that it needs, for machines and people without hashdist.",
)
