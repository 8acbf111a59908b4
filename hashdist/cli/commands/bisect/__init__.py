"""``hdist bisect``: find the commit, and the packages, with which something began to go wrong."""

from __future__ import annotations

from hashdist.cli.groups import LazyGroup

command = LazyGroup(
    "bisect",
    __name__,
    ("start", "good", "bad", "skip", "run", "reset"),
    help="Find the first bad commit by trying few; with run --packages also which of its packages are to blame.",
)
