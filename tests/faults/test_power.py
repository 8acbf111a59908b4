"""Power loss, for real: a file system on a loop device is shut down without its log being written, and mounted again."""

import fcntl
import multiprocessing
import os
import shutil
import struct
import subprocess
import sys

import pytest
import sweeps
from support import package

from hashdist import Store
from hashdist.verify.verifying import verify

#: EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN, and the flag to write no log; see ``fs/ext4/ext4.h``, ``fs/xfs/libxfs/xfs_fs.h``.
SHUTDOWN, NO_LOG = 0x8004587D, 2
#: The smallest that mkfs.xfs makes.
SIZE = 320 << 20


class Disk:
    """A file system that can lose its power."""

    def __init__(self, kind, image, place):
        self.image, self.place = image, place
        place.mkdir()
        with open(image, "wb") as file:
            file.truncate(SIZE)
        make = ["mkfs.ext4", "-q", "-F"] if kind == "ext4" else ["mkfs.xfs", "-q", "-f"]
        subprocess.run([*make, image], check=True, capture_output=True)
        self.mount()

    def mount(self):
        done = subprocess.run(
            ["mount", "-o", "loop", self.image, self.place], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no loop devices can be mounted here: {done.stderr.strip()}")

    def lose_power(self):
        """What was not durable is gone; another's fsync just before writes the log, as it would in life."""
        with open(self.place / "neighbour", "w") as file:
            file.write("x")
            file.flush()
            os.fsync(file.fileno())
        fd = os.open(self.place, os.O_RDONLY)
        fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_LOG))
        os.close(fd)
        subprocess.run(["umount", self.place], check=True)
        self.mount()


@pytest.fixture(params=["ext4", "xfs"])
def disk(request, tmp_path):
    if os.getuid() != 0 or not shutil.which(f"mkfs.{request.param}"):
        pytest.skip(f"needs root and mkfs.{request.param}")
    made = Disk(request.param, tmp_path / "image", tmp_path / "disk")
    yield made
    subprocess.run(["umount", "-l", made.place], check=False)


@pytest.fixture
def run(disk, write, tmp_path):
    write("src/file", "x\n" * 100)
    write("stack.toml", package("a", source='{ path = "src" }') + package("b", inputs='["a"]'))

    def command(*words):
        env = {**os.environ, "HDIST_STORE": str(disk.place / "store")}
        subprocess.run([sys.executable, "-m", "hashdist.cli", *words], cwd=tmp_path / "work", env=env, check=True)

    return command


def look_at(path):
    """What people see of a store, and what is damaged in it."""
    store = Store.open(path)
    return sweeps.state(store), [str(one) for one in verify(store).damage]


def look(disk):
    """The same in a process of its own, which keeps no file open on the disk."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(look_at, [str(disk.place / "store")])


JOB = (
    ("init",),
    ("commit", "-m", "m"),
    ("build", "main"),
    ("checkout", "main"),
    ("source", "add", "src"),
    ("tag", "t"),
    ("set", "packages.b.env.X=1"),
    ("checkout", "--build"),
    ("tag", "-d", "t"),
    ("checkout", "-b", "other"),
    ("gc", "--now"),
)


def test_told_is_kept(disk, run):
    """After each command that ended well the power goes, and what it claimed is there."""
    for words in JOB:
        run(*words)
        before, _ = look(disk)
        disk.lose_power()
        assert look(disk) == (before, []), words
        git = subprocess.run(
            ["git", "-C", disk.place / "store/git", "fsck", "--full", "--strict"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert git.returncode == 0, git.stderr
    assert (disk.place / "store/current/share/b").read_text() == "b\n"


def test_in_the_middle(disk, run, tmp_path):
    """When the power goes in the middle of a build, all is old, and the next try works."""
    run("init")
    run("commit", "-m", "m")
    before, _ = look(disk)
    env = {**os.environ, "HDIST_STORE": str(disk.place / "store")}
    build = subprocess.Popen(
        [sys.executable, "-m", "hashdist.cli", "-q", "build", "main"],
        cwd=tmp_path / "work",
        env=env,
        stderr=subprocess.DEVNULL,
    )
    while not list((disk.place / "store/artifacts").glob("*/*/*")) and build.poll() is None:
        pass
    build.kill()
    build.wait()
    disk.lose_power()
    now, damage = look(disk)
    assert damage == []
    assert before.items() <= now.items()
    assert {now[name] for name in now.keys() - before.keys()} <= {"there"}, "what is new is whole"
    run("checkout", "--build", "main")
    assert (disk.place / "store/current/share/b").read_text() == "b\n"


def test_that_it_matters(disk, run, write):
    """Without durability the same power loss takes something: else the tests above would show nothing."""
    run("init", "--durability", "fast")
    run("commit", "-m", "m")
    run("checkout", "--build", "main")
    before, _ = look(disk)
    disk.lose_power()
    try:
        same = look(disk) == (before, [])
    except Exception:  # noqa: BLE001 - whatever is left of it
        same = False
    assert not same
