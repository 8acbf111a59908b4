"""``base@1``: the POSIX tools of the host, with make, patch, tar and compressors.

They are found by command name and identified by names and versions, so that the same tools are the same
on machines that build them differently.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.found import Found
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.packages import upstream_version

from .asking import command_version

#: What base@1 is made of; a number's list never changes. What a host lacks is left out.
BASE_1 = tuple(
    """
    sh bash [ ar awk basename bzip2 bunzip2 cat chgrp chmod chown cksum cmp comm cp csplit cut date dd df diff
    dirname du echo env expand expr false file find fold gawk getconf grep egrep fgrep gunzip gzip head hostname
    id install join ln logname ls m4 make mkdir mkfifo mknod mktemp mv nice nl nohup nproc od paste patch
    pathchk pr printenv printf ps pwd readlink realpath rm rmdir sed seq sha256sum sleep sort split stat stty
    sum sync tail tar tee test timeout touch tr true truncate tsort tty uname unexpand uniq unlink unxz unzip wc
    which xargs xz zcat zstd
    """.split()
)
_REQUIRED = ("sh", "make", "tar", "sed", "grep", "cp")


def is_base(finder: str) -> bool:
    """Whether a finder, as it is written, is this one."""
    return finder.startswith("base@")


def find_base(what: str, host: LiveHost) -> Found:
    """Find the tools of the list numbered `what` on the PATH.

    Raises `HostNotFoundError` when one that every build needs is missing.
    """
    if what != "1":
        raise HostNotFoundError(f"no base@{what}: this hdist knows base@1", hint="use a newer hdist")
    places = {name: path for name in BASE_1 if (path := host.which(name))}
    missing = [name for name in _REQUIRED if name not in places]
    if missing:
        raise HostNotFoundError(
            f"the host has no {', '.join(missing)}",
            hint="install them (Debian: apt-get install make tar sed grep coreutils)",
        )
    with ThreadPoolExecutor(max_workers=8) as pool:
        versions = list(pool.map(lambda item: command_version(item[1], host.env), places.items()))
    facts = dict(zip(places, versions, strict=True))
    silent = {name: host.ways.follow(places[name]).final for name in facts if facts[name].startswith("sha256-")}
    owners = host.owners(silent.values())
    facts |= {name: upstream_version(owners[path].version) for name, path in silent.items() if path in owners}
    links = {f"bin/{name}": path for name, path in places.items()}
    return Found("commands", f"base@{what}", what, "version", links, facts=facts)
