"""Where each key of a TOML document stands, so that problems can name a line.

tomlkit keeps the whole text but no positions; its items in order give the text back, so counting line
ends gives the lines. This runs only when there is something to complain about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tomlkit
from tomlkit import items
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError

KeyPath = tuple[str, ...]


def key_lines(text: str) -> dict[KeyPath, int]:
    """The first line, counted from one, of every key in a valid TOML document."""
    lines: dict[KeyPath, int] = {}
    try:
        for path, line in _walk(tomlkit.parse(text), (), 1):
            lines.setdefault(path, line)
    except (TOMLKitError, RecursionError):
        pass  # it takes less deep nesting than the standard library: problems are told without their lines
    return lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of a key, or of the nearest key around it that has one."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1


def _walk(container: Container, path: KeyPath, line: int) -> Iterator[tuple[KeyPath, int]]:
    for key, item in container.body:
        name = _parts(key)
        if name and not isinstance(item, items.AoT):
            offset = item.trivia.indent.count("\n")
            for length in range(1, len(name) + 1):
                yield (*path, *name[:length]), line + offset
        if isinstance(item, (items.Table, items.InlineTable)):
            header = 0
            if isinstance(item, items.Table) and not item.is_super_table():
                trivia = item.trivia
                header = (trivia.indent + trivia.comment_ws + trivia.comment + trivia.trail).count("\n")
            yield from _walk(item.value, (*path, *name), line + header)
        line += _rendered(key, item)


def _parts(key: Any) -> KeyPath:
    if key is None:
        return ()
    return tuple(part.key for part in key) if hasattr(key, "__iter__") and not isinstance(key, str) else (key.key,)


def _rendered(key: Any, item: Any) -> int:
    """How many line ends an item of a container has when it is written."""
    if key is None:
        return str(item.as_string()).count("\n")
    alone = Container()
    alone.append(key, item, validate=False)
    return alone.as_string().count("\n")
