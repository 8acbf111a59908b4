"""Locks hold between processes and machines, name their holder, and end with it."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

from hashdist.errors import BusyError
from hashdist.fsutil import holders
from hashdist.fsutil.locks import assume_dead, is_locked, locked

#: What a file system can do to the kernel's locks; each process can be on a machine of its own.
WORLDS = {
    "flock": "",
    "no flock": """
def refuse(fd, kind): raise OSError(errno.ENOLCK, "no locks available")
fcntl.flock = refuse
""",
    "flock on each machine": """
fcntl.flock = lambda fd, kind: None
holders.host_name = lambda: f"host{os.getpid()}"
holders.boot_id = lambda: f"boot{os.getpid()}"
""",
}
HEAD = """
import errno, fcntl, os, pathlib, sys, time
from hashdist.fsutil import holders
from hashdist.fsutil.locks import locked
"""
HOLD = """
with locked(sys.argv[1], purpose="a test", shared=len(sys.argv) > 2):
    print("held", flush=True)
    sys.stdin.read()
"""
COUNT = """
counter = pathlib.Path(sys.argv[2])
for _ in range(40):
    with locked(sys.argv[1], purpose="count"):
        number = int(counter.read_text())
        time.sleep(0.001)
        counter.write_text(str(number + 1))
"""


def start(world, script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + WORLDS[world] + script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process):
    process.stdin.close()
    process.stdout.close()
    return process.wait(60)


@pytest.mark.parametrize("world", WORLDS)
def test_nobody_is_lost(tmp_path, world):
    """Four processes that count in one file count every time, whatever the file system's locks are worth."""
    (tmp_path / "counter").write_text("0")
    processes = [start(world, COUNT, str(tmp_path / "lock"), str(tmp_path / "counter")) for _ in range(4)]
    assert [end(process) for process in processes] == [0, 0, 0, 0]
    assert (tmp_path / "counter").read_text() == "160"
    assert sorted(os.listdir(tmp_path)) == ["counter", "home", "lock"]


@pytest.mark.parametrize("world", ["flock", "no flock"])
@pytest.mark.parametrize("shared", [False, True])
def test_killed(tmp_path, world, shared):
    """A lock names its holder, and ends when that is killed; the next one is told that there was a crash."""
    path = str(tmp_path / "lock")
    process = start(world, HOLD, path, *(["shared"] if shared else []))
    process.stdout.readline()
    said = []
    with pytest.raises(BusyError, match=f"a test .*pid {process.pid}"), locked(path, timeout=0.5, waiting=said.append):
        pass
    assert len(said) == 1
    assert is_locked(path) != shared or world == "flock"
    process.kill()
    end(process)
    assert not is_locked(path)
    with locked(path, purpose="next") as hold:
        assert hold.after_crash != shared
    with locked(path, purpose="next") as hold:
        assert not hold.after_crash


def elsewhere(path, *, age, lease):
    """Leave the lock as a machine would that is not ours."""
    holder = holders.me("work", since=0, lease=lease)._replace(host="node7", boot="another")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(holder.line(), path)
    os.utime(path, (time.time() - age,) * 2, follow_symlinks=False)


@pytest.mark.parametrize("shared", [False, True])
def test_another_machine(tmp_path, shared):
    """What another machine holds is believed until its lease is over, and the hint says what else there is."""
    path = str(tmp_path / "lock")
    elsewhere(f"{path}.shared/x" if shared else f"{path}.held", age=50, lease=100)
    with pytest.raises(BusyError, match="work .*host node7") as caught, locked(path, timeout=0.1):
        pass
    assert "--assume-dead node7" in caught.value.hint
    if shared:
        with locked(path, shared=True, timeout=0.1):
            pass
    else:
        with pytest.raises(BusyError), locked(path, shared=True, timeout=0.1):
            pass
    assert assume_dead(str(tmp_path), "node8") == []
    assert len(assume_dead(str(tmp_path), "node7")) == 1
    with locked(path, timeout=0.1):
        pass
    elsewhere(f"{path}.shared/x" if shared else f"{path}.held", age=150, lease=100)
    with locked(path, timeout=0.1) as hold:
        assert hold.after_crash != shared


def test_the_future_is_young(tmp_path):
    """A holder whose time lies in the future is believed: clocks differ."""
    path = str(tmp_path / "lock")
    elsewhere(f"{path}.held", age=-1e8, lease=100)
    with pytest.raises(BusyError), locked(path, timeout=0.1):
        pass


def test_renewed(tmp_path):
    """Work that goes on says so, and its lease begins anew."""
    path = tmp_path / "lock"
    with locked(str(path), purpose="build"):
        claim = tmp_path / "lock.held"
        os.utime(claim, (1, 1), follow_symlinks=False)
        holders.renew()
        assert time.time() - os.lstat(claim).st_mtime < 60
    assert not claim.is_symlink()


def test_who_wants_it_alone_gets_it(tmp_path):
    """While others share a lock again and again, one who wants it alone is let in."""
    path = str(tmp_path / "lock")
    share = "end = time.time() + 20\nwhile time.time() < end and not os.path.exists(sys.argv[2]):\n    with locked(sys.argv[1], shared=True): time.sleep(0.03)"
    processes = [start("flock", share, path, str(tmp_path / "stop")) for _ in range(3)]
    time.sleep(0.5)
    began = time.monotonic()
    with locked(path, purpose="alone", timeout=15):
        waited = time.monotonic() - began
    (tmp_path / "stop").touch()
    assert [end(process) for process in processes] == [0, 0, 0]
    assert waited < 10


def test_shared_twice(tmp_path):
    """A process that shares a lock may share it again while somebody waits for it to end."""
    path = str(tmp_path / "lock")
    with locked(path, shared=True):
        process = start("flock", HOLD, path)
        while not os.path.lexists(f"{path}.held"):
            time.sleep(0.01)
        with locked(path, shared=True, timeout=1):
            pass
    assert process.stdout.readline() == "held\n"
    assert end(process) == 0


def test_where_we_may_not_write(tmp_path):
    """Who may only read shares a lock without a trace, and is told so when he wants it alone."""
    if os.getuid() == 0:
        pytest.skip("root may write anywhere")
    path = tmp_path / "locks" / "lock"
    path.parent.mkdir()
    path.parent.chmod(0o555)
    with locked(str(path), shared=True):
        assert os.listdir(path.parent) == []
    with pytest.raises(PermissionError), locked(str(path)):
        pass


def test_a_name_that_is_none(tmp_path):
    """A link that names nobody is taken for somebody, for a while."""
    path = str(tmp_path / "lock")
    os.symlink("rubbish", f"{path}.held")
    with pytest.raises(BusyError, match="did not write"), locked(path, timeout=0.1):
        pass
    os.utime(f"{path}.held", (1, 1), follow_symlinks=False)
    with locked(path, timeout=0.1):
        pass
    assert pathlib.Path(path).exists()


@pytest.mark.parametrize("shared", ["", "shared"])
def test_a_disk_that_keeps_our_link(tmp_path, shared):
    """Where the link that says that we hold could not be removed, we do not wait for ourselves."""
    program = (
        HEAD
        + """
unlink, failed = os.unlink, []
def once(path, **options):
    if not failed:
        failed.append(path)
        raise OSError(errno.EIO, "input/output error")
    unlink(path, **options)
os.unlink = once
with locked(sys.argv[1], purpose="first", shared=len(sys.argv) > 2):
    pass
assert failed
with locked(sys.argv[1], purpose="second", timeout=2):
    print("held")
"""
    )
    words = [sys.executable, "-c", program, str(tmp_path / "lock"), *shared.split()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.stdout == "held\n", done.stderr
