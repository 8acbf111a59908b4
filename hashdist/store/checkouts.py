"""The register of checkouts: a link for each place but the default one, which keeps alive what is shown there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hashdist.refs import names

if TYPE_CHECKING:
    from .store import Store


def registered(store: Store) -> dict[str, str]:
    """All checkouts: name to the path of the link, whether it is still there or not."""
    folder = store.inside("checkouts")
    found = {
        name: os.readlink(os.path.join(folder, name)) for name in sorted(os.listdir(folder)) if ".tmp-" not in name
    }
    return {names.DEFAULT_CHECKOUT: store.inside("current"), **found}
