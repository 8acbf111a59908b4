"""Whatever system call of a command fails, or is its last: all is old or new, and the next try works."""

import pathlib

import pytest
import sweeps
from support import package

from hashdist.store.making import init_store

KINDS = ("kill", "enospc", "enospc+", "eio", "eio+")
STACK = package("a", source='{ path = "src" }') + package("b", inputs='["a"]')


@pytest.fixture(scope="session")
def faulty(tmp_path_factory):
    return sweeps.faulty(tmp_path_factory)


@pytest.fixture
def sweep(faulty, hdist, write, tmp_path):
    """A store with a profile that is built and checked out, one that is dead, and one that is not built; durable."""
    path = str(tmp_path / "store")
    from hashdist.fsutil.removal import remove_tree

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
    return lambda *command, **words: sweeps.Sweep(faulty, tmp_path, command, **words)


@pytest.mark.parametrize("kind", KINDS)
def test_commit(sweep, write, kind):
    """A commit is in the history or not, whole."""
    write("src/file0", "changed\n")
    sweep("commit", "new.toml", "-m", "m2", done=frozenset({0, 1})).sweep([kind])


@pytest.mark.parametrize("kind", KINDS)
def test_build(sweep, kind):
    """An artifact is there or not, whole."""
    sweep("build", "other").sweep([kind])


@pytest.mark.parametrize("kind", KINDS)
def test_checkout(sweep, hdist, kind):
    """A checkout shows the old prefix or the new one, whole."""
    hdist("build", "other")
    sweep("checkout", "other").sweep([kind])


@pytest.mark.parametrize("kind", KINDS)
def test_gc(sweep, hdist, kind):
    """gc takes nothing that is reachable, and the next one takes the rest."""
    hdist("branch", "-D", "dead")
    sweep("gc", "--now").sweep([kind])


@pytest.mark.parametrize("kind", KINDS)
def test_source_add(sweep, kind):
    """A source is there or not, whole."""
    sweep("source", "add", "more").sweep([kind])


@pytest.mark.parametrize("kind", KINDS)
def test_tag(sweep, kind):
    """A tag is there or not."""
    sweep("tag", "paper", done=frozenset({0, 4})).sweep([kind])


@pytest.mark.parametrize("kind", KINDS)
def test_delete(sweep, kind):
    """A profile is there or deleted, and then remembered."""
    sweep("branch", "-D", "other", done=frozenset({0, 3})).sweep([kind])


@pytest.mark.parametrize("kind", KINDS)
def test_host_scan(sweep, tmp_path, kind):
    """A scan is recorded or not, whole."""
    sweep("host", "scan", f"path:{tmp_path}/work/tool").sweep([kind])
