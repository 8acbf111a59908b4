"""The library with other C libraries than this machine's: compiled for each, every function does what it should."""

from __future__ import annotations

import errno
import glob
import os
import pathlib
import re
import subprocess

import entry_points
import pytest

from hashdist.preload.library import LIBRARY
from hashdist.preload.log import create_log, read_log
from hashdist.preload.rules import Rules

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="asks for packages of x86-64")
FLAGS = "-std=gnu11 -O2 -fPIC -shared -fvisibility=hidden -w".split()


def linked(root: str) -> tuple[str, str, list[str]]:
    """The loader of another system, the directory of its libraries, and what a program is linked with."""
    (loader,) = glob.glob(f"{root}/**/x86_64-linux-gnu/ld-linux-x86-64.so.2", recursive=True)
    folder = os.path.dirname(loader)
    return (
        loader,
        folder,
        [f"{folder}/libc.so.6", f"{folder}/libdl.so.2", f"{root}/usr/lib/x86_64-linux-gnu/libc_nonshared.a"],
    )


@pytest.mark.parametrize(("suite", "version"), [("bullseye", "2.31"), ("trixie", "2.41")])
def test_another_glibc(suite, version, release, tmp_path):
    """With glibc 2.31 (stat is __xstat, dlsym is in libdl) and 2.41 each function hides what is undeclared."""
    root = release(suite, "libc6", "libc6-dev", "linux-libc-dev")
    loader, folder, libraries = linked(root)
    parts = f"{root}/usr/lib/x86_64-linux-gnu"
    own, probe = str(tmp_path / "own.so"), str(tmp_path / "probe")
    compiler = ["gcc", "-nostdlib", f"--sysroot={root}"]
    subprocess.run([*compiler, *FLAGS, "-o", own, entry_points.SOURCE, *libraries], check=True)
    (tmp_path / "probe.c").write_text(entry_points.program())
    start = [f"{parts}/crt1.o", f"{parts}/crti.o", f"{probe}.c"]
    subprocess.run([*compiler, "-w", "-no-pie", "-o", probe, *start, *libraries, loader, f"{parts}/crtn.o"], check=True)
    assert f"stable release version {version}" in pathlib.Path(folder, "libc.so.6").read_bytes().decode(
        errors="replace"
    )
    # what is compiled here runs with a younger C library too: installations are shared between hosts
    for library in (own, LIBRARY) if version == "2.41" else (own,):
        assert failures(library, [loader, "--library-path", folder, probe], root, tmp_path, version) == []


def failures(library, command, root, tmp_path, version):
    """Which functions do not fail as they should."""
    (tmp_path / "hidden").mkdir(exist_ok=True)
    (tmp_path / "hidden" / "file").write_text("")
    for name in ("enforce", "log"):
        (tmp_path / name).unlink(missing_ok=True)
    rules = Rules()
    rules.allow_tree(root, "/lib", "/usr/lib")
    rules.allow_writing("/dev", "/proc")
    setting, log = f"HDIST_JAIL_RULES={tmp_path / 'enforce'}", str(tmp_path / "log")
    (tmp_path / "enforce").write_bytes(rules.encode(mode="enforce", library=library, setting=setting, log=log))
    create_log(log, launcher=0)
    env = {"LD_PRELOAD": library, "HDIST_JAIL_RULES": str(tmp_path / "enforce")}
    wrong, asked = [], 0
    for function in entry_points.functions():
        if function.paths[:1] != ["path"] or function.name.startswith("mkdir"):
            continue  # a directory that is there is no reason to say no
        if [*map(int, function.since.split("."))] > [*map(int, version.split("."))]:
            continue
        call = [function.name, str(tmp_path / "hidden" / "file"), str(tmp_path / "hidden" / "new-XXXXXX")]
        done = subprocess.run([*command, *call], env=env, capture_output=True, text=True)
        asked += 1
        if not re.fullmatch(f"failed ({errno.ENOENT}|{errno.EACCES})\n", done.stdout):
            wrong.append((function.name, done.stdout, done.stderr))
    assert read_log(log).processes == asked > 100
    return wrong
