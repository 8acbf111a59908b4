"""Crashes, interruptions and several processes at once: the next command just works."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support import package

from hashdist.gc import plan as gc_plan, sweeping
from hashdist.gc.policy import Policy

SLOW = package("slow", "mkdir -p $PREFIX/x; echo started > $PREFIX/x/f; sleep {}; echo done > $PREFIX/x/f")


@pytest.fixture
def start(tmp_path):
    """Start the real command and leave it running."""
    running = []

    def begin(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "hashdist.cli", *words],
            cwd=tmp_path / "work",
            env={**os.environ, "HDIST_STORE": str(tmp_path / "store")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.terminate()  # and not killed, so that it ends what it started
        process.wait(30)
        process.stdout.close()


def wait_for(pattern, root):
    """Wait until a build has written its first file."""
    for _ in range(500):
        found = list(root.glob(pattern))
        if found and found[0].read_text():
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"no {pattern}")


def sleepers(seconds):
    """The sleep commands of a test's own length that run."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if file.read() == b"sleep\0%s\0" % seconds.encode():
                        found.add(name)
            except OSError:
                continue
    return found


def test_kill_in_a_build(hdist, write, start, tmp_path):
    """After kill -9 in a build the next one just works, and what the dead one left running is killed."""
    write("stack.toml", SLOW.format("317"))
    hdist("commit", "-m", "m")
    process = start("build")
    artifact = wait_for("store/artifacts/slow/1/*/x/f", tmp_path)
    process.kill()
    process.wait()
    orphan = sleepers("317")
    assert len(orphan) == 1
    assert "missing   slow" in hdist("status").stdout, "a half-made artifact is none"
    again = start("build")
    for _ in range(1000):
        running = sleepers("317")
        if len(running) == 1 and not running & orphan:
            break
        time.sleep(0.02)
    assert len(running) == 1, "the orphan is gone, the new one runs"
    assert not running & orphan
    assert artifact.exists()
    again.send_signal(signal.SIGINT)
    assert again.wait(10) == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_interrupted(hdist, write, start, tmp_path, number, code):
    """An interruption stops the build's processes and leaves nothing half-made."""
    seconds = f"318{int(number):02}"  # other runs of this test go on beside it
    write("stack.toml", SLOW.format(seconds))
    hdist("commit", "-m", "m")
    process = start("build")
    wait_for("store/artifacts/slow/1/*/x/f", tmp_path)
    process.send_signal(number)
    assert process.wait(30) == code
    assert sleepers(seconds) == set()
    assert list((tmp_path / "store/artifacts/slow/1").iterdir()) == []
    assert list((tmp_path / "store/builds").iterdir()) == []
    assert list((tmp_path / "store/roots").iterdir()) == []


def test_gc_during_a_build(hdist, write, start, tmp_path):
    """gc in the middle of a build takes neither its inputs nor what it is building."""
    write("stack.toml", package("first") + SLOW.format("3").replace("commands", 'inputs = ["first"]\ncommands'))
    process = start("build", "stack.toml")
    wait_for("store/artifacts/slow/1/*/x/f", tmp_path)
    hdist("gc", "--now")
    assert process.wait(30) == 0, process.stdout.read()
    assert wait_for("store/artifacts/slow/1/*/x/f", tmp_path).read_text() == "done\n"
    assert len(list((tmp_path / "store/artifacts/first/1").iterdir())) == 1


def test_two_builds_at_once(hdist, write, start, tmp_path):
    """Of two processes that build the same, one builds and the other waits, says for whom, and uses it."""
    go = tmp_path / "go"
    write(
        "stack.toml",
        package("slow", f"mkdir -p $PREFIX/x; echo x > $PREFIX/x/f; until test -e {go}; do sleep 0.1; done"),
    )
    hdist("commit", "-m", "m")
    one = start("build")
    wait_for("store/artifacts/slow/1/*/x/f", tmp_path)
    two = start("build")
    waiting = two.stdout.readline()
    assert "waiting for build of slow (host" in waiting
    go.write_text("")
    words = [process.communicate(timeout=60)[0] for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0)
    assert "built slow" in words[0]
    assert "found slow" in words[1]


def test_a_waiting_build_can_be_interrupted(hdist, write, start, tmp_path):
    """Who waits for somebody else's build ends at once when told to."""
    write("stack.toml", SLOW.format("319"))
    hdist("commit", "-m", "m")
    start("build")
    wait_for("store/artifacts/slow/1/*/x/f", tmp_path)
    two = start("build")
    assert "waiting" in two.stdout.readline()
    two.send_signal(signal.SIGTERM)
    assert two.wait(5) == 143
    assert len(sleepers("319")) == 1


def test_no_lost_update(hdist, write, start):
    """Of many processes that commit to one profile, everyone that ended well is in the history."""
    write("stack.toml", package("a"))
    hdist("commit", "-m", "first")
    processes = [start("set", f"packages.a.env.X{number}=1") for number in range(6)]
    codes = [process.wait(60) for process in processes]
    subjects = hdist("log", "--oneline").stdout
    assert 0 in codes
    for number, code in enumerate(codes):
        assert (f"env.X{number}=1" in subjects) == (code == 0)
        assert code in {0, 4}


def test_gc_killed(store, hdist, write, tmp_path):
    """A gc that was killed after it took the refs is finished by the next one."""
    write("stack.toml", package("a"))
    hdist("build", "stack.toml")
    planned = gc_plan.plan(store, Policy(grace=0))
    with store.refs.transaction("as gc does") as transaction:
        for name, commit in planned.refs.items():
            transaction.delete(name, old=commit)
    assert "made" not in hdist("artifact", "list").stdout
    swept = sweeping.collect(store, Policy(grace=0))
    assert {victim.path for victim in swept.artifacts} == {victim.path for victim in planned.artifacts}
    hdist("build", "stack.toml")


def test_leftovers_of_a_crash(store, hdist, write, tmp_path):
    """Half-made prefixes, archives, packs and trash are never used, and gc removes them."""
    write("stack.toml", package("a"))
    hdist("commit", "-m", "m")
    for place in ("prefixes/x.tmp-y", "trash/z", "builds/a-0", "git/objects/pack"):
        (tmp_path / "store" / place).mkdir(parents=True, exist_ok=True)
    for place in ("downloads/tmp-x", "git/objects/pack/tmp_pack_x", "git/refs/heads/main.lock", "git/packed-refs.lock"):
        (tmp_path / "store" / place).write_text("")
    hdist("checkout", "--build")
    hdist("set", "packages.a.env.X=1")
    (tmp_path / "store/git/packed-refs.lock").unlink()
    hdist("gc", "--now")
    left = [str(path.relative_to(tmp_path / "store")) for path in (tmp_path / "store").glob("*/*")]
    assert not [path for path in left if path.startswith(("trash/", "downloads/", "builds/"))]
    assert not [path for path in left if "tmp" in path]


def fill(path):
    """Take all the room there is."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, b"x" * 4096)
    except OSError:
        os.close(fd)


def test_full_disk(hdist, write, tmp_path):
    """On a full disk a command ends in one line and nothing moved; with room it works."""
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.getuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], check=False).returncode
    ):
        pytest.skip("needs root and mount for a small file system")
    try:
        write("stack.toml", package("a", "mkdir -p $PREFIX; head -c 2000000 /dev/zero > $PREFIX/big"))
        env = {"HDIST_STORE": str(small / "s")}
        hdist("init", env=env)
        hdist("commit", "-m", "m", env=env)
        hdist("build", env=env, expect=5)
        hdist("gc", "--now", env=env)
        fill(small / "filler")
        before = hdist("rev-parse", "main", env=env).stdout
        done = hdist("set", "packages.a.env.X=1", env=env, expect=1)
        assert len(done.stderr.strip().splitlines()) <= 2
        assert hdist("rev-parse", "main", env=env).stdout == before
        (small / "filler").unlink()
        hdist("set", "packages.a.env.X=1", env=env)
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_reader_during_switches(hdist, write, tmp_path):
    """Who reads through the checkout during 100 switches always finds a whole prefix."""
    write("stack.toml", package("a"))
    hdist("commit", "-m", "m")
    hdist("checkout", "--build")
    hdist("checkout", "-b", "other")
    hdist("set", "packages.a.env.X=1")
    hdist("checkout", "--build")
    switcher = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from hashdist.cli.main import main\nfor n in range(100): main(['checkout', ['main', 'other'][n % 2]])",
        ],
        env={**os.environ, "HDIST_STORE": str(tmp_path / "store")},
        stderr=subprocess.DEVNULL,
    )
    reads = 0
    while switcher.poll() is None:
        assert (tmp_path / "store/current/share/a").read_text() == "a\n"
        reads += 1
    assert switcher.returncode == 0
    assert reads > 50


def test_gc_during_a_commit(store, session, write):
    """gc in the middle of a commit takes nothing of what the commit is about to name."""
    from hashdist.store.roots import in_use
    from hashdist.workflow import building, commit

    path = write("stack.toml", package("a"))
    with in_use(store):
        resolved = commit.resolve_file(session, path, package("a"), before=None)
        assert gc_plan.plan(store, Policy(grace=0)).refs == {}
        sweeping.collect(store, Policy(grace=0))
        assert all(spec in store.objects for spec in resolved.specs.values())
        recorded = commit.commit_file(session, path, message="m")
    sweeping.collect(store, Policy(grace=0))
    building.build_commit(session, recorded.commit)


def test_everything_at_once(hdist, write, tmp_path):
    """Several processes commit, build and check out while others collect: all ends well and nothing is lost."""
    script = """
    for p in 1 2 3; do (
        hdist commit s$p.toml -m first -b p$p -q >/dev/null || echo F
        for k in 1 2 3 4; do
            hdist set -q -b p$p packages.a$p.env.K=$k >/dev/null && hdist -q build p$p || echo F
            hdist -q checkout --build p$p --to $PWD/c$p || echo F
        done ) &
    done
    for n in 1 2; do ( for k in 1 2 3 4 5 6; do hdist gc --now -q >/dev/null || echo F; done ) & done
    wait
    """
    for number in (1, 2, 3):
        write(f"s{number}.toml", package(f"a{number}"))
    hdist("doctor")
    env = {
        **os.environ,
        "HDIST_STORE": str(tmp_path / "store"),
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path / "work", env=env, capture_output=True, text=True, check=False
    )
    assert "F" not in done.stdout, done.stderr
    for number in (1, 2, 3):
        assert len(hdist("log", f"p{number}", "--oneline").stdout.splitlines()) == 5
        assert (tmp_path / f"work/c{number}/share/a{number}").read_text() == f"a{number}\n"
    fsck = subprocess.run(
        ["git", "-C", tmp_path / "store/git", "fsck", "--full", "--strict"], capture_output=True, text=True, check=True
    )
    assert "missing" not in fsck.stdout + fsck.stderr
