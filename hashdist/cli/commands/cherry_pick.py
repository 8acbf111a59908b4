"""``hdist cherry-pick``: do again what a commit did elsewhere."""

from __future__ import annotations

from hashdist.cli.merging import taking_over

command = taking_over(
    "cherry-pick",
    "cherry_pick",
    "Do again in the profile what commits did elsewhere, each as a commit of its own; nothing is checked out.",
)
