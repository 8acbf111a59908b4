"""Commit, build, check out, change, switch, compare, collect: the main job in process."""

import os
import shutil
import subprocess
import time

import pytest
from support import package

from hashdist.build.scheduler import BuildsFailedError
from hashdist.checkout.switch import Checkout, NotALinkError, known_prefix
from hashdist.errors import ConflictError, InvalidError, NotFoundError
from hashdist.gc import plan as gc_plan, sweeping
from hashdist.gc.policy import Policy
from hashdist.gc.usage import usage
from hashdist.objects import manifest
from hashdist.objects.spec import read_spec
from hashdist.stack.editing import set_key
from hashdist.workflow import branching, building, checkout as checkouts
from hashdist.workflow.commit import commit_file, edit, update
from hashdist.workflow.comparing import compare
from hashdist.workflow.history import touching, walk
from hashdist.workflow.origin import ProfileMovedError
from hashdist.workflow.pinning import Moving
from hashdist.workflow.profile import find, read_profile
from hashdist.workflow.recording import NothingChangedError
from hashdist.workflow.status import status

STACK = (
    package("a")
    + package(
        "b", "test -f $A_DIR/share/a && mkdir -p $PREFIX/share && cp $A_DIR/share/a $PREFIX/share/b", inputs='["a"]'
    )
    + package("c")
)


@pytest.fixture
def committed(session, write):
    """The stack, recorded on main."""
    return commit_file(session, write("stack.toml", STACK), message="first")


def switch(session, revision=None):
    place = Checkout(session.store)
    target = checkouts.choose(session, place, revision)
    prefix = checkouts.ready(session, target.commit)
    place.switch(target.commit, prefix, branch=target.branch, reason="test")
    return prefix


def artifact(session, name, revision="HEAD"):
    lock = read_profile(session.store.objects, find(session.store, revision)).lock
    return session.store.artifacts.path(read_spec(session.store.objects, lock.specs[name]).artifact)


def test_commit_is_plain_git(session, committed, git):
    """The commit holds stack file, lock and specs, readable by git."""
    assert git("show", "main:stack.toml") == STACK.strip()
    assert git("ls-tree", "--name-only", "main:specs").split() == ["a", "b", "base", "c"]
    assert git("log", "--format=%an %s", "main") == "Ada first"
    assert "error" not in git("fsck", "--full", "--strict")


def test_build_and_checkout(session, committed):
    """What is missing is built, linked and switched to; everything is sealed."""
    prefix = switch(session)
    current = session.store.inside("current")
    assert os.path.realpath(current) == prefix
    with open(f"{current}/share/b") as file:
        assert file.read() == "a\n"
    for folder, folders, files in os.walk(artifact(session, "b")):
        for name in [".", *folders, *files]:
            assert os.stat(os.path.join(folder, name)).st_mode & 0o222 == 0
            assert os.stat(os.path.join(folder, name)).st_mtime == 315532800
    found = status(session, Checkout(session.store))
    assert (found.profile, found.total, found.missing) == ("main", 3, ())
    assert found.commit == found.tip == committed.commit


def test_change_and_switch_back(session, committed):
    """A change makes a new install beside the old for what it touches only, and switching back makes no link."""
    first = switch(session)
    old = {name: artifact(session, name) for name in "abc"}
    target = checkouts.create(session, "exp", None)
    Checkout(session.store).switch(target.commit, first, branch=target.branch, reason="test")
    edit(session, lambda text: set_key(text, "packages.a.env.X", "1"), message="x")
    second = switch(session)
    new = {name: artifact(session, name) for name in "abc"}
    assert [name for name in "abc" if new[name] != old[name]] == ["a", "b"]
    assert all(os.path.isdir(path) for path in (*old.values(), *new.values()))
    assert second != first
    before = os.stat(first).st_ctime_ns
    assert switch(session, "main") == first
    assert os.stat(first).st_ctime_ns == before
    changes = compare(session.store.objects, find(session.store, "main"), find(session.store, "exp"))
    assert [(change.name, change.follows, change.details) for change in changes] == [
        ("a", False, ("env X: (none) → 1",)),
        ("b", True, ()),
    ]


def test_gc_takes_what_only_the_dead_had(session, committed, git, clock):
    """After a profile is deleted gc takes its artifacts, prefix and objects; main's stay and work."""
    store = session.store
    first = switch(session)
    checkouts.create(session, "exp", None)
    edit(session, lambda text: set_key(text, "packages.a.env.X", "1"), message="x", profile="exp")
    second = switch(session, "exp")
    dead = [artifact(session, name) for name in "ab"]
    switch(session, "main")
    kept = [artifact(session, name) for name in "abc"]
    gone = branching.delete_branch(store, "exp", force=True)
    with pytest.raises(NotFoundError):
        find(store, "exp")
    assert [
        victim.path for victim in gc_plan.plan(store, Policy(grace=3600)).files if "/downloads/" not in victim.path
    ] == []
    planned = gc_plan.plan(store, Policy(grace=0))
    assert {victim.path for victim in planned.artifacts} == set(dead)
    assert [victim.path for victim in planned.prefixes] == [second]
    assert planned.size > 0 and planned.inodes > 0
    sweeping.collect(store, Policy(grace=0))
    assert not any(os.path.exists(path) for path in (*dead, second))
    assert all(os.path.isdir(path) for path in (*kept, first))
    assert "error" not in git("fsck", "--full", "--strict")
    assert gone not in git("cat-file", "--batch-all-objects", "--batch-check")
    assert gc_plan.plan(store, Policy(grace=0)).files == []
    assert switch(session, "main") == first


def test_grace_is_counted_from_death(session, committed, clock):
    """A profile deleted long after it was made is kept for the whole grace period."""
    clock.now += 10_000_000
    switch(session)
    checkouts.create(session, "exp", None)
    edit(session, lambda text: set_key(text, "packages.a.env.X", "1"), message="x", profile="exp")
    building.build_commit(session, find(session.store, "exp"))
    clock.now += 10_000_000
    branching.delete_branch(session.store, "exp", force=True)
    clock.now += 3000
    assert gc_plan.plan(session.store, Policy(grace=3600)).artifacts == []
    clock.now += 1000
    assert len(gc_plan.plan(session.store, Policy(grace=3600)).artifacts) == 2


def test_gc_stops_at_damage(session, committed):
    """With one ref that cannot be read gc deletes nothing and says which."""
    from hashdist.refs.database import RefDamagedError

    switch(session)
    checkouts.create(session, "exp", None)
    with open(os.path.join(session.store.git, "refs/heads/exp"), "w"):
        pass
    with pytest.raises(RefDamagedError, match="exp"):
        sweeping.collect(session.store, Policy(grace=0))
    assert os.path.isdir(artifact(session, "a"))


def test_checkouts_elsewhere(session, committed, tmp_path):
    """A checkout at a path is registered: its prefix lives by ref and by link; a real directory there is refused."""
    prefix = switch(session)
    place = Checkout(session.store, str(tmp_path / "tools"))
    target = checkouts.create(session, "tools", None)
    place.switch(target.commit, prefix, branch=target.branch, reason="test")
    assert os.path.realpath(tmp_path / "tools") == prefix
    assert (place.branch, Checkout(session.store).branch) == ("tools", "main")
    with pytest.raises(ConflictError, match="checked out"):
        branching.delete_branch(session.store, "tools", force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "foreign").symlink_to("/etc")
    for name in ("mine", "foreign", "nowhere/x"):
        with pytest.raises(NotALinkError):
            Checkout(session.store, str(tmp_path / name)).switch(target.commit, prefix, branch=None, reason="test")
    assert (tmp_path / "mine").is_dir()


def test_pins_move_only_by_update(session, write):
    """A source is taken as it was pinned, until update moves it."""
    write("src/share/data", "one")
    path = write("stack.toml", package("a", version='"1"', builder='"copy"', source='{ path = "src" }'))
    first = commit_file(session, path, message="first")
    write("src/share/data", "two")
    again = commit_file(session, path, message="again", allow_empty=True)
    assert again.resolved.specs == first.resolved.specs
    with pytest.raises(NothingChangedError):
        commit_file(session, path, message="again")
    with pytest.raises(NotFoundError, match="nope"):
        update(session, Moving(packages=frozenset({"nope"})), message="u")
    moved = update(session, Moving(packages=frozenset({"a"})), message="u")
    assert moved.resolved.specs != first.resolved.specs
    with open(os.path.join(switch(session), "share/data")) as file:
        assert file.read() == "two"


@pytest.mark.skipif(shutil.which("patch") is None, reason="no patch on this machine")
def test_patches(session, write):
    """A patch is applied, and kept in the commit with the file that names it."""
    write("src/hello", "hello\n")
    write("fixes/x.patch", "--- a/hello\n+++ b/hello\n@@ -1 +1 @@\n-hello\n+patched\n")
    text = package("a", builder='"copy"', source='{ path = "src" }', patches='["fixes/x.patch"]')
    recorded = commit_file(session, write("stack.toml", text), message="m")
    with open(os.path.join(switch(session), "hello")) as file:
        assert file.read() == "patched\n"
    edited = edit(session, lambda old: set_key(old, "packages.a.env.X", "1"), message="e")
    assert edited.resolved.files == recorded.resolved.files
    with pytest.raises(InvalidError, match=r"y\.patch"):
        commit_file(session, write("other.toml", text.replace("x.patch", "y.patch")), message="m")


def test_a_file_that_would_undo(session, committed, write):
    """A file that was recorded before somebody changed the profile is refused, unless forced."""
    edit(session, lambda text: set_key(text, "packages.a.env.X", "1"), message="x")
    path = write("stack.toml", STACK + package("d"))
    with pytest.raises(ProfileMovedError, match="has moved"):
        commit_file(session, path, message="stale")
    with pytest.raises(ProfileMovedError):
        commit_file(session, write("copy.toml", STACK), message="stale")
    commit_file(session, path, message="forced", force=True)
    fresh = read_profile(session.store.objects, find(session.store, "HEAD")).text
    commit_file(session, write("fresh.toml", fresh + package("e")), message="fresh")


def test_history(session, committed):
    """Commits come newest first; ranges and packages narrow them."""
    for number in range(3):
        edit(
            session,
            lambda text, n=number: set_key(text, f"packages.{'a' if n % 2 else 'c'}.env.X", str(n)),
            message=f"e{number}",
        )
    objects, tip = session.store.objects, find(session.store, "HEAD")
    assert [commit.subject for commit in walk(objects, tip)] == ["e2", "e1", "e0", "first"]
    assert [commit.subject for commit in walk(objects, tip, stop=find(session.store, "HEAD~2"))] == ["e2", "e1"]
    assert [commit.subject for commit in touching(session.store, tip, ["b"])] == ["e1", "first"]


def test_branches_and_tags(session, committed):
    """Profiles and tags are made once, and deleted with care."""
    store = session.store
    branching.create_branch(store, "x", None)
    branching.create_tag(store, "v1", "x")
    for make in (branching.create_branch, branching.create_tag):
        with pytest.raises(ConflictError):
            make(store, "x" if make is branching.create_branch else "v1", None)
    edit(session, lambda text: set_key(text, "packages.a.env.X", "1"), message="e", profile="x")
    with pytest.raises(ConflictError, match="no other profile"):
        branching.delete_branch(store, "x", force=False)
    with pytest.raises(ConflictError, match="checked out"):
        branching.delete_branch(store, "main", force=True)
    branching.delete_branch(store, "x", force=True)
    branching.delete_tag(store, "v1")
    for delete in (lambda: branching.delete_branch(store, "x", force=True), lambda: branching.delete_tag(store, "v1")):
        with pytest.raises(NotFoundError):
            delete()


def test_conflicts_name_both_owners(session, write):
    """Two packages with one path are told with both names; equal files are no conflict."""
    text = package("a", "mkdir -p $PREFIX/x; echo 1 > $PREFIX/x/f; echo same > $PREFIX/x/s") + package(
        "b", "mkdir -p $PREFIX/x; echo 2 > $PREFIX/x/f; echo same > $PREFIX/x/s"
    )
    commit_file(session, write("stack.toml", text), message="m")
    with pytest.raises(ConflictError, match=r"'x/f' is in both 'a' and 'b'"):
        switch(session)
    assert os.listdir(session.store.inside("prefixes")) == []
    edit(session, lambda old: set_key(old, "packages.b.build-only", "true"), message="e")
    assert sorted(os.listdir(os.path.join(switch(session), "x"))) == ["f", "s"]


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_file_against_directory(session, write, names):
    """A file where another package has a directory is a conflict, whoever comes first."""
    scripts = ("mkdir -p $PREFIX/x; echo 1 > $PREFIX/x/f", "mkdir -p $PREFIX/x/f; echo 2 > $PREFIX/x/f/g")
    commit_file(session, write("stack.toml", "".join(map(package, names, scripts))), message="m")
    with pytest.raises(ConflictError, match=r"'x/f' is a (file|directory) in 'a' and a (file|directory) in 'b'"):
        switch(session)


def test_host_drift(session, write, tmp_path):
    """A changed tool of the host stops a build with the command that mends it; what is built stays usable."""
    tool = tmp_path / "bin/tool"
    tool.parent.mkdir()

    def install(version):
        tool.write_text(f"#!/bin/sh\necho tool {version}\n")
        tool.chmod(0o755)

    install("1.0")
    text = f'[host]\ntool = "path:{tool}"\n' + package("a", "mkdir -p $PREFIX; tool > $PREFIX/out", inputs='["tool"]')
    commit_file(session, write("stack.toml", text), message="m")
    prefix = switch(session)
    old = artifact(session, "a")
    install("2.0")
    assert switch(session) == prefix, "nothing to build: nothing to check"
    edit(session, lambda old_text: set_key(old_text, "packages.a.env.X", "1"), message="e")
    with pytest.raises(building.HostDriftError, match=r"1\.0 → 2\.0") as caught:
        switch(session)
    assert caught.value.hint == "hdist update --host"
    update(session, Moving(host=True), message="u")
    with open(os.path.join(switch(session), "out")) as file:
        assert file.read() == "tool 2.0\n"
    assert os.path.isdir(old)


def test_failed_builds(session, write):
    """A failure tells the last lines, the log and the kept directory; with keep_going the rest is built."""
    text = package("bad", "echo about to fail; nosuchcommand") + package("after", inputs='["bad"]') + package("fine")
    recorded = commit_file(session, write("stack.toml", text), message="m")
    with pytest.raises(BuildsFailedError, match="about to fail") as caught:
        building.build_commit(session, recorded.commit, keep_going=True)
    failure = caught.value.failures["bad"]
    assert "1 more not tried" in str(caught.value)
    assert "path:nosuchcommand" in caught.value.hint
    assert os.path.exists(failure.log) and os.path.isdir(os.path.join(failure.directory, "src"))
    assert os.path.isdir(artifact(session, "fine"))
    assert not os.path.exists(artifact(session, "bad"))
    assert known_prefix(session.store, recorded.commit) is None


def test_the_environment_of_a_build(session, write, monkeypatch):
    """Nothing of the user's environment enters, /usr/bin is not on PATH, standard input is empty."""
    monkeypatch.setenv("SECRET", "x")
    script = (
        "mkdir -p $PREFIX; env > $PREFIX/env; cat > $PREFIX/stdin; type sed > $PREFIX/sed; ls -A $HOME > $PREFIX/home"
    )
    commit_file(session, write("stack.toml", package("a", script, env='{ MINE = "1" }')), message="m")
    prefix = switch(session)
    with open(f"{prefix}/env") as file:
        env = dict(line.split("=", 1) for line in file.read().splitlines() if "=" in line)
    assert "SECRET" not in env
    assert env["PATH"] == os.path.join(artifact(session, "base"), "bin")
    assert (env["MINE"], env["LC_ALL"], env["TZ"], env["SOURCE_DATE_EPOCH"]) == ("1", "C", "UTC", "315532800")
    assert env["PREFIX"] == artifact(session, "a")
    assert os.path.getsize(f"{prefix}/stdin") == 0
    with open(f"{prefix}/home") as file:
        assert file.read() == ""


def test_nothing_written(session, write):
    """A build that writes nothing is a failure."""
    recorded = commit_file(session, write("stack.toml", package("a", "true")), message="m")
    with pytest.raises(BuildsFailedError, match="wrote nothing"):
        building.build_commit(session, recorded.commit)
    assert not os.path.exists(artifact(session, "a"))


def test_records(session, committed):
    """A record tells files, log and the inputs an artifact refers to."""
    switch(session)
    edit(
        session,
        lambda text: set_key(
            text, "packages.c.commands", '["mkdir -p $PREFIX; echo $A_DIR > $PREFIX/ref; echo said"]'
        ).replace("[packages.c]\n", '[packages.c]\ninputs = ["a"]\n'),
        message="e",
    )
    switch(session)
    lock = read_profile(session.store.objects, find(session.store, "HEAD")).lock
    record = session.store.artifacts.record(lock.specs["c"])
    assert record.references == (lock.specs["a"],)
    assert b"said" in record.log
    assert [entry.path for entry in manifest.decode(record.manifest)] == [b"ref"]


def test_parallel_in_order(session, write):
    """Independent packages are built at the same time, dependent ones after their inputs."""
    wait = "mkdir -p $PREFIX; date +%s%N > $PREFIX/{0}-start; sleep 0.5; date +%s%N > $PREFIX/{0}-end"
    text = "".join(package(name, wait.format(name)) for name in "ab") + package(
        "c", wait.format("c"), inputs='["a", "b"]'
    )
    commit_file(session, write("stack.toml", text), message="m")
    prefix = switch(session)
    times = {}
    for name in os.listdir(prefix):
        if "-" in name:
            with open(os.path.join(prefix, name)) as file:
                times[name] = int(file.read())
    assert max(times["a-start"], times["b-start"]) < min(times["a-end"], times["b-end"])
    assert times["c-start"] > max(times["a-end"], times["b-end"])


def test_nothing_to_do_reads_no_object(session, committed):
    """Once built, the next look is answered by the index; when an artifact has gone it is not."""
    building.build_commit(session, committed.commit)
    fresh = type(session.store).open(session.store.path)
    from hashdist.build.nothing import all_sealed

    assert all_sealed(fresh, committed.commit, strict=False) == 3
    assert "objects" not in fresh.__dict__
    os.chmod(artifact(session, "a"), 0o755)
    os.rename(artifact(session, "a"), session.store.inside("trash", "x"))
    assert all_sealed(fresh, committed.commit, strict=False) is None


def test_usage(session, committed):
    """Each profile's bytes are told, and those that are its own."""
    switch(session)
    checkouts.create(session, "exp", None)
    edit(session, lambda text: set_key(text, "packages.c.env.X", "1"), message="e", profile="exp")
    building.build_commit(session, find(session.store, "exp"))
    found = {one.profile: one for one in usage(session.store)}
    assert found["main"].artifacts == found["exp"].artifacts == 4
    assert found["main"].own_size == found["exp"].own_size == 2
    assert found["main"].size == 6


def test_unresolved_libraries_and_run_paths(session, write):
    """What is linked runs without LD_LIBRARY_PATH: run paths lead to own libraries and inputs only."""
    write("lib/one.c", "int one(void) { return 1; }\n")
    write("app/app.c", "int one(void); int two(void); int main(void) { return one() + two() - 3; }\n")
    write("app/two.c", "int two(void) { return 2; }\n")
    text = (
        '[host]\ngcc = "path:gcc"\n'
        + package(
            "one",
            "mkdir -p $PREFIX/lib; cc -shared -fPIC -o $PREFIX/lib/libone.so one.c",
            inputs='["gcc"]',
            source='{ path = "lib" }',
        )
        + package(
            "app",
            "mkdir -p $PREFIX/bin $PREFIX/own; cc -shared -fPIC -o $PREFIX/own/libtwo.so two.c; "
            "cc -o $PREFIX/bin/app app.c -L$PREFIX/own -ltwo -lone -Wl,-rpath,/somewhere/else; "
            "cc -shared -fPIC -o $PREFIX/own/libbad.so two.c -Wl,-soname,libgone.so; "
            "cc -shared -fPIC -o $PREFIX/own/libuser.so two.c -Wl,--no-as-needed $PREFIX/own/libbad.so; rm $PREFIX/own/libbad.so",
            inputs='["gcc", "one"]',
            source='{ path = "app" }',
        )
    )
    commit_file(session, write("stack.toml", text), message="m")
    prefix = switch(session)
    assert subprocess.run([f"{prefix}/bin/app"], env={}).returncode == 0
    lock = read_profile(session.store.objects, find(session.store, "HEAD")).lock
    record = session.store.artifacts.record(lock.specs["app"])
    assert record.unresolved == ("own/libuser.so: libgone.so",)
    assert lock.specs["one"] in record.references
    from hashdist.elf import read_dynamic

    runpath = read_dynamic(os.path.join(artifact(session, "app"), "bin/app")).runpath
    assert set(runpath) == {
        os.path.join(artifact(session, "app"), "own"),
        os.path.join(artifact(session, "one"), "lib"),
    }


def test_two_at_once(session, committed, store):
    """Two sessions that build the same at once: one builds, the other waits and uses it."""
    import threading
    from dataclasses import replace

    edit(
        session,
        lambda text: (
            set_key(text, "packages.a.commands", '["sleep 1; mkdir $PREFIX/x; echo built"]')
            .replace("[packages.b]", "[packages.bb]")
            .split("[packages.bb]")[0]
        ),
        message="slow",
    )
    commit = find(store, "HEAD")
    results = []
    other = type(store).open(store.path, identity=store.identity, search_path=store.search_path)

    def work(own):
        results.append(building.build_commit(replace(session, store=own), commit).report)

    threads = [threading.Thread(target=work, args=(own,)) for own in (store, other)]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert sorted((report.built, report.reused) for report in results) == [([], ["a"]), (["a"], [])]
