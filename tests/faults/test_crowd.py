"""Eight people at once on one store: what ended well is in the history, nothing reachable is lost, nobody is turned away."""

import os
import random
import subprocess
import sys
import threading
import time

import sweeps
from support import package

from hashdist import Store
from hashdist.verify.verifying import verify

#: Seconds that they are at it.
TIME = 60 if sweeps.FULL else 20
PEOPLE = 8


class Person(threading.Thread):
    """Commits to a profile of their own and to one of all, builds, checks out, adds sources, and collects."""

    def __init__(self, number, folder, end):
        super().__init__()
        self.number, self.folder, self.end = number, folder, end
        self.random = random.Random(number)
        self.claimed, self.shared, self.sources, self.failures, self.count = [], [], [], [], 0

    def hdist(self, *words, fine=(0,)):
        done = subprocess.run(
            [sys.executable, "-m", "hashdist.cli", *words],
            cwd=self.folder / "work",
            env={**os.environ, "HDIST_STORE": str(self.folder / "store")},
            capture_output=True,
            text=True,
            check=False,
        )
        self.count += 1
        if done.returncode not in fine or "Traceback" in done.stderr:
            self.failures.append(f"{words}: {done.returncode}: {done.stderr}")
        return done

    def run(self):
        own = f"p{self.number}"
        self.hdist("commit", f"{own}.toml", "-m", "first", "-b", own)
        k = 0
        while time.monotonic() < self.end and not self.failures:
            k += 1
            what = self.random.choice(("own", "own", "all", "gc", "source", "checkout", "look"))
            if what == "own":
                if self.hdist("set", "-q", "-b", own, f"packages.{own}.env.K={k}").returncode == 0:
                    self.claimed.append(f"env.K={k}")
                self.hdist("build", "-q", own)
            elif what == "all":
                key = f"packages.all.env.X{self.number}x{k}"
                if self.hdist("set", "-q", "-b", "all", f"{key}=1", fine=(0, 4)).returncode == 0:
                    self.shared.append(key)
            elif what == "gc":
                self.hdist("gc", "-q", *self.random.choice(([], ["--now"])))
            elif what == "source":
                name = f"s{self.number}-{k}"
                (self.folder / "work" / name).write_text(name)
                if self.hdist("source", "add", "-q", name).returncode == 0:
                    self.hdist("tag", f"{own}-{k}", own)
                    self.sources.append(f"{own}-{k}")
            elif what == "checkout":
                self.hdist("checkout", "-q", "--build", own, "--to", str(self.folder / "work" / f"c{self.number}"))
            else:
                self.hdist("status")


def test_a_crowd(hdist, write, tmp_path):
    """All commands of all people end well, or say that a profile has moved; at the end everything is there."""
    write("all.toml", package("all"))
    hdist("commit", "all.toml", "-m", "first", "-b", "all")
    for number in range(PEOPLE):
        write(f"p{number}.toml", package(f"p{number}"))
    end = time.monotonic() + TIME
    people = [Person(number, tmp_path, end) for number in range(PEOPLE)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert not [failure for one in people for failure in one.failures]
    store = Store.open(str(tmp_path / "store"), search_path=os.environ["PATH"])
    history = hdist("log", "--oneline", "all").stdout
    for one in people:
        own = hdist("log", "--oneline", f"p{one.number}").stdout
        assert all(claim in own for claim in one.claimed)
        assert own.count("\n") == len(one.claimed) + 1
        assert all(claim in history for claim in one.shared)
        assert all(f"refs/tags/{tag}" in store.refs.all() for tag in one.sources)
    assert history.count("\n") == sum(len(one.shared) for one in people) + 1
    assert verify(store).damage == []
    for place in (tmp_path / "work").glob("c?"):
        name = f"p{place.name[1:]}"
        assert (place / "share" / name).read_text() == f"{name}\n"
    subprocess.run(["git", "-C", store.git, "fsck", "--full", "--strict"], check=True, capture_output=True)
    assert os.listdir(store.inside("roots")) == []
    assert sum(one.count for one in people) > PEOPLE
