"""A Python of the host: the interpreter that prefixes and wheels use."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from hashdist import process
from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.found import Found
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.trees import tree_files

_NAME = re.compile(r"python(\d(\.\d+)?)?\Z")
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_QUESTION = """
import json, sys, sysconfig
base = getattr(sys, "_base_executable", None) or sys.executable
if sys.prefix != sys.base_prefix:
    base = sysconfig.get_config_var("BINDIR") + "/python%d.%d" % sys.version_info[:2]
print(json.dumps({
 "executable": base, "name": sys.implementation.name,
 "version": "%d.%d.%d" % sys.version_info[:3], "series": "%d.%d" % sys.version_info[:2],
 "abi": sysconfig.get_config_var("SOABI"), "platform": sysconfig.get_platform(),
 "library": sorted({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})}))
"""


def is_python(path: str) -> bool:
    """Whether a program's name is a Python's."""
    return bool(_NAME.match(os.path.basename(path)))


def find_python(path: str, host: LiveHost) -> Found:
    """Ask the Python at `path` (which may be a wrapper or in a virtual environment) for the real one.

    Identity is the ABI and platform by default: wheels fit what has these. Raises `HostNotFoundError`.
    """
    clean = {name: value for name, value in host.env.items() if not name.startswith("PYTHON")}
    try:
        answer: Any = json.loads(process.run([path, "-I", "-c", _QUESTION], env=clean, timeout=60))
    except (process.ProgramFailedError, process.ProgramMissingError, ValueError) as error:
        raise HostNotFoundError(f"'{path}' is not a Python that works: {error}") from error
    if answer["name"] != "cpython" or not answer["abi"]:
        raise HostNotFoundError(f"'{path}' is {answer['name']}; prefixes are made for CPython")
    executable = host.ways.place(answer["executable"])
    links = {f"bin/{name}": executable for name in ("python", "python3", f"python{answer['series']}")}
    facts = {"abi": answer["abi"], "platform": answer["platform"]}
    owned = bool(host.owners([os.path.realpath(executable)]))
    recorded = _library(answer["library"], deep=not owned)
    return Found("python", answer["version"], answer["series"], "abi", links, recorded=recorded, facts=facts)


def _library(folders: list[str], *, deep: bool) -> list[str]:
    """The standard library, without what was installed into it; the top of it is enough to tell of its packages."""
    found = []
    for folder in folders:
        if not os.path.isdir(folder):
            continue
        paths = (
            tree_files(folder, skip=_INSTALLED)
            if deep
            else (os.path.join(folder, name) for name in sorted(os.listdir(folder)))
        )
        found += [path for path in paths if os.path.isfile(path)]
    return found
