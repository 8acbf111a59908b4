"""Host software, captured by hash, with the real tools of this machine."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from hashdist.hostscan.capture import HostNotFoundError
from hashdist.hostscan.finding import scan
from hashdist.hostscan.platform import host_class, native_cpu, this_platform
from hashdist.hostscan.recording import realise, record_scan
from hashdist.objects import manifest
from hashdist.stack.packages import HostEntry

PLATFORM = this_platform()


def capture(*find, identity=None, env=None):
    return scan(HostEntry("x", find, identity), env=env or dict(os.environ), platform=PLATFORM)


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
    commit = record_scan(store, found)
    assert record_scan(store, found) == commit
    assert git("log", "--format=%s", f"refs/hosts/{host_class()}/x") == f"x {found.version}"
    path = realise(store, found)
    assert os.readlink(os.path.join(path, "bin/tool")) == str(tool)
    assert found.spec.artifact in store.artifacts
    assert os.stat(path).st_mode & 0o222 == 0
    os.rename(tool.parent, tmp_path / "elsewhere")
    moved = capture(f"path:{tmp_path}/elsewhere/tool", identity="version")
    assert json.loads(json.dumps(moved.spec.host.facts)).keys() == {"version"}


def test_platform():
    """The platform and the CPU level have names."""
    assert this_platform().os == "linux"
    assert native_cpu()
    assert host_class().endswith(os.uname().machine)
