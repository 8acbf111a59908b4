"""The alternatives system: links such as ``/usr/bin/cc`` that no package owns, by who they lead to."""

from __future__ import annotations

import os

_ADMINISTRATION = ("/var/lib/dpkg/alternatives", "/var/lib/alternatives")
_SWITCHES = "/etc/alternatives"


def alternative_links(directories: tuple[str, ...] = _ADMINISTRATION) -> dict[str, str]:
    """The outer links of all alternatives, such as ``/usr/bin/cc``, to the file that each leads to now."""
    found = {}
    for directory in directories:
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        for name in names:
            for link, switch in _links(os.path.join(directory, name), name):
                target = os.path.realpath(os.path.join(_SWITCHES, switch))
                if os.path.islink(link) and os.path.realpath(link) == target and os.path.isfile(target):
                    found[link] = target
    return found


def _links(path: str, name: str) -> list[tuple[str, str]]:
    """The master link and its slaves: an administration file begins with mode, link, and pairs up to an empty line."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\n")
    except OSError:
        return []
    head = lines[1 : lines.index("")] if "" in lines else lines[1:]
    if not head:
        return []
    slaves = zip(head[1::2], head[2::2], strict=False)
    return [(head[0], name), *((link, slave) for slave, link in slaves)]
