"""``hdist spack``: Spack beside a store."""

from __future__ import annotations

from hashdist.cli.groups import LazyGroup

command = LazyGroup(
    "spack",
    __name__,
    ("config",),
    help="Spack beside this store: config prints host software as its externals; see also commit --from-spack.",
)
