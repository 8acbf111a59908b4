"""Host software, captured by hash, with the real tools of this machine."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from hosts import capture, lay_out

from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.host_class import host_class
from hashdist.hostscan.platform import native_cpu, this_platform
from hashdist.hostscan.recording import realise, record_scan
from hashdist.objects import manifest
from hashdist.objects.manifest import file_sha256
from hashdist.stack.packages import HostEntry


def test_gcc_brings_its_toolchain():
    """Asked of itself, gcc names cc1, as, ld, start files, libraries and headers of the C library."""
    found = capture("path:gcc")
    assert {"bin/gcc", "bin/cc", "bin/as", "bin/ld", "bin/ar"} <= set(found.links)
    captured = {entry.path.decode() for entry in manifest.decode(found.manifest)}
    for name in ("/cc1", "/crt1.o", "/crtbegin.o", "/libc.so", "/libgcc.a", "/stdio.h", "/sys/stat.h", "/stddef.h"):
        assert any(path.endswith(name) for path in captured), name
    assert found.spec.host.identity == "content"
    assert found.spec.manifest is not None
    assert "/libc.so.6" not in found.spec.manifest.decode(), "a fix of the C library does not rebuild the world"
    assert found.version == subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
    assert capture("path:gcc").spec.id == found.spec.id


def test_python_by_abi():
    """A Python in a virtual environment leads to the real one, identified by its ABI."""
    found = capture(f"path:{sys.executable}")
    assert found.spec.host.identity == "abi"
    assert found.spec.host.facts["abi"].startswith("cpython-")
    assert not found.links["bin/python3"].startswith(sys.prefix + "/")
    by_version = capture(f"path:{sys.executable}", identity="version")
    assert by_version.spec.id != found.spec.id


def test_base():
    """base@1 is the POSIX tools, by names and versions, and the same however the identity is spelled."""
    found = capture("base@1")
    assert {"bin/sh", "bin/make", "bin/sed", "bin/tar"} <= set(found.links)
    assert "bin/gcc" not in found.links
    assert found.spec.id == capture("base@1", identity="version").spec.id
    with pytest.raises(HostNotFoundError, match="knows base@1"):
        capture("base@2")


def test_content_of_a_program(tmp_path):
    """A program is identified by its bytes: another byte, another id; the same bytes, the same."""
    tool = tmp_path / "tool"
    ids = []
    for text in ("#!/bin/sh\necho 'tool 1.0'\n", "#!/bin/sh\necho 'tool 1.0' \n", "#!/bin/sh\necho 'tool 1.0'\n"):
        tool.write_text(text)
        tool.chmod(0o755)
        found = capture(f"path:{tool}")
        ids.append(found.spec.id)
        assert found.version == "1.0"
    assert ids[0] == ids[2] != ids[1]
    assert capture(f"path:{tool}", identity="version").spec.id == capture(f"path:{tool}", identity="version").spec.id


def test_first_that_fits(tmp_path):
    """Of several finders the first that fits is taken; if none does, each says why."""
    assert capture("path:no-such-tool", "path:make").links.keys() == {"bin/make"}
    with pytest.raises(HostNotFoundError, match="no-such-tool.*/nowhere/x"):
        capture("path:no-such-tool", "path:/nowhere/x")
    (tmp_path / "plain").write_text("x")
    with pytest.raises(HostNotFoundError, match="not a program"):
        capture(f"path:{tmp_path}/plain")


def test_broken_tools(tmp_path):
    """A compiler or Python that does not work is refused, never half captured."""
    for name in ("gcc", "python3"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
        with pytest.raises(HostNotFoundError, match="works"):
            capture(f"path:{tmp_path}/{name}")


def test_records_and_links(store, git, tmp_path):
    """A scan is a commit once, and the capture an artifact of links, made again when they lead nowhere."""
    tool = tmp_path / "bin/tool"
    tool.parent.mkdir()
    shutil.copy("/bin/sh", tool)
    found = capture(f"path:{tool}")
    entry = HostEntry("x", (f"path:{tool}",))
    commit = record_scan(store, found, entry)
    assert record_scan(store, found, entry) == commit
    assert git("log", "--format=%s", f"refs/hosts/{host_class()}/x") == f"x {found.version}"
    path = realise(store, found)
    assert os.readlink(os.path.join(path, "bin/tool")) == str(tool)
    assert found.spec.artifact in store.artifacts
    assert os.stat(path).st_mode & 0o222 == 0
    os.rename(tool.parent, tmp_path / "elsewhere")
    moved = capture(f"path:{tmp_path}/elsewhere/tool", identity="version")
    assert json.loads(json.dumps(moved.spec.host.facts)).keys() == {"version"}


def test_the_same_software_with_other_files(store, debian, git):
    """What is the same by its version may have other files: its record is written anew, as jails are made of it."""
    for files in ({"usr/bin/tool": "#!/bin/true\n"}, {"usr/bin/tool": "#!/bin/true\n", "usr/share/tool/new": "x"}):
        debian.install("tool", "1.0-1", files)
        found = debian.capture("dpkg:tool", identity="version")
        realise(store, found)
        realise(store, found)
        assert store.artifacts.record(found.spec.id).manifest == found.manifest
    assert b"share/tool/new" in found.manifest
    assert git("rev-list", "--count", f"refs/artifacts/{found.spec.id}") == "2"


def test_platform():
    """The platform and the CPU level have names."""
    assert this_platform().os == "linux"
    assert native_cpu()
    assert host_class().endswith(os.uname().machine)


def test_a_directory(tmp_path):
    """A directory is taken as a whole, as it is laid out; its version is what its name ends with."""
    lay_out(
        tmp_path / "soft-2.1",
        {
            "bin/a": "#!/bin/true\n",
            "lib64/b": "b",
            "lib": ("->", "lib64"),
            "c": ("->", "lib64/b"),
            "__pycache__/x.pyc": "",
        },
    )
    found = capture(f"path:{tmp_path}/soft-2.1")
    assert found.links.keys() == {"bin/a", "lib64/b", "lib/b", "c"}
    assert (found.version, found.spec.version) == ("2.1", "2.1")
    (tmp_path / "soft-2.1/lib64/b").write_text("other")
    assert capture(f"path:{tmp_path}/soft-2.1").spec.id != found.spec.id
    for shared in ("/usr", "/", "/usr/lib", "/usr/include/"):
        with pytest.raises(HostNotFoundError, match="what many packages brought"):
            capture(f"path:{shared}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(HostNotFoundError, match="nothing in"):
        capture(f"path:{tmp_path}/empty")


def test_a_library():
    """A shared library is found by name or path, brings what it needs, and has its soname for an ABI."""
    found = capture("path:libz.so.1")
    assert found.links.keys() == {"lib/libz.so.1"}
    assert re.fullmatch(r"1\.\d+(\.\d+)?", found.version)
    assert capture(f"path:{found.links['lib/libz.so.1']}").spec.id == found.spec.id
    assert capture("path:libz.so.1", identity="abi").spec.host.facts == {"sonames": "libz.so.1"}


def test_links_that_lead_nowhere(tmp_path):
    """Dangling links and circles are refused with the name of what is wrong, in directories too."""
    (tmp_path / "soft").mkdir()
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(HostNotFoundError, match="leads to '.*nowhere', which is gone"):
        capture(f"path:{tmp_path}/gone")
    with pytest.raises(HostNotFoundError, match="in circles"):
        capture(f"path:{tmp_path}/one")
    for name in ("gone", "one"):
        (tmp_path / "soft/link").unlink(missing_ok=True)
        (tmp_path / "soft/link").symlink_to(f"../{name}")
        with pytest.raises(HostNotFoundError, match="is gone|in circles"):
            capture(f"path:{tmp_path}/soft")


def test_unreadable_files(tmp_path, monkeypatch, debian):
    """What was named must be readable; of what is merely needed it is recorded that it is not."""
    debian.install("helper", "1-1", {"usr/lib/helper": "secret", "usr/lib/other": "x"})
    debian.install("tool", "1-1", {"usr/bin/tool": "#!/bin/true\n"}, Depends="helper")
    secret = f"{debian.root}/usr/lib/helper"

    def refuse(path):
        if path == secret:
            raise PermissionError(13, "Permission denied", path)
        return file_sha256(path)

    monkeypatch.setattr("hashdist.hostscan.hashing.file_sha256", refuse)
    entries = {os.fsdecode(one.path): one for one in manifest.decode(debian.capture("dpkg:tool").manifest)}
    assert entries[secret].sha256 is None and entries[secret].size == 6
    with pytest.raises(HostNotFoundError, match="helper' cannot be read: Permission denied"):
        debian.capture("dpkg:helper")


def test_what_programs_say(tmp_path):
    """A program that prints without end, or leaves somebody behind who holds its output, is asked for its version."""
    lay_out(
        tmp_path, {"endless": "#!/bin/sh\nexec yes 'endless 1.0'\n", "child": "#!/bin/sh\nsleep 60 &\necho child 2.0\n"}
    )
    assert capture(f"path:{tmp_path}/endless").version == "1.0"
    assert capture(f"path:{tmp_path}/child").version == "2.0"


def test_no_program_at_all(tmp_path):
    """What the kernel will not run does not fit, and the next finder is tried."""
    (tmp_path / "junk").write_bytes(b"\x00junk")
    (tmp_path / "junk").chmod(0o755)
    with pytest.raises(HostNotFoundError, match="junk' cannot be executed"):
        capture(f"path:{tmp_path}/junk")
    assert capture(f"path:{tmp_path}/junk", "path:make").links.keys() == {"bin/make"}


def test_links_to_directories_elsewhere(tmp_path):
    """A directory with a link to one of others is refused: the link would open all of that."""
    lay_out(tmp_path / "soft", {"bin/a": "#!/bin/true\n", "inc": ("->", "/usr/include")})
    with pytest.raises(HostNotFoundError, match="a directory of others"):
        capture(f"path:{tmp_path}/soft")


def test_without_a_package_manager(tmp_path):
    """Where no package knows a program, its own libraries count by content, and the C library by its version."""
    (tmp_path / "lib.c").write_text("int f(void) { return 0; }\n")
    (tmp_path / "main.c").write_text("int f(void); int main(void) { return f(); }\n")
    library = tmp_path / "libown.so.1"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-Wl,-soname,libown.so.1", "-o", library, tmp_path / "lib.c"], check=True
    )
    words = ["gcc", "-o", tmp_path / "program", tmp_path / "main.c", library, f"-Wl,-rpath,{tmp_path}"]
    subprocess.run(words, check=True)
    found = capture(
        f"path:{tmp_path}/program", env={**os.environ, "DPKG_ADMINDIR": str(tmp_path), "HOME": str(tmp_path)}
    )
    assert re.fullmatch(r"2\.\d+", found.spec.host.facts["glibc"])
    decisive = found.spec.manifest.decode()
    assert "libown.so.1" in decisive and "/libc.so.6" not in decisive
    assert b"/libc.so.6" in found.manifest
