"""How long gc keeps things, what holds them, and why."""

import os
import subprocess
import sys
import time

import pytest
from support import package

from hashdist.checkout.switch import Checkout
from hashdist.errors import DamagedError
from hashdist.fsutil import holders
from hashdist.gc.marking import mark
from hashdist.gc.plan import plan
from hashdist.gc.policy import DAY, Policy
from hashdist.gc.reasons import why
from hashdist.gc.sweeping import collect
from hashdist.objects.record import recorded_size
from hashdist.objects.spec import read_spec
from hashdist.refs import names
from hashdist.stack.editing import set_key
from hashdist.workflow import branching, building, checkout as checkouts, keeping
from hashdist.workflow.commit import commit_file, edit
from hashdist.workflow.profile import find, read_profile
from hashdist.workflow.undoing import deleted, undo


def built(session, commit):
    """Build a commit; return the paths of its packages' artifacts."""
    building.build_commit(session, commit)
    store = session.store
    lock = read_profile(store.objects, commit).lock
    return {
        name: store.artifacts.path(read_spec(store.objects, pin.spec).artifact) for name, pin in lock.packages.items()
    }


@pytest.fixture
def main(session, write):
    """Two packages on main; their paths."""
    recorded = commit_file(session, write("stack.toml", package("a") + package("b", inputs='["a"]')), message="m")
    return built(session, recorded.commit)


def change(session, value, **words):
    """Make a commit in which both packages are others; return its artifacts' paths."""
    return built(
        session, edit(session, lambda text: set_key(text, "packages.a.env.X", value), message=value, **words).commit
    )


def test_held_until(session, main, clock):
    """What was deleted is held for the grace period, gc says until when and by what, and undo brings it back whole."""
    store = session.store
    clock.now += 100 * DAY
    checkouts.create(session, "exp", None)
    exp = change(session, "1", profile="exp")
    clock.now += 100 * DAY
    tip = branching.delete_branch(store, "exp", force=True)
    (held,) = plan(store, Policy(grace=DAY)).held
    assert (held.root.kind, held.root.name, held.root.until) == ("deleted", "exp", clock.now + DAY)
    assert (held.artifacts, held.inodes) == (2, 6)
    assert collect(store, Policy(grace=DAY)).artifacts == []
    assert [one.ref for one in deleted(store)] == ["refs/heads/exp"]
    assert undo(session).moves[0].new == tip
    assert find(store, "exp") == tip
    assert deleted(store) == []
    branching.delete_branch(store, "exp", force=True)
    clock.now += DAY + 1
    assert {victim.path for victim in collect(store, Policy(grace=DAY)).artifacts} == set(exp.values())
    assert deleted(store) == []
    assert all(map(os.path.isdir, main.values()))


def test_reflogs_expire(session, main, clock):
    """What a profile was reset from is kept as long as reflogs are, whatever the grace period says."""
    store = session.store
    first = find(store, "main")
    second = change(session, "1")
    clock.now += 10
    store.refs.update("refs/heads/main", first, old=find(store, "main"), reason="reset")
    clock.now += 5 * DAY
    assert plan(store, Policy(grace=DAY, reflog_expire=7 * DAY)).artifacts == []
    (held,) = plan(store, Policy(grace=DAY, reflog_expire=7 * DAY)).held
    assert held.root.kind == "reflog"
    assert held.root.until == clock.now + 2 * DAY
    assert {victim.path for victim in plan(store, Policy(grace=DAY, reflog_expire=0)).artifacts} == set(second.values())
    collect(store, Policy(grace=DAY))
    assert not any(map(os.path.isdir, second.values()))
    assert [entry.reason for entry in store.refs.reflog("refs/heads/main")] == ["commit: m"]
    assert session.store.refs["refs/heads/main"] == first


def test_a_clock_that_was_wrong(session, main, clock):
    """Lines of a reflog that were written by a clock ten years off are judged by the file's own time."""
    store = session.store
    first = find(store, "main")
    right = clock.now
    clock.now -= 3650 * DAY
    second = change(session, "1")
    store.refs.update("refs/heads/main", first, old=find(store, "main"), reason="reset")
    for name in store.refs.reflog_names():
        os.utime(os.path.join(store.git, "logs", name), (right, right))
    clock.now = right + 1
    assert plan(store, Policy(grace=DAY)).artifacts == []
    clock.now -= 3650 * DAY
    assert plan(store, Policy(grace=DAY)).artifacts == []
    assert all(map(os.path.isdir, second.values()))


def test_thinned_history(session, main, clock):
    """With --keep-last and --older-than old commits lose their artifacts; tags, checkouts and sources keep theirs."""
    store = session.store
    commits, paths = [find(store, "main")], [main]
    for number in range(4):
        clock.now += 10 * DAY
        paths.append(change(session, str(number)))
        commits.append(find(store, "main"))
    branching.create_tag(store, "paper", commits[1])
    everything = {path for one in paths for path in one.values()}
    clock.now += DAY
    assert plan(store, Policy(grace=0)).artifacts == []

    def kept(**policy):
        return everything - {victim.path for victim in plan(store, Policy(grace=0, **policy)).artifacts}

    def of(*numbers):
        return {path for number in numbers for path in paths[number].values()}

    assert kept(keep_last=1) == of(1, 4)
    assert kept(keep_last=2) == of(1, 3, 4)
    assert kept(older_than=15 * DAY) == of(1, 3, 4)
    assert kept(older_than=25 * DAY, keep_last=1) == of(1, 2, 3, 4)
    checkout = checkouts.ready(session, commits[0])
    Checkout(store).switch(commits[0], checkout, branch=None, reason="x")
    assert kept(keep_last=1) == of(0, 1, 4)
    collect(store, Policy(grace=0, keep_last=1))
    assert [commit for commit in commits if commit in store.objects] == commits
    assert built(session, commits[2]) == paths[2], "it can be built again"


def test_build_inputs_can_go(session, write):
    """What nothing refers to at run time can be dropped, and checkouts still work and have nothing to build."""
    uses = package("uses", "mkdir -p $PREFIX; ls -d $LIBRARY > $PREFIX/path", inputs='["run", "tool"]').replace(
        "ls -d $LIBRARY", "command -v run-it"
    )
    run = package(
        "run",
        "mkdir -p $PREFIX/bin; echo '#!/bin/sh' > $PREFIX/bin/run-it; chmod +x $PREFIX/bin/run-it",
        build_only="true",
    )
    text = run + package("tool", build_only="true") + uses
    recorded = commit_file(session, write("stack.toml", text), message="m")
    paths = built(session, recorded.commit)
    store = session.store
    prefix = checkouts.ready(session, recorded.commit)
    Checkout(store).switch(recorded.commit, prefix, branch="refs/heads/main", reason="x")
    assert plan(store, Policy(grace=0)).artifacts == []
    gone = {victim.path for victim in collect(store, Policy(grace=0, drop_build_inputs=True)).artifacts}
    assert paths["tool"] in gone
    assert not {paths["run"], paths["uses"]} & gone
    assert building.build_commit(session, recorded.commit).report.built == []
    assert checkouts.ready(session, recorded.commit) == prefix


def test_pins(session, main, write, clock):
    """A pin keeps an artifact with its inputs, a source, or a commit, until it is taken away."""
    store = session.store
    checkouts.create(session, "exp", None)
    exp = change(session, "1", profile="exp")
    tip = branching.delete_branch(store, "exp", force=True)
    digits = os.path.basename(exp["b"])
    name, _ = keeping.pin(store, digits, None)
    assert name == f"b-1-{digits}"
    write("src/f", "x")
    from hashdist.sources.declaration import PathSource

    source = session.fetcher.pin(PathSource(os.path.dirname(write("src/f", "x")))).tree
    keeping.pin(store, source, "src")
    clock.now += 100 * DAY
    collect(store, Policy(grace=0))
    assert all(map(os.path.isdir, exp.values())), "a pinned artifact keeps what it was made with"
    assert source in store.sources
    assert tip not in store.objects
    keeping.pin(store, "main", None)
    assert set(keeping.pins(store)) == {name, "src", "main"}
    for one in (name, "src"):
        keeping.unpin(store, one)
    clock.now += 100 * DAY
    collect(store, Policy(grace=0))
    assert not any(map(os.path.isdir, exp.values()))
    assert source not in store.sources


def test_why(session, main):
    """The chain from a root names each step; what nothing keeps has none."""
    store = session.store
    tip = find(store, "main")
    spec = read_profile(store.objects, tip).lock.specs["a"]
    chain = why(mark(store, Policy()), spec)
    assert (chain[0].kind, chain[0].name) == ("checkout", "current") or chain[0].kind == "profile"
    assert chain[1:] == [tip, spec]
    assert why(mark(store, Policy()), type(spec)("ab" * 20)) is None


def test_processes_of_this_host(session, main, write):
    """An artifact that a process of this machine has open, or names in its environment, stays with --now."""
    store = session.store
    checkouts.create(session, "exp", None)
    exp = change(session, "1", profile="exp")
    branching.delete_branch(store, "exp", force=True)
    one = subprocess.Popen(["sleep", "60"], cwd=f"{exp['a']}/share")
    two = subprocess.Popen(["sleep", "60"], env={**os.environ, "PATH": f"/x:{exp['b']}/bin:/bin:/usr/bin"})
    try:
        held = plan(store, Policy(grace=0)).held
        assert {(held.root.kind, held.root.name) for held in held} == {
            ("process", f"{one.pid} (sleep)"),
            ("process", f"{two.pid} (sleep)"),
        }
        collect(store, Policy(grace=0))
        assert all(map(os.path.isdir, exp.values()))
    finally:
        for process in (one, two):
            process.kill()
            process.wait()
    collect(store, Policy(grace=0))
    assert not any(map(os.path.isdir, exp.values()))


def test_a_build_on_another_machine(session, main):
    """What a command elsewhere uses stays until its lease is over."""
    import json

    store = session.store
    checkouts.create(session, "exp", None)
    exp = change(session, "1", profile="exp")
    specs = [read_profile(store.objects, find(store, "exp")).lock.specs["b"]]
    branching.delete_branch(store, "exp", force=True)
    holder = holders.me("build", since=store.now() + 100, lease=holders.WORK)._replace(host="node7", boot="x")
    root = store.inside("roots", "node7")
    with open(root, "w") as file:
        json.dump({"holder": holder.line(), "specs": specs}, file)
    os.utime(root, (store.now(), store.now()))
    found = plan(store, Policy(grace=0))
    assert exp["b"] not in {victim.path for victim in found.artifacts}
    assert any(held.root.kind == "command" and "node7" in held.root.name for held in found.held)
    os.utime(root, (store.now() - holders.WORK - 1,) * 2)
    collect(store, Policy(grace=0))
    assert not any(map(os.path.isdir, exp.values()))
    assert os.listdir(store.inside("roots")) == []


def test_sizes_are_recorded(session, main):
    """A record tells how much room its artifact takes, so that gc need not look at every file."""
    store = session.store
    for path in main.values():
        (spec,) = [spec for spec, _ in store.artifacts.all() if spec.startswith(os.path.basename(path))]
        files = sum(len(files) + 1 for _, _, files in os.walk(path))
        size = sum(
            os.path.getsize(os.path.join(folder, file)) for folder, _, names_ in os.walk(path) for file in names_
        )
        assert recorded_size(store.objects.commit(store.refs[names.ARTIFACTS + spec])) == (size, files)


def test_commands(hdist, write, tmp_path):
    """gc says what is held, by what, until when and what takes it; --why, pin and undo do what they say."""
    write("stack.toml", package("a"))
    hdist("commit", "-m", "m")
    hdist("checkout", "--build")
    hdist("checkout", "-b", "exp")
    hdist("set", "packages.a.env.X=1")
    hdist("build")
    hdist("checkout", "main")
    hdist("branch", "-D", "exp")
    said = hdist("gc").stdout
    until = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 14 * DAY))
    assert f"held by deleted exp, until {until}" in said
    assert "hdist gc --now" in said
    assert "exp" in hdist("undo", "--list").stdout
    hdist("undo")
    assert "exp" in hdist("branch").stdout
    hdist("branch", "-D", "exp")
    chain = hdist("gc", "--why", "base").stdout.splitlines()
    assert chain[0].startswith(("profile main", "checkout current", "host scan"))
    dead = next(
        path
        for path in (tmp_path / "store/artifacts/a/1").iterdir()
        if path != (tmp_path / "store/current/share/a").resolve().parents[1]
    )
    hdist("pin", dead.name, "--as", "keep")
    assert "pin keep" in hdist("gc", "--why", dead.name, "--now").stdout
    hdist("gc", "--now")
    assert dead.exists()
    hdist("pin", "-d", "keep")
    assert "nothing keeps" in hdist("gc", "--why", dead.name, "--now", expect=1).stdout
    hdist("gc", "--now", "--older-than", "1d", "--keep-last", "2", "--reflog-expire", "now", "--assume-dead", "nobody")
    assert not dead.exists()
    hdist("gc", "--grace", "soon", expect=2)


def test_a_loaded_shell_is_seen(hdist, write, tmp_path):
    """A shell that was started with a prefix on its PATH keeps it."""
    write("stack.toml", package("a"))
    hdist("commit", "-m", "m")
    hdist("checkout", "--build")
    prefix = (tmp_path / "store/current").resolve()
    write("other.toml", package("b"))
    hdist("commit", "other.toml", "-m", "m", "-b", "other")
    hdist("checkout", "--build", "other")
    hdist("branch", "-D", "main")
    job = subprocess.Popen(
        [sys.executable, "-c", "input()"], env={**os.environ, "PATH": f"{prefix}/bin"}, stdin=subprocess.PIPE
    )
    try:
        assert "python" in hdist("gc", "--now").stdout
        assert prefix.exists()
        assert (prefix / "share/a").read_text() == "a\n"
    finally:
        job.communicate(b"\n")


def linked(name, to, **words):
    """A package that refers to another one at run time."""
    variable = f"{to.upper()}_DIR"
    return package(
        name, f"mkdir -p $PREFIX/bin; ln -s ${variable}/share $PREFIX/bin/link; echo {name} > $PREFIX/x", **words
    )


def test_a_pin_keeps_what_is_needed_to_run(session, write, clock):
    """With an artifact that is pinned stays what its inputs refer to."""
    store = session.store
    text = package("c") + linked("b", "c", inputs='["c"]') + linked("a", "b", inputs='["b"]')
    paths = built(session, commit_file(session, write("stack.toml", text), message="m", profile="chain").commit)
    keeping.pin(store, "a", "keep")
    branching.delete_branch(store, "chain", force=True)
    clock.now += 100 * DAY
    collect(store, Policy(grace=0))
    assert all(map(os.path.isdir, paths.values()))
    keeping.unpin(store, "keep")
    clock.now += DAY
    assert collect(store, Policy(grace=2 * DAY)).artifacts == [], "it is remembered, too"
    assert undo(session, "pins/keep").moves[0].ref == "refs/pins/keep"


def test_reflogs_outlive_their_branch(session, main, clock):
    """What only a reflog held is held after its profile is deleted, and the reflog comes back with it."""
    store = session.store
    checkouts.create(session, "t", None)
    first = find(store, "t")
    exp = change(session, "1", profile="t")
    clock.now += 30 * DAY
    store.refs.update("refs/heads/t", first, old=find(store, "t"), reason="reset")
    branching.delete_branch(store, "t", force=True)
    assert collect(store, Policy(grace=2 * DAY)).artifacts == []
    assert all(map(os.path.isdir, exp.values()))
    undo(session, "t")
    reasons = [entry.reason for entry in store.refs.reflog("refs/heads/t")]
    assert "reset" in reasons
    assert reasons[0].startswith("undo")
    assert find(store, "t@{1}") == first


def test_thinning_spares_what_was_deleted_lately(session, main, write, clock):
    """What can still be brought back keeps its artifacts, also where history is thinned."""
    store = session.store
    clock.now += 30 * DAY
    second = change(session, "1")
    branching.create_branch(store, "exp", "main~1")
    clock.now += 30 * DAY
    branching.delete_branch(store, "exp", force=True)
    assert plan(store, Policy(grace=DAY, keep_last=1)).artifacts == []
    clock.now += 2 * DAY
    gone = {victim.path for victim in plan(store, Policy(grace=DAY, keep_last=1)).artifacts}
    assert gone == set(main.values())
    assert not gone & set(second.values())


def test_one_name_twice_in_a_second(session, main, clock):
    """A name that is deleted twice in one second is remembered twice, and what has its name for a directory too."""
    store = session.store
    first = find(store, "main")
    change(session, "1")
    second = find(store, "main")
    for commit in (first, second):
        branching.create_branch(store, "x", commit)
        branching.delete_branch(store, "x", force=True)
    branching.create_branch(store, "x/y", first)
    branching.delete_branch(store, "x/y", force=True)
    assert [one.commit for one in deleted(store)] == [first, second, first]
    assert undo(session, "x").moves[0].new == second


def test_odd_things_do_not_stop_it(session, main):
    """A root that a power loss left empty, a pipe among them, and odd names in environments and pins are passed over."""
    import json

    store = session.store
    me = os.uname().nodename
    with open(store.inside("roots", f"01234567-{me}-1-1-abcd"), "w"):
        pass
    os.mkdir(store.inside("pins.d"))
    for name, document in {"one": {"specs": [find(store, "main")], "prefix": None}}.items():
        with open(store.inside("pins.d", name), "w") as file:
            json.dump({"format": 1, "store": "/x", **document}, file)
    job = subprocess.Popen(
        ["sleep", "60"], env={"FOO": f"{store.path}/prefixes/../current/bin", "PATH": os.environ["PATH"]}
    )
    try:
        collect(store, Policy(grace=0))
        with pytest.raises(DamagedError, match="pins.d/two"):
            with open(store.inside("pins.d", "two"), "w") as file:
                json.dump({"format": 1, "store": "/x", "specs": [], "prefix": ".."}, file)
            collect(store, Policy(grace=0))
        os.unlink(store.inside("pins.d", "two"))
        os.mkfifo(store.inside("roots", "pipe"))
        with pytest.raises(DamagedError, match="pipe"):
            collect(store, Policy(grace=0))
    finally:
        job.kill()
        job.wait()
    assert all(map(os.path.isdir, main.values()))


def test_no_room_for_a_name(hdist, write, tmp_path):
    """gc works where not one more inode can be had."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=1500", "none", small]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs root and mount for a small file system")
    try:
        env = {"HDIST_STORE": str(small / "s")}
        write("stack.toml", package("a"))
        hdist("init", env=env)
        hdist("build", "stack.toml", env=env)
        try:
            for number in range(2000):
                (small / f"filler{number}").touch()
        except OSError:
            pass
        hdist("tag", "x", env=env, expect=None)
        assert "deleted" in hdist("gc", "--now", env=env).stdout
        assert not (small / "s/artifacts/a/1").exists()
    finally:
        subprocess.run(["umount", small], check=True)
