"""Whether a host is still what it was: the short form, contents when in doubt, and what a change means."""

import os
import pathlib
import time

import pytest
from hosts import lay_out

from hashdist.hostscan import hashing, seen
from hashdist.hostscan.drift import Expected, drifts, find_drifts
from hashdist.hostscan.finding import scan
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.memory import load_memory, save_memory
from hashdist.hostscan.recording import record_scan
from hashdist.hostscan.scans import read_scan
from hashdist.stack.packages import HostEntry
from hashdist.store import index

MACHINE = "node1"


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Files count as settled at once, so that tests need not wait for three seconds."""
    monkeypatch.setattr(hashing, "_LOCAL_NS", 0)


@pytest.fixture
def known(store, debian):
    """Scan a finder, record that, and give what a check expects."""

    def make(find, identity=None):
        entry = HostEntry("x", (find,), identity)
        found = scan(entry, LiveHost(debian.env))
        recorded = read_scan(store.objects, record_scan(store, found, entry))
        return Expected(entry, recorded.spec, recorded.version, recorded)

    return make


def look(store, debian, expected):
    host = LiveHost(debian.env, memory=load_memory(store, MACHINE))
    found = find_drifts(store, [expected], host)
    save_memory(store, MACHINE, host.memory)
    return found


def quick(store, debian, expected):
    return drifts(store, [expected], LiveHost(debian.env, memory=load_memory(store, MACHINE)), machine=MACHINE)


def tool(debian, version="1-1", text="#!/bin/true\n", **fields):
    debian.install("tool", version, {"usr/bin/tool": text, "usr/share/tool/data": "x"}, **fields)


def test_nothing_changed(store, debian, known, monkeypatch):
    """After one look the short form answers: nothing is hashed, no manifest is read; a touched file is hashed again."""
    tool(debian)
    expected = known("dpkg:tool")
    assert quick(store, debian, expected) == []

    def refuse(*arguments, **more):
        raise AssertionError("looked at more than states")

    with monkeypatch.context() as patch:
        patch.setattr("hashdist.hostscan.drift.find_drifts", refuse)
        assert quick(store, debian, expected) == []
        os.utime(debian.root / "usr/share/tool/data")
        with pytest.raises(AssertionError, match="more than states"):
            quick(store, debian, expected)
    assert quick(store, debian, expected) == [], "in doubt the content decides"


@pytest.mark.parametrize("change", ["write", "replace", "link", "unlink"])
def test_every_change_is_seen(store, debian, known, change):
    """Whatever happens to a file, size and times kept if need be, the short form does not answer any more."""
    tool(debian)
    expected = known("dpkg:tool")
    assert quick(store, debian, expected) == []
    path = debian.root / "usr/share/tool/data"
    status = path.stat()
    time.sleep(0.02)
    if change == "write":
        path.write_text("y")
    elif change == "replace":
        path.with_name("new").write_text("y")
        os.replace(path.with_name("new"), path)
    else:
        path.unlink()
    if change == "link":
        path.symlink_to("../../bin/tool")
    if change in {"write", "replace"}:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    found = quick(store, debian, expected) if change != "unlink" else look(store, debian, expected)
    if change == "unlink":
        assert [drift.kind for drift in found] == ["gone"]
        assert "is gone" in found[0].reason
    else:
        assert [drift.kind for drift in found] == ["differs"]


def test_kinds_of_change(store, debian, known):
    """An errata of what counts by ABI is told from a change that makes a rebuild differ, with packages and files."""
    debian.install("libc6", "2.36-1", {"usr/lib/libc.data": "1"}, Source="glibc")
    tool(debian, Depends="libc6")
    expected = known("dpkg:tool")
    debian.install("libc6", "2.36-2", {"usr/lib/libc.data": "2"}, Source="glibc")
    (drift,) = look(store, debian, expected)
    assert drift.kind == "same" and drift.found == expected.spec
    assert [(one.name, one.old, one.new) for one in drift.packages] == [("libc6", "2.36-1", "2.36-2")]
    assert [(os.path.basename(one.path), one.kind) for one in drift.files] == [("libc.data", "changed")]
    tool(debian, "1-2", "#!/bin/false\n", Depends="libc6")
    (drift,) = look(store, debian, expected)
    assert drift.kind == "differs" and (drift.old_version, drift.new_version) == ("1-1", "1-2")
    debian.dpkg("--remove", "tool")
    (drift,) = look(store, debian, expected)
    assert drift.kind == "gone" and "no package 'tool'" in drift.reason and drift.found is None


def test_only_a_version_changed(store, debian, known):
    """A package of another version with the very same files is noticed."""
    debian.install("dep", "1-1", {"usr/share/dep": "x"})
    tool(debian, Depends="dep")
    expected = known("dpkg:tool")
    assert quick(store, debian, expected) == []
    debian.install("dep", "1-2", {"usr/share/dep": "x"})
    (drift,) = quick(store, debian, expected)
    assert drift.kind == "differs" and [one.name for one in drift.packages] == ["dep"]


def test_directories(store, debian, known, tmp_path):
    """A file that appears in a directory that was captured as a whole is noticed."""
    lay_out(tmp_path / "soft", {"bin/a": "#!/bin/true\n", "lib/b": "b"})
    expected = known(f"path:{tmp_path}/soft")
    assert quick(store, debian, expected) == []
    assert quick(store, debian, expected) == []
    lay_out(tmp_path / "soft", {"lib/c": "c"})
    (drift,) = quick(store, debian, expected)
    assert drift.kind == "differs"


def test_a_command_elsewhere(store, debian, known, tmp_path):
    """A command that is found by name is another one when one of that name comes first on the PATH."""
    for folder in ("one", "two"):
        lay_out(tmp_path / folder, {"tool": f"#!/bin/sh\necho {folder} 1.0\n"})
    debian.env["PATH"] = f"{tmp_path}/one:{debian.env['PATH']}"
    expected = known("path:tool")
    assert quick(store, debian, expected) == []
    debian.env["PATH"] = f"{tmp_path}/two:{debian.env['PATH']}"
    (drift,) = quick(store, debian, expected)
    assert drift.kind == "differs"


def test_young_files_are_not_trusted(store, debian, known, monkeypatch):
    """What changed in the last moments could change again unseen: neither hashes nor short forms of it are kept."""
    monkeypatch.setattr(hashing, "_LOCAL_NS", 3_000_000_000)
    tool(debian)
    before = sorted(os.listdir(store.inside("index", "hosts")))
    expected = known("dpkg:tool")
    assert quick(store, debian, expected) == []
    host = LiveHost(debian.env, memory=load_memory(store, MACHINE))
    assert not host.memory.digests
    assert sorted(os.listdir(store.inside("index", "hosts"))) == before


def test_damaged_memory(store, debian, known):
    """A short form or hashes that were cut short or overwritten are ignored."""
    tool(debian)
    expected = known("dpkg:tool")
    quick(store, debian, expected)
    look(store, debian, expected)
    folder = store.inside("index", "hosts")
    for name in os.listdir(folder):
        data = pathlib.Path(folder, name).read_bytes()
        for bad in (b"", data[: len(data) // 2], data[:-1] + bytes([data[-1] ^ 1]), b"\0" * len(data)):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(bad)
            assert load_memory(store, MACHINE).digests == {} or "hashes" not in name
            assert quick(store, debian, expected) == []


def test_machines_and_owners(store, debian, known, monkeypatch, tmp_path):
    """What is remembered of one machine says nothing of another, and nothing is kept in somebody else's store."""
    tool(debian)
    expected = known("dpkg:tool")
    quick(store, debian, expected)
    key = next(
        name for name in os.listdir(store.inside("index", "hosts")) if name.startswith(f"{MACHINE}~seen")
    ).partition("~")[2]
    assert seen.look(store, MACHINE, key) == 1
    assert seen.look(store, "node2", key) is None
    paths = [str(debian.root)]
    monkeypatch.setattr(index, "_is_ours", lambda _: False)
    seen.save_seen(store, "node2", key, paths, entries=1, since=time.time_ns())
    assert seen.look(store, "node2", key) is None
    store.cache = str(tmp_path / "cache")
    seen.save_seen(store, "node2", key, paths, entries=1, since=time.time_ns())
    assert seen.look(store, "node2", key) == 1
    monkeypatch.undo()
    assert seen.look(store, "node2", key) is None, "it is in the cache of whoever looked"


def test_behind_a_link(store, debian, known, tmp_path):
    """A file that is reached by a link is watched itself."""
    lay_out(tmp_path, {"real/tool": "#!/bin/true\n", "bin/tool": ("->", "../real/tool")})
    debian.install("any", "1-1", {})
    expected = known(f"path:{tmp_path}/bin/tool")
    assert quick(store, debian, expected) == []
    (tmp_path / "real/tool").write_text("#!/bin/false\n")
    assert [drift.kind for drift in quick(store, debian, expected)] == ["differs"]


def test_a_program_that_may_not_be_run_any_more(store, debian, known):
    """Without its x bit a program will not run, whatever its bytes are."""
    tool(debian)
    expected = known("dpkg:tool")
    assert quick(store, debian, expected) == []
    (debian.root / "usr/bin/tool").chmod(0o644)
    (drift,) = quick(store, debian, expected)
    assert drift.kind == "gone" and "may not be run" in drift.reason


def test_an_earlier_alternative_appears(store, debian, tmp_path):
    """A list of finders means the first that fits: when one before it does, a rebuild would differ."""
    debian.install("any", "1-1", {})
    lay_out(tmp_path, {"b/tool": "#!/bin/true\n"})
    entry = HostEntry("x", (f"path:{tmp_path}/a/tool", f"path:{tmp_path}/b/tool"))
    found = scan(entry, LiveHost(debian.env))
    recorded = read_scan(store.objects, record_scan(store, found, entry))
    expected = Expected(entry, recorded.spec, recorded.version, recorded)
    assert quick(store, debian, expected) == []
    assert quick(store, debian, expected) == []
    lay_out(tmp_path, {"a/tool": "#!/bin/false\n"})
    assert [drift.kind for drift in quick(store, debian, expected)] == ["differs"]


def test_a_change_after_the_look(store, debian, known, monkeypatch):
    """What changes after it was compared, and before how it looks is remembered, is not remembered as it should be."""
    tool(debian)
    expected = known("dpkg:tool")

    def look_and_change(*arguments):
        found = find_drifts(*arguments)
        (debian.root / "usr/share/tool/data").write_text("late")
        time.sleep(0.02)
        return found

    with monkeypatch.context() as patch:
        patch.setattr("hashdist.hostscan.drift.find_drifts", look_and_change)
        assert quick(store, debian, expected) == []
    assert [drift.kind for drift in quick(store, debian, expected)] == ["differs"]
