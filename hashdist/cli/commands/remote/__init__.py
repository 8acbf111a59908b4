"""``hdist remote``: other repositories that profiles go to and come from."""

from __future__ import annotations

from hashdist.cli.groups import LazyGroup

command = LazyGroup(
    "remote",
    __name__,
    ("add", "list", "remove"),
    help="Remotes: git repositories of others, on this machine or on a server; each is trusted once, when it is added.",
)
