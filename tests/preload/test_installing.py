"""How the library comes with the package, and what is said where it does not."""

from __future__ import annotations

import errno
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import entry_points
import pytest

import hashdist
from hashdist.preload import jail, library
from hashdist.preload.jail import make_jail
from hashdist.preload.library import JailInactiveError
from hashdist.preload.log import create_log, read_log
from hashdist.preload.rules import Rules

PROJECT = pathlib.Path(hashdist.__file__).parent.parent


@pytest.fixture
def wheel(tmp_path):
    """`wheel(env)` builds one from a copy of the project, with what is installed here."""

    def build(**env: str) -> zipfile.ZipFile:
        source = tmp_path / "source"
        shutil.copytree(PROJECT / "hashdist", source / "hashdist", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(PROJECT / name, source)
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", "out", "."]
        subprocess.run(command, cwd=source, env={**os.environ, **env}, check=True, capture_output=True)
        (path,) = (source / "out").glob("*.whl")
        return zipfile.ZipFile(path)

    return build


def test_the_library_is_there():
    """An extension that is allowed to fail must not be missed in silence."""
    assert library.library() is not None


def test_a_wheel_holds_it(wheel):
    """The wheel fits any Python, and this platform."""
    with wheel() as archive:
        assert "hashdist/preload/hdistjail.so" in archive.namelist()
        assert "-py3-none-linux_" in os.path.basename(archive.filename)


def test_without_a_compiler(wheel, tmp_path):
    """The install works, all but the jail; `hdist jail` says what is missing."""
    with wheel(CC="/bin/false") as archive:
        assert "hashdist/preload/hdistjail.so" not in archive.namelist()
        archive.extractall(tmp_path / "installed")
    command = [sys.executable, "-m", "hashdist.cli", "jail", "--no-base", "--", "true"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 126
    assert "could not be compiled" in done.stderr
    assert "apt-get install gcc" in done.stderr


def test_a_loader_that_does_not_preload(tmp_path, monkeypatch):
    """Where the library is not loaded, the handshake fails, and the command is not run."""
    broken = tmp_path / "hdistjail.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(jail, "LIBRARY", str(broken))
    (tmp_path / "jail").mkdir()
    with pytest.raises(JailInactiveError, match="did not load") as caught:
        make_jail(str(tmp_path / "jail"), Rules(), "enforce", env=dict(os.environ))
    assert caught.value.exit_code == 126


def test_a_machine_without_a_jail(monkeypatch):
    """On a machine that the library was not made for, it says so."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "no jail for riscv64" in str(library.missing())


def test_a_place_that_cannot_be_preloaded_from(monkeypatch):
    """The loader takes spaces and colons for separators."""
    monkeypatch.setattr(library, "LIBRARY", __file__ + " odd")
    monkeypatch.setattr("os.path.exists", lambda _: True)
    assert "a space or a colon" in str(library.missing())


needs_cross = pytest.mark.skipif(
    not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64")),
    reason="no compiler and emulator for aarch64 here",
)


@needs_cross
def test_the_other_machine(tmp_path):
    """Compiled for aarch64 without a warning, and run by an emulator, each function does there what it does here."""
    compiler, flags = "aarch64-linux-gnu-gcc", "-std=gnu11 -O2 -fPIC -shared -fvisibility=hidden -Wall -Wextra".split()
    source, built = str(PROJECT / "hashdist" / "preload" / "hdistjail.c"), str(tmp_path / "hdistjail.so")
    subprocess.run([compiler, *flags, "-Werror", "-Wno-unused-parameter", "-o", built, source], check=True)
    (tmp_path / "probe.c").write_text(entry_points.program())
    probe = str(tmp_path / "probe")
    subprocess.run([compiler, "-w", "-o", probe, f"{probe}.c", "-ldl"], check=True)
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "file").write_text("")
    rules = Rules()
    rules.allow_tree("/usr/aarch64-linux-gnu", "/lib")
    rules.allow_writing("/dev", "/proc")
    setting = f"HDIST_JAIL_RULES={tmp_path / 'enforce'}"
    (tmp_path / "enforce").write_bytes(
        rules.encode(mode="enforce", library=built, setting=setting, log=str(tmp_path / "log"))
    )
    create_log(str(tmp_path / "log"), launcher=0)
    wrong = []
    for function in entry_points.functions():
        if function.paths[:1] != ["path"] or re.search("exec|spawn|dlmopen", function.name):
            continue  # the emulator does not start programs of its machine
        emulator = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", "-E", f"LD_PRELOAD={built}", "-E", setting]
        call = [function.name, str(tmp_path / "hidden" / "file"), str(tmp_path / "hidden" / "new-XXXXXX")]
        done = subprocess.run([*emulator, probe, *call], capture_output=True, text=True)
        if not re.fullmatch(f"failed ({errno.ENOENT}|{errno.EACCES})\n|absent\n", done.stdout):
            wrong.append((function.name, done.stdout, done.stderr))
    log = read_log(str(tmp_path / "log"))
    assert log.processes > len(entry_points.functions()) / 2, "the library was loaded"
    assert {line.path for line in log.lines} >= {str(tmp_path / "hidden" / "file")}
    # a directory that is there is no reason to say no
    assert [one for one in wrong if not one[0].startswith("mkdir")] == []
