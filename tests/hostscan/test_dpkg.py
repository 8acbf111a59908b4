"""Packages of Debian: databases and packages made by dpkg itself, and the machine's own."""

import json
import os
import subprocess
import sys

import pytest
from hosts import capture, lay_out, needed

from hashdist.hostscan.errors import HostChangingError, HostNotFoundError
from hashdist.hostscan.hashing import Hasher
from hashdist.hostscan.live import LiveHost
from hashdist.objects import manifest


def lines(found):
    """The manifest by path."""
    return {os.fsdecode(entry.path): entry for entry in manifest.decode(found.manifest)}


def test_a_package_and_what_it_needs(debian):
    """Its own files are linked and identify it; what it depends on is recorded, and counts by version."""
    debian.install("libdep", "2.0-1", {"usr/lib/libdep.data": "dep"})
    debian.install(
        "tool",
        "1:1.5-3",
        {
            "usr/bin/tool": "#!/bin/true\n",
            "usr/include/x86_64-linux-gnu/tool.h": "int x;",
            "usr/lib/x86_64-linux-gnu/libtool.so": ("->", "libtool.so.1"),
            "usr/lib/x86_64-linux-gnu/libtool.so.1": "not a library",
            "usr/share/doc/tool/README": "read me",
            "etc/tool.conf": "set",
        },
        Depends="libdep (>= 1) | other",
    )
    found = debian.capture("dpkg:tool")
    assert found.links.keys() == {"bin/tool", "include/tool.h", "lib/libtool.so", "lib/libtool.so.1"}
    assert found.spec.version == "1.5"
    assert found.spec.host.identity == "content"
    assert needed(found) == {"libdep": "2.0-1"}
    known = lines(found)
    root = str(debian.root)
    assert known["lib/libtool.so"].sha256 == known["lib/libtool.so.1"].sha256
    assert known[f"{root}/usr/lib/x86_64-linux-gnu/libtool.so"].target == b"libtool.so.1", "each hop is recorded"
    assert known[f"{root}/usr/lib/libdep.data"].sha256
    assert known[f"{root}/etc/tool.conf"].sha256, "recorded"
    decisive = found.spec.manifest.decode()
    assert "tool.conf" not in decisive and "README" not in decisive and "libdep" not in decisive
    assert {(line.name, line.identity) for line in found.packages} == {("tool", "content"), ("libdep", "version")}


def test_versions_of_what_it_needs_count(debian):
    """Another version of a dependency is another id, even with equal bytes; a rebuilt one of the same version is not."""
    debian.install("dep", "1-1", {"usr/share/dep": "a"})
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n"}, Depends="dep")
    first = debian.capture("dpkg:tool").spec.id
    (debian.root / "usr/share/dep").write_text("patched by hand")
    changed = debian.capture("dpkg:tool")
    assert changed.spec.id == first
    debian.install("dep", "1-2", {"usr/share/dep": "a"})
    assert debian.capture("dpkg:tool").spec.id != first


def test_content_of_what_is_named_counts(debian):
    """A byte of the package itself, its version left alone, is another id; the same bytes are the same."""
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n", "usr/share/tool/data": "1"})
    first = debian.capture("dpkg:tool").spec.id
    data = debian.root / "usr/share/tool/data"
    data.write_text("2")
    assert debian.capture("dpkg:tool").spec.id != first
    assert (
        debian.capture("dpkg:tool", identity="version").spec.id
        == debian.capture("dpkg:tool", identity="version").spec.id
    )
    data.write_text("1")
    assert debian.capture("dpkg:tool").spec.id == first


def test_identities(debian):
    """By version only its own version counts; the C library and its like count by ABI, and shield what they need."""
    debian.install("conf", "1-1", {"usr/share/conf": "x"})
    debian.install("libc6", "2.36-9+deb12u1", {"usr/lib/libc.data": "x"}, Depends="conf", Source="glibc")
    debian.install("tool", "1-1", {"usr/share/tool": "x"}, Depends="libc6")
    first = debian.capture("dpkg:tool")
    assert first.spec.host.facts == {"glibc": "2.36"}
    debian.install("conf", "2-1", {"usr/share/conf": "y"})
    debian.install("libc6", "2.36-9+deb12u2", {"usr/lib/libc.data": "y"}, Depends="conf", Source="glibc")
    second = debian.capture("dpkg:tool")
    assert second.spec.id == first.spec.id, "an errata of the C library does not rebuild the world"
    assert second.manifest != first.manifest, "and is seen all the same"
    debian.install("libc6", "2.37-1", {"usr/lib/libc.data": "z"}, Source="glibc")
    assert debian.capture("dpkg:tool").spec.id != first.spec.id
    assert debian.capture("dpkg:libc6").spec.host.identity == "abi"
    assert debian.capture("dpkg:tool", identity="version").spec.host.facts == {"tool": "1-1", "version": "1-1"}


def test_parts_of_one_source(debian):
    """A package is often split: what it depends on of the same source belongs to it."""
    debian.install("tool-data", "1-1", {"usr/share/tool/data": "x"}, Source="tool")
    debian.install("other", "1-1", {"usr/share/other": "x"})
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n"}, Depends="tool-data, other", Source="tool (1-1)")
    found = debian.capture("dpkg:tool")
    assert found.links.keys() == {"bin/tool", "share/tool/data"}
    assert needed(found) == {"other": "1-1"}


def test_links_to_directories_do_not_open_them(debian):
    """A link to a directory becomes a directory with links to the package's own files there."""
    debian.install(
        "tool",
        "1-1",
        {"usr/share/tool-1/own": "x", "usr/share/tool": ("->", "tool-1"), "usr/share/all": ("->", ".")},
    )
    (debian.root / "usr/share/tool-1/stranger").write_text("x")
    (debian.root / "usr/share/secret").write_text("x")
    found = debian.capture("dpkg:tool")
    assert found.links.keys() == {"share/tool-1/own", "share/tool/own", "share/all/tool-1/own"}


def test_virtual_packages_and_diversions(debian):
    """A virtual package is whoever provides it; a diverted file is where its diversion says."""
    debian.install("mta", "1-1", {"usr/bin/mta": "#!/bin/true\n"}, Provides="mail-agent (= 1)")
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n"}, Depends="nothing | mail-agent")
    assert "mta" in debian.capture("dpkg:tool").spec.host.facts
    run_divert = ["dpkg-divert", f"--root={debian.root}", "--package", "other", "--rename", "--add", "/usr/bin/tool"]
    subprocess.run(run_divert, check=True, capture_output=True)
    assert debian.capture("dpkg:tool").links == {"bin/tool.distrib": f"{debian.root}/usr/bin/tool.distrib"}


def test_usrmerge(debian):
    """Packages that say /bin and /lib have their files below /usr, once."""
    (debian.root / "usr/bin").mkdir(parents=True)
    (debian.root / "bin").symlink_to("usr/bin")
    debian.install("tool", "1-1", {"bin/tool": "#!/bin/true\n"})
    found = debian.capture("dpkg:tool")
    assert found.links == {"bin/tool": f"{debian.root}/usr/bin/tool"}
    by_path = debian.capture(f"path:{debian.root}/bin/tool")
    assert by_path.links == found.links
    assert [line.name for line in by_path.packages] == ["tool"], "its owner is found by the other name"


def test_bad_databases(debian, tmp_path):
    """Unknown packages, files that are gone, half installed packages, and no or empty databases: one line each."""
    with pytest.raises(HostNotFoundError, match="no package 'nope' is installed"):
        debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n", "usr/share/doc/tool/x": "x"})
        debian.capture("dpkg:nope")
    (debian.root / "usr/share/doc/tool/x").unlink()
    debian.capture("dpkg:tool")  # documentation may be left out on small systems
    (debian.root / "usr/bin/tool").unlink()
    with pytest.raises(HostNotFoundError, match="/usr/bin/tool' of package 'tool' is gone"):
        debian.capture("dpkg:tool")
    debian.install("needy", "1-1", {"usr/bin/needy": "#!/bin/true\n"}, Depends="absent (>= 2)")
    with pytest.raises(HostNotFoundError, match=r"'needy' is unpacked|needs 'absent \(>= 2\)'"):
        debian.capture("dpkg:needy")
    status = debian.root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("install ok installed", "install ok half-configured"))
    with pytest.raises(HostNotFoundError, match="'tool' is half-configured, not installed|is empty"):
        debian.capture("dpkg:tool")
    status.write_text("")
    with pytest.raises(HostNotFoundError, match="is empty"):
        debian.capture("dpkg:tool")
    with pytest.raises(HostNotFoundError, match="no database of dpkg"):
        capture("dpkg:tool", env={**os.environ, "DPKG_ADMINDIR": str(tmp_path / "nowhere")})


def test_a_locked_database(debian):
    """While dpkg works, or after it was interrupted, nothing is captured, and the holder is named."""
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n"})
    script = (
        "import fcntl, sys, time\n"
        f"f = open({str(debian.root / 'var/lib/dpkg/lock')!r}, 'w')\n"
        "fcntl.lockf(f, fcntl.LOCK_EX)\nprint('locked', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(HostChangingError, match=f"being installed .*{holder.pid}"):
            LiveHost(debian.env, patience=0.3).dpkg.find("tool")
        holder.kill()
    debian.capture("dpkg:tool")
    (debian.root / "var/lib/dpkg/updates/0001").write_text("Package: tool\n")
    with pytest.raises(HostChangingError, match="interrupted"):
        debian.capture("dpkg:tool")


def test_alternatives():
    """cc belongs to gcc although no package owns it: the alternatives system leads there, and each hop is recorded."""
    found = capture("dpkg:gcc")
    assert found.links["bin/cc"] == "/usr/bin/cc"
    known = lines(found)
    assert known["/usr/bin/cc"].target == b"/etc/alternatives/cc"
    assert known["/etc/alternatives/cc"].target == b"/usr/bin/gcc"
    assert "bin/g++" not in found.links, "g++ was not asked for"


def test_zlib_for_builds():
    """A development package is what a build needs: headers, libraries, pkg-config's file; and by content."""
    found = capture("dpkg:zlib1g-dev")
    assert {"include/zlib.h", "include/zconf.h", "lib/libz.so", "lib/libz.a", "lib/pkgconfig/zlib.pc"} <= set(
        found.links
    )
    assert not any(path.startswith(("share/doc", "usr")) for path in found.links)
    assert found.spec.host.facts.keys() == {"glibc", "linux"}
    assert json.loads(json.dumps(found.spec.to_json()))["host"]["finder"] == "dpkg"


def test_an_upgrade_meanwhile(debian, monkeypatch):
    """What is upgraded while it is captured is not captured; what happens to other packages does not matter."""
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n"})
    measure = Hasher.measure

    def install_and_measure(name):
        def meanwhile(self, *arguments, **more):
            debian.install(name, "1-2", {f"usr/share/{name}/data": "x"})
            return measure(self, *arguments, **more)

        return meanwhile

    monkeypatch.setattr(Hasher, "measure", install_and_measure("other"))
    assert debian.capture("dpkg:tool").version == "1-1"
    monkeypatch.setattr(Hasher, "measure", install_and_measure("tool"))
    with pytest.raises((HostChangingError, HostNotFoundError), match="while the host was scanned|cannot be read"):
        debian.capture("dpkg:tool")


def test_a_file_that_changes_while_it_is_read(debian, monkeypatch):
    """Bytes that may be half old and half new are not captured."""
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n"})

    def change(path):
        if path.startswith(str(debian.root)):
            with open(path, "a") as file:
                file.write("#")
        return "0" * 64

    monkeypatch.setattr("hashdist.hostscan.hashing.file_sha256", change)
    with pytest.raises(HostChangingError, match="changed while it was read"):
        debian.capture("dpkg:tool")


def test_the_users_path_does_not_matter(debian, tmp_path):
    """What scripts of a package look for is the system's: another PATH of the user is not another package."""
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/usr/bin/env perl\n"})
    lay_out(tmp_path / "mine", dict.fromkeys(("perl", "as", "ld", "nm", "python3"), "#!/bin/true\n"))
    first, gcc = debian.capture("dpkg:tool"), capture("dpkg:gcc")
    path = f"{tmp_path}/mine:{os.environ['PATH']}"
    debian.env["PATH"] = path
    assert debian.capture("dpkg:tool").manifest == first.manifest
    assert capture("dpkg:gcc", env={**os.environ, "PATH": path}).spec.id == gcc.spec.id


def test_states_that_are_installed(debian):
    """A package whose triggers are pending, or that is to be removed one day, is installed."""
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n"})
    status = debian.root / "var/lib/dpkg/status"
    text = status.read_text()
    for state in ("install ok triggers-pending", "deinstall ok installed", "hold ok triggers-awaited"):
        status.write_text(text.replace("install ok installed", state))
        assert debian.capture("dpkg:tool").version == "1-1"


def test_closed_directories(debian, monkeypatch):
    """What lies in a directory that is closed to us is left out, and is not said to be gone."""
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n", "usr/share/closed/rule": "x"})
    lstat = os.lstat

    def refuse(path, **more):
        if "/closed/" in os.fspath(path):
            raise PermissionError(13, "Permission denied", path)
        return lstat(path, **more)

    monkeypatch.setattr("hashdist.hostscan.trees.os.lstat", refuse)
    assert debian.capture("dpkg:tool").links.keys() == {"bin/tool"}
