"""Sources under faults: killed at any moment, on a full disk, by several processes, with damaged caches."""

import os
import random
import resource
import signal
import subprocess
import sys
import tarfile
import time

import pytest

from hashdist.sources.declaration import PathSource, UrlSource
from hashdist.sources.fetching import Fetcher
from hashdist.store.making import init_store


@pytest.fixture
def archive(tmp_path):
    """An archive of 3,000 files, enough for several processes."""
    made = tmp_path / "pkg"
    for number in range(3000):
        place = made / str(number % 60)
        place.mkdir(parents=True, exist_ok=True)
        (place / str(number)).write_bytes(b"%d\n" % number * (number % 200))
    (made / "random").write_bytes(os.urandom(500_000))
    path = tmp_path / "pkg.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(made, "pkg")
    return path


def command(store, *words):
    return [sys.executable, "-m", "hashdist.cli", "--store", store.path, "source", *words]


@pytest.mark.parametrize("what", ["archive", "directory"])
def test_killed_at_any_moment(store, archive, tmp_path, git, what):
    """After kill -9 at whatever moment the repository is whole, nothing half counts, and the next command just works."""
    thing = str(archive if what == "archive" else tmp_path / "pkg")
    started = time.monotonic()
    expected = subprocess.run(command(store, "add", thing), capture_output=True, text=True, check=True).stdout.strip()
    whole = time.monotonic() - started
    rng = random.Random(7)
    for _ in range(8):
        init_store(str(tmp_path / f"store-{rng.random()}"), durability="fast")
        path = max(tmp_path.glob("store-*"), key=os.path.getmtime)
        words = [sys.executable, "-m", "hashdist.cli", "--store", str(path), "source", "add", thing]
        program = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(whole * rng.uniform(0.3, 1.0))
        os.kill(program.pid, signal.SIGKILL)
        program.communicate()
        fsck = subprocess.run(["git", "-C", path / "git", "fsck", "--full", "--strict"], capture_output=True, text=True)
        assert fsck.returncode == 0, fsck.stderr
        again = subprocess.run(words, capture_output=True, text=True, check=True)
        assert again.stdout.strip() == expected
    git("fsck", "--full", "--strict")


def test_full_disk(store, archive, tmp_path):
    """When there is no room the error says so, nothing is left, and with room the next command just works."""

    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    for thing in (str(tmp_path / "pkg"), f"file://{archive}"):
        done = subprocess.run(command(store, "add", thing), preexec_fn=no_room, capture_output=True, text=True)
        assert done.returncode == 1
        assert "File too large" in done.stderr
        assert "make room" in done.stderr
        assert "Traceback" not in done.stderr
        packs = os.path.join(store.git, "objects/pack")
        assert [name for name in os.listdir(packs) if name.startswith(("pack", "tmp"))] == []
    partial = store.inside("downloads/partial")
    assert all(name.endswith(".lock") for name in os.listdir(partial))
    assert subprocess.run(command(store, "add", f"file://{archive}"), capture_output=True).returncode == 0


def test_several_at_once_with_gc(store, archive, tmp_path, git):
    """Processes that add the same things, while gc runs without grace, all succeed, and plain git finds no fault."""
    things = [str(archive), str(tmp_path / "pkg"), f"file://{archive}"]
    programs = [
        subprocess.Popen(command(store, "add", thing), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for thing in things * 2
    ]
    collectors = []
    while any(program.poll() is None for program in programs):
        words = [sys.executable, "-m", "hashdist.cli", "--store", store.path, "gc", "--now"]
        collectors.append(subprocess.run(words, capture_output=True, text=True))
    ids = set()
    for program in programs:
        out, error = program.communicate()
        assert program.returncode == 0, error
        ids.add(out.strip())
    assert len(ids) == 1
    assert all(one.returncode == 0 for one in collectors), [one.stderr for one in collectors]
    git("fsck", "--full", "--strict")


def test_what_was_verified_stays_verified(store, archive):
    """A cached download that was damaged is fetched again; if it cannot be, the damaged one is still not used."""
    fetcher = Fetcher(store)
    pin = fetcher.pin(UrlSource(f"file://{archive}"))
    with store.refs.transaction("test") as transaction:
        name = f"refs/sources/{pin.tree}"
        transaction.delete(name, old=store.refs.get(name))
    with open(store.inside("downloads", pin.sha256), "r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    assert fetcher.bring(pin) == pin.tree
    with store.refs.transaction("test") as transaction:
        transaction.delete(name, old=store.refs.get(name))
    with open(store.inside("downloads", pin.sha256), "r+b") as file:
        file.truncate(5000)
    archive.rename(f"{archive}.gone")
    done = subprocess.run(
        command(store, "add", f"file://{archive}", "--sha256", pin.sha256), capture_output=True, text=True
    )
    assert done.returncode == 7
    assert "nothing at" in done.stderr


def test_a_damaged_memory_of_states(store, archive, tmp_path):
    """What is remembered of a directory and is damaged is not believed."""
    fetcher = Fetcher(store)
    source = PathSource(str(tmp_path / "pkg"))
    expected = fetcher.pin(source).tree
    (name,) = os.listdir(store.inside("index/states"))
    for data in (b"", b"rubbish", os.urandom(5000)):
        with open(store.inside("index/states", name), "wb") as file:
            file.write(data)
        assert fetcher.pin(source).tree == expected


def test_interrupted_downloads_end_at_once(store, tmp_path):
    """Ctrl-C while several servers are silent ends the command promptly, with its code."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        urls = [f"http://127.0.0.1:{port}/{number}" for number in range(3)]
        program = subprocess.Popen(
            command(store, "add", *urls), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        server.settimeout(20)
        held = [server.accept()[0] for _ in range(3)]
        time.sleep(0.3)
        program.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, error = program.communicate(timeout=20)
        assert time.monotonic() - started < 5
        for one in held:
            one.close()
    assert program.returncode == 130
    assert "Traceback" not in error


@pytest.mark.parametrize("count", [1, 3])
def test_an_interrupted_fetch_leaves_no_git_behind(store, count):
    """When hdist alone is told to end, the gits that it started end too, and what they had locked is free."""
    import socket

    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        urls = [f"git+http://127.0.0.1:{port}/{number}.git" for number in range(count)]
        program = subprocess.Popen(
            command(store, "add", *urls),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HDIST_TEST_MARK": mark},
            start_new_session=True,
        )
        server.settimeout(20)
        held = [server.accept()[0] for _ in range(count)]
        assert len(marked(mark)) > 1, "no git was started"
        program.send_signal(signal.SIGTERM)
        _, error = program.communicate(timeout=20)
        until = time.monotonic() + 10
        while (left := marked(mark)) and time.monotonic() < until:
            time.sleep(0.05)
        for one in held:
            one.close()
    assert program.returncode == 143, error
    assert left == []
    assert "Traceback" not in error


def marked(mark):
    """The processes with this mark in their environment."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    if f"HDIST_TEST_MARK={mark}".encode() in file.read().split(b"\0"):
                        found.append(int(entry))
            except OSError:
                continue
    return found
