"""Whole commands against a bare Python: ``--help``, and a checkout between prefixes that exist."""

from __future__ import annotations

import os
import sys
import tempfile
import time

from paired import command, paired

from hashdist import Store
from hashdist.checkout.switch import Checkout, known_prefix
from hashdist.fsutil.removal import remove_tree
from hashdist.store.making import init_store
from hashdist.workflow import checkout as checkouts
from hashdist.workflow.commit import commit_file, edit
from hashdist.workflow.session import Session

STACK = '[packages.a]\nversion = "1"\ncommands = ["mkdir -p $PREFIX/share && echo a > $PREFIX/share/a"]\n'
LIMIT = 5


def main() -> None:
    """Measure."""
    folder = tempfile.mkdtemp(prefix="hdist-bench-")
    path = os.path.join(folder, "store")
    init_store(path)
    store = Store.open(path, identity="Ada <ada@example.org>", search_path=os.environ["PATH"])
    session = Session(store, dict(os.environ), folder)
    with open(os.path.join(folder, "stack.toml"), "w", encoding="utf-8") as file:
        file.write(STACK)
    first = commit_file(session, os.path.join(folder, "stack.toml"), message="m")
    checkouts.create(session, "other", None)
    second = edit(session, lambda text: text.replace("echo a", "echo b"), message="e", profile="other")
    for commit in (first.commit, second.commit):
        checkouts.ready(session, commit)
    hdist = os.path.join(os.path.dirname(sys.executable), "hdist")
    bare = command([sys.executable, "-I", "-c", "pass"])
    paired("hdist --help", command([hdist, "--help"]), bare, limit=LIMIT, peer="python -I", runs=21)
    turn = [0]

    def switch() -> None:
        turn[0] += 1
        command([hdist, "checkout", ("main", "other")[turn[0] % 2]], env={"HDIST_STORE": path})()

    paired("hdist checkout, prefixes there", switch, bare, limit=LIMIT, peer="python -I", runs=21)
    for durable in (True, False):
        in_process(path, (first.commit, second.commit), durable=durable)
    remove_tree(folder)


def in_process(path: str, commits: tuple[str, ...], *, durable: bool) -> None:
    """The switch itself, in a process that is running already."""
    store = Store.open(path, identity="Ada <ada@example.org>", durable=durable)
    place, times = Checkout(store), []
    for number in range(200):
        commit = commits[number % 2]
        started = time.perf_counter()
        prefix = known_prefix(store, commit)
        place.switch(commit, prefix, branch=f"refs/heads/{('main', 'other')[number % 2]}", reason="bench")
        times.append(time.perf_counter() - started)
    times.sort()
    words = "with its syncs" if durable else "without syncs"
    print(f"{'the switch itself in process, ' + words:<52} {times[100] * 1000:8.2f} ms  (limit without syncs: 1 ms)")


main()
