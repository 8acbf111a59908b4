"""``hdist loaded``: list the prefixes that are loaded into this shell."""

from __future__ import annotations

import os
from collections.abc import Iterator

from hashdist.cli.app import App, command as make
from hashdist.environment.loading import loaded as find


@make(reads=True)
def loaded(app: App) -> None:
    """List what is loaded into this shell, the last one first: name and prefix."""
    found = find(app.env)

    def lines() -> Iterator[str]:
        for one in found:
            yield f"{one.name}  {one.prefix}{'' if os.path.isdir(one.prefix) else '  (gone)'}"

    app.emit({"loaded": [{"name": one.name, "path": one.prefix} for one in found]}, lines)


command = loaded
