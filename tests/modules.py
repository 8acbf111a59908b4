"""A pytest plugin: the real Lmod and the real Environment Modules."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

LMOD = "/usr/share/lmod/lmod"


@pytest.fixture(scope="session")
def environment_modules(tmp_path_factory):
    """Environment Modules, unpacked from its package, as it may not be installed beside Lmod."""
    root = tmp_path_factory.mktemp("environment-modules")
    if not shutil.which("apt-get") or not shutil.which("tclsh"):
        pytest.skip("no apt-get or tclsh here")
    got = subprocess.run(["apt-get", "download", "-qq", "environment-modules"], cwd=root, capture_output=True)
    packages = list(root.glob("environment-modules_*.deb"))
    if got.returncode or not packages:
        pytest.skip("environment-modules cannot be downloaded")
    subprocess.run(["dpkg", "-x", packages[0], root], check=True)
    command = next(root.glob("usr/lib/*/modulecmd.tcl"))
    init = root / "usr/share/modules/init/bash"
    text = init.read_text().replace(f"/{command.relative_to(root)}", str(command))
    init.write_text(text.replace("/usr/share/modules", str(root / "usr/share/modules")))
    return str(root / "usr/share/modules")


@pytest.fixture(params=["lmod", "environment-modules"])
def module_system(request):
    """The environment variables by which a module system is found."""
    if request.param == "lmod":
        if not os.path.isdir(LMOD):
            pytest.skip("no Lmod here")
        return {"MODULESHOME": LMOD}
    return {"MODULESHOME": request.getfixturevalue("environment_modules")}
