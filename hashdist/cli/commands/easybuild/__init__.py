"""``hdist easybuild``: EasyBuild on top of a store."""

from __future__ import annotations

from hashdist.cli.groups import LazyGroup

command = LazyGroup(
    "easybuild",
    __name__,
    ("config", "forget", "session", "remember"),
    help="EasyBuild on top of this store: config prints how it is set up; session and remember are for its hooks.",
)
