"""Packages of rpm: a database and packages that rpm itself made."""

import os
import pathlib
import shutil
import sqlite3
import subprocess

import pytest
from hosts import capture, needed, run

from hashdist.hostscan.errors import HostNotFoundError
from hashdist.objects import manifest


def test_a_package_and_what_it_needs(rpms):
    """As with dpkg: own files linked, requirements by capability and by file, found and counted by version."""
    rpms.install("libdep", "2.0", {"lib64/dep.data": "dep"}, spec="Epoch: 3\nProvides: dep(api) = 2")
    rpms.install("shell", "1.0", {"bin/shell": "#!/bin/true\n"})
    needs = f"Requires: dep(api) >= 1\nRequires: {rpms.place}/bin/shell\nRequires: (libdep if nothing)"
    rpms.install(
        "tool",
        "1.5",
        {
            "bin/tool": "#!/bin/true\n",
            "lib64/libtool.so": ("->", "libtool.so.1"),
            "lib64/libtool.so.1": "not a library",
            "share/doc/tool/README": "read me",
        },
        spec=needs,
    )
    found = rpms.capture("rpm:tool")
    assert found.links.keys() == {"bin/tool", "lib/libtool.so", "lib/libtool.so.1"}
    assert found.spec.version == "1.5"
    assert needed(found) == {"libdep": "3:2.0-1", "shell": "1.0-1"}
    captured = {os.fsdecode(entry.path) for entry in manifest.decode(found.manifest)}
    assert f"{rpms.place}/lib64/dep.data" in captured
    by_path = rpms.capture(f"path:{rpms.place}/bin/tool")
    assert [line.name for line in by_path.packages] == ["libdep", "shell", "tool"]


def test_upgrades(rpms):
    """A new release of what is needed, or new bytes of what is named, are new ids; a C library's errata is not."""
    rpms.install("glibc", "2.34", {"lib64/libc.data": "1"})
    rpms.install("dep", "1.0", {"share/dep": "x"})
    rpms.install("tool", "1.0", {"bin/tool": "#!/bin/true\n"}, spec="Requires: dep\nRequires: glibc")
    first = rpms.capture("rpm:tool")
    assert first.spec.host.facts == {"dep": "1.0-1", "glibc": "2.34"}
    rpms.install("glibc", "2.34.1", {"lib64/libc.data": "2"})
    assert rpms.capture("rpm:tool").spec.id == first.spec.id
    rpms.install("dep", "1.1", {"share/dep": "x"})
    second = rpms.capture("rpm:tool").spec.id
    assert second != first.spec.id
    (rpms.place / "bin/tool").write_text("#!/bin/false\n")
    assert rpms.capture("rpm:tool").spec.id != second
    assert rpms.capture("rpm:glibc").spec.host.identity == "abi"


def test_bad_databases(rpms, tmp_path, monkeypatch):
    """Unknown packages, files that are gone, a missing, a damaged or a locked database: one line each."""
    with pytest.raises(HostNotFoundError, match="no package 'nope' is installed"):
        rpms.capture("rpm:nope")
    rpms.install("tool", "1.0", {"bin/tool": "#!/bin/true\n"})
    (rpms.place / "bin/tool").unlink()
    with pytest.raises(HostNotFoundError, match="bin/tool' of package 'tool' is gone"):
        rpms.capture("rpm:tool")
    with pytest.raises(HostNotFoundError, match="this host has no rpm"):
        capture("rpm:tool", env={**rpms.env, "PATH": str(tmp_path)})
    database = next((rpms.work / "db").glob("rpmdb.sqlite"), None)
    if database is None:
        pytest.skip("rpm keeps its database in another form here")
    with sqlite3.connect(database, isolation_level=None) as holder:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr("hashdist.hostscan.rpm._SECONDS", 2)
        with pytest.raises(HostNotFoundError, match="locked|cannot be read|no package 'tool'"):
            rpms.capture("rpm:tool")
    holder.close()
    database.write_bytes(b"this is no database" * 100)
    with pytest.raises(HostNotFoundError, match="cannot be read|no package"):
        rpms.capture("rpm:tool")
    shutil.rmtree(rpms.work / "db")
    with pytest.raises(HostNotFoundError, match="no database of rpm"):
        rpms.capture("rpm:tool")


def _files_of(*packages):
    """The plain files and links that packages of this Debian have, without documentation."""
    paths = [path for package in packages for path in run("dpkg", "-L", package).splitlines()]
    return sorted(
        {
            os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
            for path in paths
            if os.path.lexists(path) and not (os.path.isdir(path)) and "/share/" not in path
        }
    )


@pytest.mark.skipif(not shutil.which("dpkg"), reason="the packages are made of this Debian's files")
def test_the_toolchain_of_an_rpm_system(rpms):
    """gcc of a system whose files rpm owns: driver, linker, C library and headers, with the same defaults."""
    version = os.path.basename(os.path.dirname(run("gcc", "-print-libgcc-file-name").strip()))
    made = {
        "gcc": ["gcc", f"gcc-{version}", f"cpp-{version}", f"libgcc-{version}-dev"],
        "binutils": [
            "binutils",
            f"binutils-{os.uname().machine.replace('_', '-')}-linux-gnu",
            "binutils-common",
            "libbinutils",
        ],
        "glibc": ["libc6-dev", "libc6"],
        "kernel-headers": ["linux-libc-dev"],
        "gmp": ["libgmp10", "libmpfr6", "libmpc3", "libisl23", "zlib1g", "libzstd1"],
    }
    specs = {"gcc": "Requires: binutils\nRequires: glibc\nRequires: gmp", "glibc": "Requires: kernel-headers"}
    for name, packages in made.items():
        _register(rpms, name, _files_of(*packages), specs.get(name, ""))
    found = rpms.capture("rpm:gcc")
    assert {"bin/gcc", "bin/as", "bin/ld", "bin/ar"} <= found.links.keys()
    identities = {line.name: line.identity for line in found.packages}
    assert identities == {
        "gcc": "content",
        "binutils": "content",
        "glibc": "abi",
        "kernel-headers": "abi",
        "gmp": "version",
    }
    assert found.spec.host.facts == {"glibc": "12.0", "kernel-headers": "12.0", "gmp": "12.0-1"}
    captured = {os.path.basename(entry.path) for entry in manifest.decode(found.manifest)}
    assert {b"cc1", b"crt1.o", b"crtbegin.o", b"stdio.h", b"libc.so.6", b"stddef.h"} <= captured
    assert b"cc1" in found.spec.manifest and b"stdio.h" not in found.spec.manifest
    by_path = rpms.capture("path:gcc")
    assert {line.name for line in by_path.packages} >= {"gcc", "binutils", "glibc"}


def _register(rpms, name, paths, spec):
    """A package that owns files of this system, known to rpm's database only."""
    buildroot = rpms.work / "root"
    shutil.rmtree(buildroot, ignore_errors=True)
    for path in paths:
        place = pathlib.Path(f"{buildroot}{path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.islink(path):
            place.symlink_to(os.readlink(path))
        else:
            place.write_text("stands for the real one")  # the database lists paths; the system has the files
    listing = rpms.work / f"{name}.files"
    listing.write_text("".join(f'"{path}"\n' for path in paths))
    text = (
        f"Name: {name}\nVersion: 12.0\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no\n{spec}\n"
        f"%description\nx\n%install\nmkdir -p %{{buildroot}}\ncp -a {buildroot}/. %{{buildroot}}/\n%files -f {listing}\n"
    )
    place = rpms.work / f"{name}.spec"
    place.write_text(text)
    subprocess.run(["rpmbuild", "-bb", str(place)], env=rpms.env, check=True, capture_output=True)
    built = next((rpms.work / "build/RPMS").glob(f"*/{name}-12.0-1.*.rpm"))
    rpms.rpm("-U", "--force-debian", "--justdb", "--nodeps", str(built))
