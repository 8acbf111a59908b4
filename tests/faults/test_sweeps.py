"""Whatever system call of a command fails, or is its last: all is old or new, and the next try works."""

import os
import pathlib
import subprocess

import pytest
import sweeps
from support import package

from hashdist.fsutil.removal import remove_tree
from hashdist.store.making import init_store

STACK = package("a", source='{ path = "src" }') + package("b", inputs='["a"]')


@pytest.fixture(scope="session")
def faulty(tmp_path_factory):
    return sweeps.faulty(tmp_path_factory)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The same for all tests of a process: a store stays where it was made."""
    return tmp_path_factory.mktemp("sweeps") / "here"


@pytest.fixture
def tmp_path(folder):
    """Everything as it was at the start, if the store of the start has been made."""
    remove_tree(str(folder / "store"))
    remove_tree(str(folder / "base"))
    subprocess.run(["rm", "-rf", folder], check=True)
    if start_of(folder).exists():
        subprocess.run(["cp", "-a", start_of(folder), folder], check=True)
    else:
        folder.mkdir()
    return folder


def start_of(folder):
    """Where what the tests start from is kept."""
    return folder.parent / "start"


@pytest.fixture
def sweep(faulty, hdist, write, tmp_path):
    """A store with a profile that is built and checked out, one that is dead, and one that is not built; durable."""
    if not start_of(tmp_path).exists():
        lay_out(hdist, write, tmp_path)
        start_of(tmp_path).mkdir()
        for name in ("store", "work"):
            subprocess.run(["cp", "-a", tmp_path / name, start_of(tmp_path)], check=True)
    return lambda *command, **words: sweeps.Sweep(faulty, tmp_path, command, **words)


def lay_out(hdist, write, tmp_path):
    path = str(tmp_path / "store")
    remove_tree(path)
    init_store(path)
    for number in range(3):
        write(f"src/file{number}", f"{number}\n" * 50)
        write(f"more/sub/file{number}", f"{number} more\n" * 50)
    write("tool", "#!/bin/sh\necho 1\n")
    pathlib.Path(write("tool", "#!/bin/sh\necho 1\n")).chmod(0o755)
    write("stack.toml", STACK)
    write("new.toml", STACK.replace("echo b", "echo new"))
    write("dead.toml", STACK.replace("echo b", "echo dead"))
    hdist("commit", "-m", "m")
    hdist("checkout", "--build")
    hdist("commit", "dead.toml", "-m", "m", "-b", "dead")
    hdist("checkout", "--build", "dead")
    hdist("checkout", "main")
    hdist("commit", "new.toml", "-m", "m", "-b", "other")


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_commit(sweep, write, kinds):
    """A commit is in the history or not, whole."""
    write("src/file0", "changed\n")
    sweep("commit", "new.toml", "-m", "m2", done=frozenset({0, 1})).sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_build(sweep, kinds):
    """An artifact is there or not, whole."""
    sweep("build", "other").sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_checkout(sweep, hdist, kinds):
    """A checkout shows the old prefix or the new one, whole."""
    hdist("build", "other")
    sweep("checkout", "other").sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_gc(sweep, hdist, kinds):
    """gc takes nothing that is reachable, and the next one takes the rest."""
    hdist("branch", "-D", "dead")
    sweep("gc", "--now").sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_source_add(sweep, kinds):
    """A source is there or not, whole."""
    sweep("source", "add", "more").sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_tag(sweep, kinds):
    """A tag is there or not."""
    sweep("tag", "paper", done=frozenset({0, 4})).sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_delete(sweep, kinds):
    """A profile is there or deleted, and then remembered."""
    sweep("branch", "-D", "other", done=frozenset({0, 3})).sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_host_scan(sweep, tmp_path, kinds):
    """A scan is recorded or not, whole."""
    tool = tmp_path.joinpath("work", "tool")
    sweep("host", "scan", f"path:{tool}").sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_undo(sweep, hdist, kinds):
    """What was done is undone or not; a second try does not redo it."""
    hdist("tag", "paper")
    sweep("undo", hdist("undo", "--list").stdout.split()[0], done=frozenset({0, 4})).sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_merge(sweep, hdist, kinds):
    """A merge is in the history or not, whole."""
    hdist("branch", "side")
    hdist("set", "packages.a.env.X=1")
    hdist("set", "packages.b.env.X=1", "-b", "side")
    sweep("merge", "side").sweep(kinds)


@pytest.fixture
def server(hdist, write, tmp_path):
    """A bare repository with a profile of another store."""
    path = str(tmp_path / "server.git")
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    there = ("--store", str(tmp_path / "theirs"))
    hdist(*there, "init")
    write("theirs.toml", STACK.replace("echo b", "echo theirs") + package("c"))
    hdist(*there, "commit", "theirs.toml", "-m", "theirs")
    hdist(*there, "remote", "add", "--trust", "origin", path)
    hdist(*there, "push", "--with-local")
    return path


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_fetch(sweep, hdist, server, kinds):
    """What a remote has is known or not, whole."""
    hdist("remote", "add", "--trust", "origin", server)
    sweep("fetch").sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_clone(sweep, server, kinds):
    """A profile of another repository is there or not, whole."""
    sweep("clone", "--trust", server, "mine", done=frozenset({0, 4})).sweep(kinds)


@pytest.mark.parametrize("kinds", sweeps.TOGETHER, ids="-".join)
def test_artifact_import(sweep, hdist, tmp_path, kinds):
    """An artifact from a file is there or not, whole."""
    hdist("build", "other")
    (tmp_path / "work" / "files").mkdir()
    hdist("artifact", "export", "other", "-o", "files")
    hdist("branch", "-D", "other")
    hdist("gc", "--now")
    names = sorted(os.listdir(tmp_path / "work" / "files"))
    sweep("artifact", "import", *(f"files/{name}" for name in names)).sweep(kinds)
