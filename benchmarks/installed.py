"""The program as users have it: installed and compiled, not run from a checkout."""

from __future__ import annotations

import compileall
import os
import shutil
import sysconfig
import venv

import hashdist


def install(folder: str) -> list[str]:
    """Install a copy into a virtual environment in `folder`, with the dependencies that are here; the command."""
    venv.create(folder, symlinks=True)
    place = sysconfig.get_path("purelib", "venv", {"base": folder, "platbase": folder})
    package = os.path.dirname(hashdist.__file__)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, os.path.join(place, "hashdist"), ignore=ignored)
    compileall.compile_dir(os.path.join(place, "hashdist"), quiet=1)
    with open(os.path.join(place, "dependencies.pth"), "w", encoding="utf-8") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    return [os.path.join(folder, "bin", "python"), "-m", "hashdist.cli"]
