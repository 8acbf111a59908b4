"""``hdist du``: how much each profile takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hashdist.cli.app import App, command as make, human_size
from hashdist.gc.usage import usage


@make(reads=True)
def du(app: App) -> None:
    """Tell what the artifacts of each profile's tip take, and how much of it no other profile has."""
    found = usage(app.store)

    def lines() -> Iterator[str]:
        for one in found:
            yield (
                f"{one.profile:<20} {human_size(one.size):>10} {one.inodes:>8} files; "
                f"its own: {human_size(one.own_size):>10} {one.own_inodes:>8} files; "
                f"shared: {human_size(one.shared_size):>10} {one.shared_inodes:>8} files"
            )

    app.emit({"profiles": [dataclasses.asdict(one) for one in found]}, lines)


command = du
