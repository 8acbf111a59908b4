"""``hdist source``: fetch sources, tell of them, and write them where they are wanted."""

from __future__ import annotations

from hashdist.cli.groups import LazyGroup

command = LazyGroup(
    "source",
    __name__,
    ("add", "get", "fetch", "list", "show", "log", "mirror"),
    help="Sources: trees of upstream files, named by their git tree id (which is their SWHID).",
)
