"""The command people run all day, ``hdist checkout NAME`` between prefixes that exist, before click is loaded.

It makes the same library calls as the full command and prints the same words; whatever it cannot settle by
refs and the index alone it leaves to that.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from hashdist.refs import names

from .identity import quick_identity, store_path

if TYPE_CHECKING:
    from collections.abc import Mapping


def checkout(arguments: list[str], env: Mapping[str, str]) -> bool:
    """Do it and return True; or return False with nothing done."""
    from hashdist.checkout.switch import Checkout, known_prefix  # noqa: PLC0415 - no other command needs it this early
    from hashdist.store.store import Store  # noqa: PLC0415

    if len(arguments) != 2 or arguments[0] != "checkout" or arguments[1].startswith("-"):  # noqa: PLR2004
        return False
    path = store_path(None, env)
    if not os.path.exists(os.path.join(path, "format")):
        return False
    store = Store.open(path, identity=quick_identity(env))
    ref = store.refs.find(arguments[1])
    commit = store.refs.get(ref) if ref and ref != "HEAD" else None
    prefix = known_prefix(store, commit) if commit else None
    if ref is None or commit is None or prefix is None:
        return False
    branch = ref if ref.startswith(names.HEADS) else None
    place = Checkout(store)
    place.switch(commit, prefix, branch=branch, reason=f"checkout: {arguments[1]}")
    sys.stderr.write(switched(arguments[1] if branch else None, commit, place.path))
    return True


def switched(branch: str | None, commit: str, path: str) -> str:
    """What is said after a switch."""
    return f"{path} is at {f'{branch}@' if branch else ''}{commit[:12]}\n"
