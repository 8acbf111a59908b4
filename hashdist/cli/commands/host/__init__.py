"""``hdist host``: capture software of the host, and see when it changes."""

from __future__ import annotations

from hashdist.cli.groups import LazyGroup

command = LazyGroup(
    "host",
    __name__,
    ("scan", "list", "check", "diff", "log"),
    help="Host software: captured by hash, as prefixes of links that know when what they lead to changes.",
)
