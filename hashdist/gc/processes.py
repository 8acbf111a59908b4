"""What the processes of this machine use of a store, as far as we may look at them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

#: Links of a process that lead to what it uses.
_LINKS = ("exe", "cwd", "root")
#: Files that name what it uses.
_TEXTS = ("environ", "maps", "cmdline")
_OWN_TEXTS = ("environ", "maps")


class Use(NamedTuple):
    """A process that uses something."""

    pid: int
    """Its number."""
    name: str
    """The program's name."""
    path: str
    """What it uses, relative to the store: ``artifacts/…`` or ``prefixes/…``."""


#: What was seen by somebody who sees more, by the store's path.
_seen: dict[str, list[Use]] = {}


def look(store: str) -> None:
    """Keep what is seen now for `seen`: root is about to act as the store's owner, who sees only his own processes."""
    path = os.path.realpath(store)
    _seen[path] = list(uses(path))


def seen(store: str) -> Iterator[Use]:
    """What processes use by what can be seen now, and by what `look` saw."""
    yield from _seen.get(os.path.realpath(store), ())
    yield from uses(store)


def uses(store: str) -> Iterator[Use]:
    """What each process has open, mapped, as its directory, or names in its environment and arguments.

    Processes of others cannot be looked at, nor those of other machines and containers.
    """
    found = re.compile(re.escape(os.fsencode(store)) + rb"/((?:artifacts|prefixes)/[^\0\n:;,\"'=<>|&() ]+)")
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            # our own arguments may ask about what they name
            texts = _OWN_TEXTS if int(entry) == os.getpid() else _TEXTS
            paths = {match for text in _texts(f"/proc/{entry}", texts) for match in found.findall(text)}
            if paths:
                name = _name(f"/proc/{entry}")
                yield from (Use(int(entry), name, os.fsdecode(path)) for path in sorted(paths))


def _texts(folder: str, names: tuple[str, ...]) -> Iterator[bytes]:
    for name in names:
        try:
            with open(f"{folder}/{name}", "rb") as file:
                yield file.read()
        except OSError:
            continue
    links = [f"{folder}/{name}" for name in _LINKS]
    with contextlib.suppress(OSError):
        links += [f"{folder}/fd/{name}" for name in os.listdir(f"{folder}/fd")]
    for link in links:
        try:
            yield os.fsencode(os.readlink(link))
        except OSError:
            continue


def _name(folder: str) -> str:
    try:
        with open(f"{folder}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"
