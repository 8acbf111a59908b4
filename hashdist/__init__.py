"""hashdist: software stacks as branches, installs by hash, prefixes of links.

Open a store and call the verbs::

    from hashdist import Store
    store = Store.open("~/.hashdist")

The verbs are functions of `hashdist.workflow`, `hashdist.build`, `hashdist.checkout` and `hashdist.gc`.
"""

from .errors import HashdistError
from .store.store import Store
from .version import __version__

__all__ = ["HashdistError", "Store", "__version__"]
