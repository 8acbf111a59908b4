"""``hdist import``: packages as others write them down."""

from __future__ import annotations

from hashdist.cli.groups import LazyGroup

command = LazyGroup(
    "import",
    __name__,
    ("requirements", "conda", "easyconfig"),
    help="Add packages to a profile as others write them down; a profile without commits begins.",
)
