"""Lay out links: from files of the system to the paths of a prefix."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.layout import is_documentation, is_local, plain_path, prefix_path
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.unowned import is_generated


def links_for(paths: Iterable[str], host: LiveHost) -> dict[str, str]:
    """The links for files of packages, by path in the prefix; documentation and settings are left out."""
    wanted = [
        path for path in paths if not (is_documentation(path) or is_local(host.inside(path)) or is_generated(path))
    ]
    # packages bring dead links, and some to devices
    finals = {path: host.ways.follow(path).final for path in wanted}
    alive = [path for path, final in finals.items() if os.path.isfile(final) or os.path.isdir(final)]
    return lay_out(
        alive, host, lambda path: prefix_path(host.inside(path)), fallback=lambda path: plain_path(host.inside(path))
    )


def lay_out(
    paths: Iterable[str], host: LiveHost, place: Callable[[str], str], *, fallback: Callable[[str], str] | None = None
) -> dict[str, str]:
    """The links for `paths`, where `place` puts them.

    A link to a directory becomes a directory with links to those of `paths` that lie in it, as a link would
    open all of it. Raises `HostNotFoundError` for what leads nowhere, when two files want one place and there is no
    `fallback`, and then also for links to directories elsewhere, which packages may have.
    """
    paths = list(paths)
    found: dict[str, str] = {}
    folders: list[tuple[str, str]] = []
    for path in paths:
        way = host.ways.follow(path)
        if os.path.isdir(way.final):
            folders.append((place(path), way.final))
        elif os.path.lexists(way.final):
            _put(found, place(path), fallback(path) if fallback else None, path)
        else:
            raise HostNotFoundError(f"'{path}' leads to '{way.final}', which is gone")
    for link, folder in folders:
        inside = [path for path in paths if path.startswith(f"{folder}/")]
        if not inside and fallback is None:
            raise HostNotFoundError(
                f"'{link}' leads to '{folder}', a directory of others", hint="name what is wanted of that by itself"
            )
        for path in inside:
            if os.path.isfile(path):
                found.setdefault(f"{link}{path[len(folder) :]}", path)
    return found


def _put(found: dict[str, str], link: str, other: str | None, path: str) -> None:
    if found.setdefault(link, path) == path:
        return
    if other is not None and other != link and found.setdefault(other, path) == path:
        return
    raise HostNotFoundError(f"'{found[link]}' and '{path}' both want to be '{link}'")
