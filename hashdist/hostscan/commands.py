"""``base@1``: the POSIX tools of the host, with make, patch, tar and compressors.

They are found by command name and identified by names and versions, so that the same tools are the same
on machines that build them differently.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from hashdist import process
from hashdist.objects.manifest import file_sha256

from .capture import Found, HostNotFoundError

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
_VERSION = re.compile(r"\d+\.\d[\w.+~-]*")
_SECONDS = 30.0


def find_base(number: int, *, env: Mapping[str, str]) -> Found:
    """Find the tools on the PATH of `env`; raises `HostNotFoundError` when one that every build needs is missing."""
    if number != 1:
        raise HostNotFoundError(f"no base@{number}: this hdist knows base@1", hint="use a newer hdist")
    places = {name: path for name in BASE_1 if (path := shutil.which(name, path=env.get("PATH")))}
    missing = [name for name in _REQUIRED if name not in places]
    if missing:
        raise HostNotFoundError(
            f"the host has no {', '.join(missing)}",
            hint="install them (Debian: apt-get install make tar sed grep coreutils)",
        )
    with ThreadPoolExecutor(max_workers=8) as pool:
        versions = list(pool.map(lambda item: command_version(item[1], env), places.items()))
    facts = dict(zip(places, versions, strict=True))
    links = {
        f"bin/{name}": os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        for name, path in places.items()
    }
    return Found("commands", f"base@{number}", str(number), "version", links, facts=facts)


def command_version(path: str, env: Mapping[str, str]) -> str:
    """What a command says its version is; where it says none, the beginning of its content's SHA-256."""
    try:
        said = process.run([path, "--version"], env={**env, "LC_ALL": "C"}, timeout=_SECONDS)
    except process.ProgramTimeoutError as error:
        words = f"'{path} --version' does not answer"
        raise HostNotFoundError(words, hint="try again when the machine is less busy") from error
    except (process.ProgramFailedError, process.ProgramMissingError):
        said = b""
    first = said.decode(errors="replace").strip().split("\n")[0]
    found = _VERSION.search(first)
    return found[0] if found else f"sha256-{file_sha256(os.path.realpath(path))[:16]}"
