"""``hdist revert``: take back what a commit did."""

from __future__ import annotations

from hashdist.cli.merging import taking_over

command = taking_over(
    "revert",
    "revert",
    "Take back in the profile what commits did, each by a commit of its own; nothing is checked out.",
)
