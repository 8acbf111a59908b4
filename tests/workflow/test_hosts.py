"""Host software in profiles: pinned, checked before builds, shared by hosts that are alike, traced as a cause."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from hosts import lay_out
from support import ORIGINAL_ENV, package

from hashdist.checkout.switch import Checkout
from hashdist.hostscan.finding import scan
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.scans import Where, newest_scans
from hashdist.objects.spec import read_spec
from hashdist.stack.packages import HostEntry
from hashdist.store.making import init_store
from hashdist.store.store import Store
from hashdist.workflow import building
from hashdist.workflow.commit import commit_file, edit, update
from hashdist.workflow.explaining import explain
from hashdist.workflow.hosts import check, entries_named, scan_host
from hashdist.workflow.pinning import Moving
from hashdist.workflow.profile import find, read_profile
from hashdist.workflow.recording import NothingChangedError
from hashdist.workflow.scans import compare
from hashdist.workflow.status import status

STACK = """
[host]
tool = ["rpm:no-such-tool", "dpkg:tool"]
[packages.made]
version = "1"
commands = ["tool > made", "mkdir $PREFIX/share", "cp made $PREFIX/share/made", "cp $TOOL_DIR/share/tool/data $PREFIX"]
inputs = ["tool"]
[packages.other]
version = "1"
commands = ["mkdir $PREFIX/share && echo x > $PREFIX/share/other"]
"""


def tool(debian, version, **fields):
    debian.install(
        "tool",
        version,
        {"usr/bin/tool": f"#!/bin/sh\necho made by {version}\n", "usr/share/tool/data": version},
        **fields,
    )


@pytest.fixture
def here(session, debian):
    """The session on a host with that Debian's packages."""
    tool(debian, "1.0-1")
    return dataclasses.replace(session, env=debian.env, where=Where("login1", "site"))


def text(path):
    return pathlib.Path(path).read_text()


def build(session, revision="main"):
    return building.build_commit(session, find(session.store, revision))


def artifact(session, name, revision="main"):
    lock = read_profile(session.store.objects, find(session.store, revision)).lock
    return session.store.artifacts.path(read_spec(session.store.objects, lock.specs[name]).artifact)


def test_an_upgrade(here, debian, write, git):
    """An upgraded host package: refused with the way out, then a new artifact beside the old one, which still works."""
    commit_file(here, write("stack.toml", STACK), message="one")
    build(here)
    old = artifact(here, "made")
    assert text(f"{old}/share/made") == "made by 1.0-1\n"
    assert check(here, find(here.store, "main")).drifts == ()

    tool(debian, "1.0-2")
    (drift,) = check(here, find(here.store, "main")).drifts
    assert (drift.name, drift.kind) == ("tool", "differs")
    assert [one.name for one in status(here, Checkout(here.store)).host.drifts] == ["tool"]
    assert build(here).total == 2, "what is built stays usable"
    edit(here, lambda old: old.replace("tool > made", "tool >made"), message="two")
    with pytest.raises(building.HostDriftError, match=r"'tool' differs .* \(1\.0-1 → 1\.0-2\)") as refused:
        build(here)
    assert refused.value.hint == "hdist update --host" and refused.value.exit_code == 4

    update(here, Moving(host=True), message="host")
    build(here)
    new = artifact(here, "made")
    assert new != old and text(f"{new}/share/made") == "made by 1.0-2\n"
    assert text(f"{old}/share/made") == "made by 1.0-1\n"
    found = explain(here.store, find(here.store, "main~1"), find(here.store, "main"))
    assert [cause.name for cause in found.causes] == ["tool"]
    assert "package tool: 1.0-1 → 1.0-2" in found.causes[0].details
    assert [(one.change.name, one.causes) for one in found.packages] == [("made", ("tool",))]
    assert git("log", "--format=%s", "refs/hosts/site/tool") == "tool 1.0-2\ntool 1.0-1"


def test_an_errata_rebuilds_nothing(here, debian, write):
    """What counts by ABI may change: builds go on with the same ids, and the new scan is recorded."""
    debian.install("libc6", "2.36-1", {"usr/lib/libc.data": "1"}, Source="glibc")
    tool(debian, "1.0-1", Depends="libc6")
    commit_file(here, write("stack.toml", STACK), message="one")
    debian.install("libc6", "2.36-2", {"usr/lib/libc.data": "2"}, Source="glibc")
    assert [drift.kind for drift in check(here, find(here.store, "main")).drifts] == ["same"]
    build(here)
    assert check(here, find(here.store, "main")).drifts == ()
    assert not update_moves(here)


def update_moves(session):
    before = find(session.store, "main")
    update(session, Moving(host=True), message="host")
    return explain(session.store, before, find(session.store, "main")).causes


def test_only_what_the_profile_uses(here, debian, write):
    """A check of a profile is about its own host entries, and those that nothing uses are left out."""
    debian.install("unused", "1-1", {"usr/bin/unused": "#!/bin/true\n"})
    stack = STACK.replace("[host]\n", '[host]\nunused = "dpkg:unused"\n')
    commit_file(here, write("stack.toml", stack), message="one")
    debian.install("unused", "1-2", {"usr/bin/unused": "#!/bin/false\n"})
    assert check(here, find(here.store, "main")).drifts == ()
    assert [drift.name for drift in check(here, None).drifts] == ["unused"]


def test_hosts_that_are_alike_share_a_scan(here, git):
    """500 nodes that are alike have one commit, and are told apart where they differ."""
    for number in range(5):
        node = dataclasses.replace(here, where=Where(f"node{number}", "site"))
        scan_host(node, entries_named(node, ["dpkg:tool"]))
    assert git("rev-list", "--count", "refs/hosts/site/tool") == "1"
    assert git("log", "-1", "--format=%(trailers:key=Host,valueonly)", "refs/hosts/site/tool") == "node0"
    assert compare(here, "node0", "node4") == []


def test_login1_against_node17(here, debian, tmp_path, git):
    """Two hosts with stores of their own, whose refs were pushed to one remote, are compared by name."""
    scan_host(here, entries_named(here, ["dpkg:tool"]))
    path = str(tmp_path / "other")
    init_store(path, durability="fast")
    store = Store.open(path, identity="Bob <b@example.org>", clock=here.store.now, search_path=os.environ["PATH"])
    tool(debian, "1.1-1")
    node = dataclasses.replace(here, store=store, where=Where("node17", "site"))
    scan_host(node, entries_named(node, ["dpkg:tool"]))
    remote = str(tmp_path / "remote.git")
    subprocess.run(["git", "init", "--bare", "-q", remote], check=True)
    for name, one in (("login1", here.store), ("node17", store)):
        where = f"refs/hosts/*:refs/remotes/{name}/hosts/*"
        subprocess.run(["git", "-C", one.git, "push", "-q", remote, where], check=True)
    git("fetch", "-q", remote, "refs/remotes/*:refs/remotes/*")
    (change,) = compare(here, "login1", "node17")
    assert [(one.name, one.old, one.new) for one in change.packages] == [("tool", "1.0-1", "1.1-1")]
    assert not change.same_spec and any(one.path.endswith("tool/data") for one in change.files)
    (back,) = compare(here, "node17", None)
    assert (back.old.host, back.new.host) == ("node17", "login1")


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc here")
def test_a_library_that_is_gone(here, write, tmp_path):
    """A program that was built and needs a library of the host: when that is gone the check says who will not run."""
    lay_out(tmp_path / "ext", {"lib.c": "int f(void) { return 0; }\n"})
    (tmp_path / "ext/lib").mkdir()
    library = tmp_path / "ext/lib/libext.so.5"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-Wl,-soname,libext.so.5", "-o", library, tmp_path / "ext/lib.c"], check=True
    )
    (tmp_path / "ext/lib/libext.so").symlink_to("libext.so.5")
    session = dataclasses.replace(here, env=dict(os.environ))
    stack = f"""
[host]
gcc = "path:gcc"
ext = "path:{tmp_path}/ext"
[packages.user]
version = "1"
commands = ["echo 'int f(void); int main(void) {{ return f(); }}' > m.c", "mkdir $PREFIX/bin", "gcc -o $PREFIX/bin/user m.c -lext"]
inputs = ["gcc", "ext"]
"""
    commit_file(session, write("stack.toml", stack), message="one")
    commit = find(session.store, "main")
    assert check(session, commit).drifts == (), "and nothing is remembered of what is not built yet"
    build(session)
    assert check(session, commit).broken == ()
    program = f"{artifact(session, 'user')}/bin/user"
    assert subprocess.run([program], env={}, check=False).returncode == 0, "it finds the library by its run path"
    library.unlink()
    checked = check(session, commit)
    assert [(one.name, one.missing) for one in checked.broken] == [("user", (str(library),))]
    assert [(drift.name, drift.kind) for drift in checked.drifts] == [("ext", "gone")]


def test_modules_in_builds(here, write, tmp_path):
    """What environment modules set is there in builds, and libraries are found by run path afterwards."""
    if not os.path.isdir("/usr/share/lmod/lmod"):
        pytest.skip("no Lmod here")
    soft = tmp_path / "apps/Soft/2.0"
    lay_out(tmp_path / "apps/Soft/2.0", {"bin/soft": "#!/bin/sh\necho soft\n", "include/soft.h": "#define SOFT 2\n"})
    lay_out(
        tmp_path / "modules",
        {
            "Soft/2.0": f"#%Module1.0\nprepend-path PATH {soft}/bin\nprepend-path CPATH {soft}/include\nsetenv SOFT 7\nsetenv PREFIX /nowhere\nsetenv SOURCE_DATE_EPOCH 7\n"
        },
    )
    env = {**os.environ, "MODULEPATH": str(tmp_path / "modules"), "MODULESHOME": "/usr/share/lmod/lmod"}
    session = dataclasses.replace(here, env=env)
    stack = """
[host]
gcc = "path:gcc"
soft = "module:Soft/2.0"
[packages.user]
version = "1"
commands = [
  "echo '#include <soft.h>' > m.c && echo 'int main(void) { return SOFT; }' >> m.c",
  "mkdir $PREFIX/bin && gcc -o $PREFIX/bin/user m.c",
  "test $(soft) = soft && test $SOFT = 7 && test $SOURCE_DATE_EPOCH = 315532800",
]
inputs = ["gcc", "soft"]
"""
    commit_file(session, write("stack.toml", stack), message="one")
    build(session)
    assert subprocess.run([f"{artifact(session, 'user')}/bin/user"], env={}, check=False).returncode == 2


REAL = """
[host]
gcc = ["dpkg:gcc", "rpm:gcc"]
make = "dpkg:make"
python = "dpkg:python3"
zlib = "dpkg:zlib1g-dev"
note = "dpkg:hdist-test-note"
[packages.zlib-ng]
version = "0.5.1"
source = { pypi = "zlib-ng", subdir = "src/zlib_ng/zlib-ng" }
builder = "autotools"
options = ["--zlib-compat"]
inputs = ["gcc", "make", "python", "note"]
[packages.zversion]
version = "1"
commands = [
  "echo $PATH",
  "printf '#include <zlib.h>\\n#include <stdio.h>\\nint main(void) { puts(zlibVersion()); }\\n' > z.c",
  "mkdir $PREFIX/bin && gcc -o $PREFIX/bin/zversion z.c -lz && hdist-test-note > $PREFIX/note",
  "python3 -c 'import zlib, ssl, json'",
]
inputs = ["gcc", "make", "python", "zlib", "note"]
"""


def test_the_usual_tools_are_not_scanned_again(session, write, tmp_path):
    """A commit takes them to be as they were scanned last, while that holds; `update --host` scans, and all else is."""
    calls = tmp_path / "calls"
    folder = tmp_path / "bin"
    here = dataclasses.replace(session, env={**session.env, "PATH": f"{folder}:{session.env['PATH']}"})
    lines = "#!/bin/sh\necho $0 >> {calls}\necho {version}\n"

    def put(name, version):
        lay_out(folder, {name: lines.format(calls=calls, version=version)})

    def asked():
        found = {os.path.basename(line) for line in calls.read_text().splitlines()} if calls.exists() else set()
        calls.unlink(missing_ok=True)
        return found

    def pins(profile, of=here):
        recorded = commit_file(of, write("stack.toml", text), message="m", profile=profile)
        return read_profile(session.store.objects, recorded.commit).lock.host

    text = package("a") + f'[host]\ntool = "path:{folder}/tool"\n'
    put("tsort", "1.0")
    put("tool", "1.0")
    first = pins("one")
    assert asked() == {"tsort", "tool"}
    fresh = scan(HostEntry("base", first["base"].find, first["base"].identity), LiveHost(here.env))
    (known,) = (
        one
        for name, one in newest_scans(session.store.refs, session.store.objects, here.where.host_class).items()
        if name == "base"
    )
    assert known.capture(session.store.objects) == fresh
    calls.unlink()
    # links that somebody broke are made again
    links = session.store.artifacts.path(fresh.spec.artifact)
    os.chmod(f"{links}/bin", 0o755)
    os.unlink(f"{links}/bin/sed")
    assert pins("two") == first
    assert asked() == {"tool"}
    assert os.path.exists(f"{links}/bin/sed")
    # on another machine nothing is remembered of how files look, and they are looked at
    assert pins("three", dataclasses.replace(here, where=Where("node2", here.where.host_class))) == first
    assert asked() == {"tool"}
    with pytest.raises(NothingChangedError):
        update(here, Moving(host=True), message="m", profile="two")
    assert asked() == {"tsort", "tool"}
    put("tsort", "2.0")
    assert pins("four")["base"].spec != first["base"].spec
    assert "tsort" in asked()
    os.unlink(folder / "tsort")
    assert pins("five")["base"].spec not in {first["base"].spec, pins("six")["tool"].spec}
    put("tsort", "1.0")
    assert pins("seven")["base"] == first["base"]


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("dpkg-deb"), reason="only root of a Debian installs packages there"
)
def test_real_software_on_the_real_host(hdist, write, tmp_path):
    """Upstream's sources with nothing but captures of this very machine on PATH; then a package of it is upgraded."""
    pip = {name: value for name, value in ORIGINAL_ENV.items() if name.startswith("PIP_")}
    env = {**pip, "PIP_NO_INDEX": "", "HOME": ORIGINAL_ENV.get("HOME", "/root"), "PIP_CONFIG_FILE": ""}
    env = {name: value for name, value in env.items() if value or name == "PIP_NO_INDEX"}

    def install(version):
        place = tmp_path / f"note-{version}"
        lay_out(place, {"usr/bin/hdist-test-note": f"#!/bin/sh\necho note {version}\n"})
        (place / "DEBIAN").mkdir()
        (place / "DEBIAN/control").write_text(
            f"Package: hdist-test-note\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n"
        )
        subprocess.run(["dpkg-deb", "--build", place, f"{place}.deb"], check=True, capture_output=True)
        subprocess.run(["dpkg", "-i", f"{place}.deb"], check=True, capture_output=True)

    words = [sys.executable, "-m", "hashdist.cli", "--store", str(tmp_path / "store"), "source", "add"]
    probe = subprocess.run([*words, "pypi:zlib-ng==0.5.1"], env={**os.environ, **env}, capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no package index can be reached: {probe.stderr.strip().splitlines()[0]}")
    install("1.0-1")
    try:
        hdist("commit", write("stack.toml", REAL), "-m", "one", env=env)
        hdist("build", env=env)
        old = hdist("artifact", "path", "zversion").stdout.strip()
        path = hdist("artifact", "log", "zversion").stdout.split("+ echo ")[1].split("\n")[0]
        names = [one.split("/")[-4] for one in path.split(":")]
        assert set(names) <= {"gcc", "make", "python", "zlib", "note", "base"} and "/usr/bin" not in path
        assert subprocess.run([f"{old}/bin/zversion"], env={}, capture_output=True, text=True).stdout.count(".") >= 2
        hdist("host", "check", "main", env=env)
        install("1.0-2")
        assert "note 1.0-1 → 1.0-2: a rebuild would differ" in hdist("host", "check", "main", expect=1, env=env).stdout
        assert "hdist update --host" in hdist("status", env=env).stdout
        hdist("set", "packages.zversion.env.X=1", env=env)
        refused = hdist("build", expect=4, env=env)
        assert "hdist update --host" in refused.stderr and "hdist-test-note" not in refused.stdout
        hdist("update", "--host", "-m", "host", env=env)
        hdist("build", env=env)
        new = [line for line in hdist("artifact", "path", "zversion").stdout.splitlines() if line != old]
        assert new and text(f"{new[-1]}/note") == "note 1.0-2\n"
        assert text(f"{old}/note") == "note 1.0-1\n"
        assert "package hdist-test-note: 1.0-1 → 1.0-2" in hdist("explain", "main~1", "main", env=env).stdout
        assert "zversion changed because of note" in hdist("explain", "main~1", "main", env=env).stdout
    finally:
        subprocess.run(["dpkg", "--purge", "hdist-test-note"], check=True, capture_output=True)


def test_never_scanned_here(here, write):
    """A host of another class has nothing to compare with: it says so, and runs nothing to find out."""
    commit_file(here, write("stack.toml", STACK), message="one")
    other = dataclasses.replace(here, where=Where("node1", "other"))
    checked = check(other, find(here.store, "main"))
    assert (checked.looked_at, checked.drifts, checked.unknown) == (0, (), ("base", "tool"))
