"""File systems without locks, links or syncfs; errors that come once; wrong clocks, odd homes, closed streams, no network."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from support import package

from hashdist import Store
from hashdist.verify.verifying import verify

TWO = package("a", source='{ path = "src" }') + package("b", inputs='["a"]')


@pytest.fixture
def strace():
    """Wrap a command so that system calls fail as said; skipped where nobody may trace."""
    program = shutil.which("strace")
    if (
        program is None
        or subprocess.run([program, "-o", os.devnull, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs strace, and leave to trace")

    def wrap(*injections):
        names = ",".join(injection.split(":")[0] for injection in injections)
        rules = [word for injection in injections for word in ("-e", f"inject={injection}")]
        return [program, "-f", "-qq", "-o", os.devnull, "-e", f"trace={names}", *rules]

    return wrap


@pytest.fixture
def job(write, tmp_path):
    """Commit, build, check out, tag, collect and verify on a fresh durable store, each command wrapped."""
    write("src/file", "x\n" * 100)
    write("stack.toml", TWO)
    write("more/file", "more\n")

    def run(wrapper=(), env=None, commands=None):
        place = tmp_path / "world"
        words = commands or (
            ("init",),
            ("commit", "stack.toml", "-m", "m"),
            ("checkout", "--build", "main"),
            ("source", "add", "more"),
            ("checkout", "-b", "other"),
            ("set", "packages.b.env.X=1"),
            ("checkout", "--build"),
            ("tag", "t"),
            ("checkout", "main"),
            ("branch", "-D", "other"),
            ("tag", "-d", "t"),
            ("gc", "--now"),
            ("verify", "-q"),
        )
        done = None
        for one in words:
            done = subprocess.run(
                [*wrapper, sys.executable, "-m", "hashdist.cli", *one],
                cwd=tmp_path / "work",
                env={**os.environ, "HDIST_STORE": str(place), **(env or {})},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{one}: {done.returncode}\n{done.stdout}{done.stderr}"
        if commands is None:
            assert verify(Store.open(str(place))).damage == []
            assert (place / "current/share/b").read_text() == "b\n"
            assert len(os.listdir(place / "artifacts/b/1")) == 1
        return done

    yield run
    from hashdist.fsutil.removal import remove_tree

    remove_tree(str(tmp_path / "world"))


@pytest.mark.parametrize(
    "injections",
    [
        ["flock:error=ENOLCK"],
        ["flock:retval=0"],
        ["syncfs:error=ENOSYS", "flock:error=ENOSYS"],
        ["link:error=EPERM", "linkat:error=EPERM", "renameat2:error=EINVAL"],
    ],
    ids=lambda rules: rules[0].replace(":", "-"),
)
def test_without(strace, job, injections):
    """The whole job works on a file system without locks, with locks that lock nothing, without syncfs, without links."""
    job(strace(*injections))


@pytest.mark.parametrize(
    "injection", ["rename:error=ESTALE:when=1", "unlink:error=EBUSY:when=1", "unlinkat:error=EBUSY:when=1"]
)
def test_once(strace, job, tmp_path, injection):
    """An error of a network file system that comes once is told in one line or passed over; the next try works."""
    job(commands=[("init",)])
    for one in (("commit", "stack.toml", "-m", "m"), ("checkout", "--build", "main"), ("gc", "--now")):
        done = subprocess.run(
            [*strace(injection), sys.executable, "-m", "hashdist.cli", *one],
            cwd=tmp_path / "work",
            env={**os.environ, "HDIST_STORE": str(tmp_path / "world")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert "should not have happened" not in done.stderr
        assert verify(Store.open(str(tmp_path / "world"))).damage == []
        if done.returncode:
            job(commands=[one if one[0] != "commit" else (*one, "--allow-empty")])
    assert (tmp_path / "world/current/share/b").read_text() == "b\n"


@pytest.mark.parametrize("when", ["+10y", "-10y"])
def test_a_clock_ten_years_off(job, write, tmp_path, when):
    """gc with a clock ten years off takes nothing that died lately; what it writes is right for others."""
    faketime = shutil.which("faketime")
    if faketime is None:
        pytest.skip("needs faketime")
    job(commands=[("init",), ("commit", "stack.toml", "-m", "m"), ("checkout", "--build", "main")])
    write("dead.toml", package("dead"))
    lately = [("commit", "dead.toml", "-m", "m", "-b", "dead"), ("build", "dead"), ("branch", "-D", "dead")]
    for env in ({}, {"NO_FAKE_STAT": "1"}):
        job(commands=lately)
        job([faketime, "-f", when], env=env, commands=[("gc",)])
        assert os.path.isdir(tmp_path / "world/artifacts/dead/1")
        assert (tmp_path / "world/current/share/b").exists()
        job(commands=[("undo",), ("build", "dead"), ("branch", "-D", "dead")])
        job([faketime, "-f", when], env={"NO_FAKE_STAT": "1"}, commands=[("undo",), ("branch", "-D", "dead")])
        job(commands=[("gc",)])
        assert os.path.isdir(tmp_path / "world/artifacts/dead/1")
        job(commands=[("undo",), ("branch", "-D", "dead")])
    job(commands=[("gc", "--now"), ("verify", "-q")])
    assert not os.path.isdir(tmp_path / "world/artifacts/dead/1")


def test_files_of_the_future(job, tmp_path):
    """Things whose time lies in the future are young."""
    job(commands=[("init",), ("build", "stack.toml")])
    for here, _, files in os.walk(tmp_path / "world"):
        for name in files:
            os.utime(os.path.join(here, name), (4e9, 4e9), follow_symlinks=False)
    job(commands=[("gc",)])
    assert os.path.isdir(tmp_path / "world/artifacts/b/1")


def test_odd_homes(job, write, tmp_path):
    """HOME may be unset, unreadable or full of hostile settings of git; git's own variables may point anywhere."""
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / ".gitconfig").write_text(
        "[core]\n\tautocrlf = true\n\tsymlinks = false\n\thooksPath = /tmp/evil\n\tfsmonitor = /bin/false\n"
        '[alias]\n\tprune = !false\n\trepack = !false\n[url "file:///nowhere"]\n\tinsteadOf = file://\n'
        "[gc]\n\tauto = 1\n[init]\n\ttemplateDir = /nowhere\n[transfer]\n\thideRefs = refs/heads\n"
    )
    job(env={"HOME": str(hostile), "GIT_CONFIG_GLOBAL": str(hostile / ".gitconfig")})
    shutil.rmtree(tmp_path / "world", ignore_errors=True)
    from hashdist.fsutil.removal import remove_tree

    remove_tree(str(tmp_path / "world"))
    job(
        env={
            "GIT_DIR": "/nowhere",
            "GIT_OBJECT_DIRECTORY": "/nowhere",
            "GIT_INDEX_FILE": "/nowhere",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nowhere",
            "GIT_WORK_TREE": "/nowhere",
            "LC_ALL": "C",
            "HOME": "",
            "XDG_CONFIG_HOME": "/nowhere",
        }
    )
    remove_tree(str(tmp_path / "world"))
    job(env={"HOME": "/proc/1/root/nowhere", "XDG_CACHE_HOME": "/nowhere", "TMPDIR": "/nowhere"})


def test_temporary_directory_full(job, tmp_path):
    """A TMPDIR that is full, and on another file system, changes nothing."""
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.getuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", small], check=False).returncode
    ):
        pytest.skip("needs root and mount for a small file system")
    try:
        with open(small / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        job(env={"TMPDIR": str(small)})
    finally:
        subprocess.run(["umount", small], check=True)


def test_nobody_listens(job, tmp_path):
    """Output that nobody reads, or streams that are closed, end a command quietly."""
    job(commands=[("init",), ("commit", "stack.toml", "-m", "m")])
    env = {**os.environ, "HDIST_STORE": str(tmp_path / "world"), "H": f"{sys.executable} -m hashdist.cli"}
    for line in (
        "$H log >&-",
        "$H verify >&- 2>&-",
        "$H tag x <&- >&- 2>&-",
        "$H show main | true",
        "$H gc -n --json | head -c 1 >/dev/null",
    ):
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path / "work", env=env, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        assert "Exception" not in done.stderr, line
    assert "refs/tags/x" in Store.open(str(tmp_path / "world")).refs.all()
    assert verify(Store.open(str(tmp_path / "world"))).damage == []


def test_no_network(job):
    """Without any network everything works that fetches nothing."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs unshare and leave to make a network of one's own")
    job([unshare, "-rn"])


def test_a_directory_that_is_gone(job, tmp_path):
    """In a working directory that was deleted commands work that need none, and others say so in one line."""
    job(commands=[("init",), ("commit", "stack.toml", "-m", "m")])
    env = {**os.environ, "HDIST_STORE": str(tmp_path / "world"), "H": f"{sys.executable} -m hashdist.cli"}
    script = "mkdir gone; cd gone; rmdir ../gone; $H log --oneline && $H verify -q; $H checkout --to here main"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path / "work", env=env, capture_output=True, text=True, check=False
    )
    assert "m" in done.stdout
    assert "Traceback" not in done.stderr
    assert "is gone" in done.stderr


def test_two_machines(strace, job, tmp_path):
    """Two machines with a file system that grants locks to each by itself: none loses what the other did.

    Each has its own name, its own boot, and flock that always says yes.
    """
    if os.getuid() != 0 or subprocess.run(["unshare", "-mu", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root, to be two machines")
    job(commands=[("init",), ("commit", "stack.toml", "-m", "m"), ("build", "main")])
    processes = []
    for number in range(4):
        boot = tmp_path / f"boot{number}"
        boot.write_text(f"00000000-0000-0000-0000-00000000000{number}\n")
        inner = " ".join(strace("flock:retval=0"))
        script = f"""
        mount --bind {boot} /proc/sys/kernel/random/boot_id && hostname node{number} || exit 9
        for k in 1 2 3; do {inner} {sys.executable} -m hashdist.cli tag t{number}-$k || exit 1; done
        for k in 1 2 3; do {inner} {sys.executable} -m hashdist.cli set packages.b.env.K{number}$k=1 -q; echo $?; done
        """
        processes.append(
            subprocess.Popen(
                ["unshare", "-mu", "--propagation", "private", "bash", "-c", script],
                cwd=tmp_path / "work",
                env={**os.environ, "HDIST_STORE": str(tmp_path / "world")},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    told = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, told
    store = Store.open(str(tmp_path / "world"))
    assert sum(name.startswith("refs/tags/t") for name in store.refs.all()) == 12
    done = job(commands=[("log", "--oneline")]).stdout
    for number, (out, _) in enumerate(told):
        codes = [int(line) for line in out.split() if line.isdigit()]
        assert set(codes) <= {0, 4}
        for k, code in enumerate(codes[-3:], start=1):
            assert (f"env.K{number}{k}=1" in done) == (code == 0)
    assert verify(store).damage == []
    assert list(pathlib.Path(store.inside("locks")).glob("*.held")) == []
