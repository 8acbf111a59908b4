"""Follow links one by one: each hop of the way to a file counts, as somebody may point it elsewhere."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from .errors import HostNotFoundError

_LIMIT = 40

Hop = tuple[str, str]
"""A link by its canonical path, and what it says."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a path leads to what it means."""

    place: str
    """The path with its directory canonical: where the file or link itself lies."""
    hops: tuple[Hop, ...]
    """The links on the way, those in directories included."""
    final: str
    """What is reached, canonical; whether it is there has not been asked."""


class Ways:
    """Follows links, and remembers the directories; one look at a host."""

    def __init__(self) -> None:
        self._directories: dict[str, tuple[str, tuple[Hop, ...]]] = {"/": ("/", ())}

    def place(self, path: str) -> str:
        """The path with its directory canonical."""
        folder, name = os.path.split(path)
        return os.path.join(self._directory(folder, 0)[0], name)

    def follow(self, path: str) -> Way:
        """The whole way; raises `HostNotFoundError` for loops and for what may not be looked at."""
        return self._follow(path, 0)

    def _follow(self, path: str, depth: int) -> Way:
        folder, name = os.path.split(path)
        if name in {"", ".", ".."}:
            canonical, hops = self._directory(path, depth)
            return Way(canonical, hops, canonical)
        canonical, hops = self._directory(folder, depth)
        place = os.path.join(canonical, name)
        target = _target(place)
        if target is None:
            return Way(place, hops, place)
        if depth >= _LIMIT:
            raise HostNotFoundError(f"'{path}' is a link that leads in circles")
        rest = self._follow(os.path.join(canonical, target), depth + 1)
        return Way(place, (*hops, (place, target), *rest.hops), rest.final)

    def _directory(self, path: str, depth: int) -> tuple[str, tuple[Hop, ...]]:
        """The canonical path of a directory and the links on the way."""
        if path in self._directories:
            return self._directories[path]
        folder, name = os.path.split(path.rstrip("/"))
        canonical, hops = self._directory(folder or "/", depth)
        if name == "..":
            found = (os.path.dirname(canonical), hops)
        elif name in {"", "."}:
            found = (canonical, hops)
        else:
            way = self._follow(os.path.join(canonical, name), depth)
            found = (way.final, (*hops, *way.hops))
        self._directories[path] = found
        return found


def _target(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno in {errno.EINVAL, errno.ENOENT, errno.ENOTDIR}:
            return None
        raise HostNotFoundError(f"'{path}' cannot be looked at: {error.strerror}") from error
