"""What built artifacts take from the system when they run, and everything that needs in turn: libraries, interpreters.

No reference in a file tells of that, since the loader looks in the system's own directories.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from hashdist import elf
from hashdist.hostscan.capture import PackageLine
from hashdist.hostscan.hops import Ways
from hashdist.hostscan.needs import needs
from hashdist.objects.artifact_id import ArtifactId
from hashdist.workflow.hosts import live_host
from hashdist.workflow.session import Session


@dataclass(frozen=True, slots=True)
class SystemPart:
    """Files of the system that are needed."""

    files: tuple[str, ...]
    """Their canonical paths, sorted."""
    links: tuple[tuple[str, str], ...]
    """Links on the way to them: canonical path, and what it says."""
    packages: tuple[PackageLine, ...]
    """The packages that own the files, sorted by name."""


def system_part(session: Session, artifacts: Iterable[ArtifactId]) -> SystemPart:
    """What sealed artifacts, none of them host software, need of the system as it is now."""
    ways = Ways()
    wanted = [place for artifact in artifacts for place in needs(session.store, artifact).values() if place is not None]
    files: set[str] = set()
    links: set[tuple[str, str]] = set()
    while wanted:
        way = ways.follow(wanted.pop())
        links |= set(way.hops)
        if way.final in files or not os.path.isfile(way.final):
            continue
        files.add(way.final)
        dynamic = elf.read_dynamic(way.final)
        if dynamic is not None:
            places = [*elf.origin(dynamic.runpath, way.final), *elf.system_directories()]
            found = (elf.find_library(name, places, dynamic.machine) for name in dynamic.needed)
            wanted += [place for place in (*found, dynamic.interpreter) if place is not None]
    with live_host(session) as live:
        owners = {(one.manager, one.name): one for one in live.owners(files).values()}
    lines = [PackageLine(one.manager, one.name, one.version, "version", one.witness) for one in owners.values()]
    return SystemPart(
        tuple(sorted(files)), tuple(sorted(links)), tuple(sorted(lines, key=lambda line: (line.manager, line.name)))
    )
