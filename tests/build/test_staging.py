"""What others build becomes artifacts: staged for a process that lives on, sealed when it says so."""

import dataclasses
import os
import subprocess
import sys

import pytest
from exchange import bare, share

from hashdist import Store
from hashdist.build.job import NotInstalledError
from hashdist.build.staging import NotStagedError, abandon, seal_staged, stage, staged_at
from hashdist.errors import BusyError, InvalidError
from hashdist.gc.policy import Policy
from hashdist.gc.sweeping import collect
from hashdist.objects.spec import Platform, Spec, from_json, read_spec
from hashdist.store.making import init_store
from hashdist.verify.verifying import verify
from hashdist.workflow import building, remoting
from hashdist.workflow.checkout import ready
from hashdist.workflow.commit import commit_file
from hashdist.workflow.profile import read_profile

PLATFORM = Platform("linux", "x86_64", "x86-64")
NOW = Policy(grace=0)


def spec(name="tool", **fields):
    return Spec(name, fields.pop("version", "1"), PLATFORM, runner="script", **fields)


def make(store, one, text="x", **options):
    staged = stage(store, one, pid=os.getpid(), **options)
    os.makedirs(os.path.join(staged.path, "bin"), exist_ok=True)
    with open(os.path.join(staged.path, "bin", one.name), "w") as file:
        file.write(text)
    return staged.path


def test_staged_built_sealed(store):
    """It is an artifact like any other: sealed, recorded with its log, with the inputs that it refers to."""
    below = spec("below")
    path = make(store, below)
    seal_staged(store, below, log=b"built\n", seconds=3)
    one = spec(inputs={"below": below.id}, env={"CFLAGS": "-O2"}, files={"fix.patch": b"--- a\n"})
    make(store, one, f"see {path}/bin")
    seal_staged(store, one, log=b"", seconds=0)
    assert one.artifact in store.artifacts
    record = store.artifacts.record(one.id)
    assert (record.spec, record.references) == (one, (below.id,))
    assert store.artifacts.record(below.id).log == b"built\n"
    assert not os.access(path, os.W_OK) or os.geteuid() == 0
    assert os.stat(path).st_mode & 0o222 == 0
    assert verify(store).damage == []
    assert os.listdir(store.inside("roots")) == []
    again = stage(store, one, pid=os.getpid())
    assert again.sealed
    assert seal_staged(store, one, log=b"other", seconds=0) == store.artifacts.commit_of_record(one.id)


def test_only_what_others_make(store):
    """What hashdist builds is not staged, a process that is not there gets nothing, and nothing is sealed of nothing."""
    with pytest.raises(InvalidError, match="so hashdist builds it"):
        stage(store, Spec("a", "1", PLATFORM, runner=1, commands=("x",)), pid=os.getpid())
    with pytest.raises(InvalidError, match="no process"):
        stage(store, spec(), pid=2**22 + 1)
    with pytest.raises(NotStagedError):
        seal_staged(store, spec(), log=b"", seconds=0)
    stage(store, spec(), pid=os.getpid())
    with pytest.raises(Exception, match="wrote nothing"):
        seal_staged(store, spec(), log=b"", seconds=0)
    abandon(store, spec())
    assert not os.path.lexists(store.artifacts.own_path(spec().artifact))


@pytest.mark.parametrize("runner", [-1, True, 1.5, "", "a/b", "..", None])
def test_runners(runner):
    """A runner is a number or a name."""
    with pytest.raises(InvalidError):
        from_json(
            {
                "format": 1,
                "name": "a",
                "version": "1",
                "platform": {"os": "l", "arch": "x", "cpu": "c"},
                "runner": runner,
            },
            files={},
        )


def test_two_at_once(store):
    """While one process builds nobody else gets the directory; when it has died the next begins anew, or goes on."""
    one = spec()
    path = make(store, one)
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with pytest.raises(BusyError, match=f"pid {os.getpid()}"):
            stage(store, one, pid=sleeper.pid)
        abandon(store, one)
        stage(store, one, pid=sleeper.pid)
        os.mkdir(f"{path}/left")
        with pytest.raises(BusyError, match=f"pid {sleeper.pid}"):
            stage(store, one, pid=os.getpid())
        for late in (lambda: seal_staged(store, one, log=b"", seconds=0), lambda: abandon(store, one)):
            with pytest.raises(BusyError, match=f"pid {sleeper.pid}"):
                late()
        assert staged_at(store, path) == one.id
    finally:
        sleeper.communicate()
    assert os.listdir(stage(store, one, pid=os.getpid(), keep=True).path) == ["left"]
    assert os.listdir(stage(store, one, pid=os.getpid()).path) == []


def test_gc_leaves_it_alone(store):
    """What a living process builds stays, with the specs it needs; what a dead one left goes."""
    below = spec("below")
    make(store, below)
    seal_staged(store, below, log=b"", seconds=0)
    one = spec(inputs={"below": below.id})
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        path = stage(store, one, pid=sleeper.pid).path
        os.mkdir(f"{path}/bin")
        collect(store, NOW)
        assert os.path.isdir(f"{path}/bin")
        assert below.artifact in store.artifacts
        assert read_spec(store.objects, one.id) == one
    finally:
        sleeper.communicate()
    collect(store, NOW)
    assert not os.path.lexists(path)
    assert below.artifact not in store.artifacts


def test_in_profiles(session, write):
    """Profiles name it by its spec, in several versions; who has not got it is told what has to install it."""
    store = session.store
    old, new = spec(version="1"), spec(version="2")
    for one in (old, new):
        make(store, one, one.version)
        seal_staged(store, one, log=b"", seconds=0)
    text = f"""
[packages.tool]
version = "2"
spec = "{new.id}"

[packages.tool-old]
spec = "{old.id}"
build-only = true
"""
    commit = commit_file(session, write("stack.toml", text), message="m").commit
    lock = read_profile(store.objects, commit).lock
    assert [lock.packages[name].version for name in ("tool", "tool-old")] == ["2", "1"]
    assert building.build_commit(session, commit).report.built == []
    with open(os.path.join(ready(session, commit), "bin", "tool")) as file:
        assert file.read() == "2"
    collect(store, NOW)
    assert {one.artifact in store.artifacts for one in (old, new)} == {True}
    for faulty, words in (
        (text.replace('version = "2"', 'version = "3"'), "of version 2, not 3"),
        (text.replace(str(old.id), "1" * 40), "no spec 111111111111"),
        (text.replace(str(old.id), "12"), "40 hexadecimal digits"),
        (text + 'commands = ["x"]\n', "unknown key"),
    ):
        with pytest.raises(InvalidError, match=words):
            commit_file(session, write("faulty.toml", faulty), message="m", force=True)


def test_elsewhere(session, write, tmp_path):
    """A clone has the spec, and says what has to install its artifact; another version stands under its own name."""
    store = session.store
    one = spec()
    make(store, one)
    seal_staged(store, one, log=b"", seconds=0)
    commit_file(session, write("stack.toml", f'[packages.mine]\nspec = "{one.id}"\n'), message="m")
    server = str(bare(tmp_path / "server.git"))
    share(session, server)
    init_store(str(tmp_path / "other"), durability="fast")
    other = Store.open(str(tmp_path / "other"), identity="G <g@example.org>", search_path=os.environ["PATH"])
    there = dataclasses.replace(session, store=other)
    cloned = remoting.clone(there, server, "main")
    with pytest.raises(NotInstalledError, match="script has to install it: tool 1") as caught:
        building.build_commit(there, cloned.commit)
    assert caught.value.exit_code == 3
