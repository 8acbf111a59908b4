"""Links into artifacts that other systems look for installations by: EasyBuild's modules. Those of what has gone go."""

from __future__ import annotations

import contextlib
import os

from hashdist.store.store import Store

#: Below the store.
FOLDERS = (os.path.join("easybuild", "modules"),)


def prune_links(store: Store) -> list[str]:
    """Remove links that lead to artifacts that are not there any more, and directories that are empty then."""
    gone = []
    artifacts = os.path.join(store.config.path, "artifacts") + os.sep
    for folder in FOLDERS:
        for place, _, names in os.walk(store.inside(folder), topdown=False):
            for name in names:
                path = os.path.join(place, name)
                if os.path.islink(path) and os.readlink(path).startswith(artifacts) and not os.path.exists(path):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
                        gone.append(path)
            if place != store.inside(folder):
                with contextlib.suppress(OSError):
                    os.rmdir(place)
    return gone
