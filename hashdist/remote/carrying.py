"""Which carrier there is: the git program, and where it is not installed libgit2."""

from __future__ import annotations

from collections.abc import Mapping

from hashdist.objects.git_program import has_git
from hashdist.sources.network import Network
from hashdist.store.store import Store

from .by_git import ByGit
from .by_libgit2 import ByLibgit2
from .carrier import Carrier


def carrier(store: Store, *, env: Mapping[str, str], network: Network) -> Carrier:
    """The one to use; with the user's environment for keys and passwords."""
    return ByGit(store, env, network) if has_git(store.search_path) else ByLibgit2(store, env, network)
