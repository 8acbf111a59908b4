"""Compilers and MPI of this machine, with what they use; and a compiler that no package knows."""

import os
import shutil
import subprocess

import pytest
from hosts import capture

from hashdist.hostscan.errors import HostNotFoundError
from hashdist.objects import manifest


def names(found):
    return {os.path.basename(os.fsdecode(entry.path)) for entry in manifest.decode(found.manifest)}


def identities(found):
    return {line.name: line.identity for line in found.packages}


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"no {program} here")


@needs("clang")
def test_clang():
    """clang brings its headers and runtime, the linker, and gcc's start files, which it uses."""
    found = capture("path:clang")
    assert {"bin/clang", "bin/clang++", "bin/ld", "bin/ar"} <= found.links.keys()
    assert "bin/gcc" not in found.links and "bin/cc" not in found.links
    assert {"crtbegin.o", "libgcc.a", "crt1.o", "stdio.h", "stddef.h"} <= names(found)
    assert found.spec.host.facts["glibc"]


@needs("gfortran")
def test_gfortran():
    """gfortran brings its compiler proper and its library."""
    found = capture("path:gfortran")
    assert {"bin/gfortran", "bin/as", "bin/ld"} <= found.links.keys()
    assert {"f951", "libgfortran.a", "crt1.o"} <= names(found)
    assert "cc1plus" not in names(found)


@needs("mpicc")
def test_mpi():
    """An MPI wrapper brings the compiler it stands for, its headers and libraries, and what starts programs."""
    found = capture("path:mpicc")
    assert {"bin/mpicc", "bin/mpirun", "bin/gcc", "bin/ld"} <= found.links.keys()
    assert {"mpi.h", "cc1", "crt1.o"} <= names(found)
    assert any(name.startswith("libmpi.so") for name in names(found))


def test_a_compiler_that_no_package_knows(tmp_path):
    """Without a package manager the compiler is asked for all; the C library counts by its version all the same."""
    nowhere = {**os.environ, "DPKG_ADMINDIR": str(tmp_path / "none"), "HOME": str(tmp_path)}
    found = capture("path:gcc", env=nowhere)
    assert found.packages == ()
    assert found.spec.host.facts.keys() == {"glibc"}
    assert {"cc1", "crt1.o", "crtbegin.o", "libgcc.a", "stdio.h", "stddef.h", "libc.so.6"} <= names(found)
    decisive = found.spec.manifest.decode()
    assert "/cc1\n" in decisive and "/stddef.h\n" in decisive
    assert "/stdio.h\n" not in decisive and "/libc.so.6\n" not in decisive


def test_a_patched_compiler_is_another(tmp_path):
    """A compiler of one's own, relinked beside the old one, has an id of its own."""
    for version in ("a", "b"):
        folder = tmp_path / version
        folder.mkdir()
        (folder / "gcc").write_text(f'#!/bin/sh\n# patched: {version}\nexec /usr/bin/gcc "$@"\n')
        (folder / "gcc").chmod(0o755)
    one, two = (capture(f"path:{tmp_path}/{version}/gcc") for version in ("a", "b"))
    assert one.version == two.version
    assert one.spec.id != two.spec.id


def test_a_loader_that_finds_nothing(tmp_path):
    """A program whose library is gone is refused with the library's name, and so is a script without interpreter."""
    (tmp_path / "lib.c").write_text("int f(void) { return 1; }\n")
    (tmp_path / "main.c").write_text("int f(void); int main(void) { return f(); }\n")
    library = tmp_path / "libgone.so.5"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-Wl,-soname,libgone.so.5", "-o", library, tmp_path / "lib.c"], check=True
    )
    program = tmp_path / "program"
    subprocess.run(["gcc", "-o", program, tmp_path / "main.c", library, f"-Wl,-rpath,{tmp_path}"], check=True)
    found = capture(f"path:{program}")
    assert "libgone.so.5" in names(found) and "libc.so.6" in names(found)
    assert b"libgone.so.5" in found.spec.manifest, "what no package knows counts by its content"
    library.unlink()
    with pytest.raises(HostNotFoundError, match=r"will not run: libgone\.so\.5 is gone"):
        capture(f"path:{program}")
    script = tmp_path / "script"
    script.write_text("#!/nowhere/interpreter\n")
    script.chmod(0o755)
    with pytest.raises(HostNotFoundError, match="its interpreter /nowhere/interpreter is gone"):
        capture(f"path:{script}")


def test_interpreters(tmp_path):
    """A script brings its interpreter, also one that env finds on the PATH."""
    script = tmp_path / "script"
    script.write_text("#!/usr/bin/env perl\nprint 'script 1.0';\n")
    script.chmod(0o755)
    assert "perl" in names(capture(f"path:{script}"))
