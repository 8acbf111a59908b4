"""``log``, ``diff`` and ``explain`` beside git on the same refs: 300 packages, 1,000 commits; and what a push sends.

Usage: python benchmarks/history.py [DIRECTORY]

The stack is a graph as real ones are: a few packages that all others need, and many that nothing needs.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from paired import command, paired

from hashdist import Store
from hashdist.objects.ids import CommitId
from hashdist.stack.file import parse_stack
from hashdist.store.making import init_store
from hashdist.workflow.comparing import compare as compare_commits
from hashdist.workflow.pinning import pin
from hashdist.workflow.recording import record
from hashdist.workflow.session import Session

PACKAGES, COMMITS = 300, 1000
_LIMIT = 3.0


def stack_text(flags: list[int], versions: list[int]) -> str:
    """A stack file in which package N is built with a few of those before it."""
    chance = random.Random(7)
    lines = []
    for number in range(len(flags)):
        inputs = sorted({chance.randrange(max(1, number // 2)) for _ in range(min(number, 4))})
        names = ", ".join(f'"p{one:03}"' for one in inputs)
        lines += [
            f"# package {number}",
            f"[packages.p{number:03}]",
            f'version = "1.{versions[number]}"',
            f"commands = ['./configure --prefix=$PREFIX --with-{number}', 'make', 'make install']",
            f'env = {{ CFLAGS = "-O2 -g -DLEVEL={flags[number]}" }}',
            f"inputs = [{names}]",
            "base = false",
            "",
        ]
    return "\n".join(lines)


def make_history(place: str, packages: int, commits: int) -> Session:
    """A profile `main` with many commits, each of which changes one package."""
    path = os.path.join(place, f"store-{packages}")
    init_store(path, durability="fast")
    store = Store.open(path, identity="Ada <ada@example.org>", search_path=os.environ["PATH"])
    session = Session(store, dict(os.environ), place)
    chance = random.Random(3)
    flags, versions = [0] * packages, [0] * packages
    tip, lock = None, None
    for number in range(commits):
        column = chance.choice([flags, versions])
        column[chance.randrange(packages // 3, packages)] += 1
        text = stack_text(flags, versions)
        resolved = pin(session, text, parse_stack(text), {}, before=lock)
        done = record(session, "refs/heads/main", tip, resolved, f"change {number}", allow_empty=True)
        tip, lock = done.commit, resolved.lock
    subprocess.run(["git", "-C", store.git, "repack", "-adq"], check=True)
    subprocess.run(["git", "-C", store.git, "pack-refs", "--all"], check=True)
    return session


def operation(session: Session, old: CommitId, new: CommitId) -> Callable[[], None]:
    """The comparison alone, of a store that was just opened."""

    def run() -> None:
        store = Store.open(session.store.path, search_path=session.store.search_path)
        compare_commits(store.objects, old, new, refs=store.refs)

    return run


def compare(session: Session, packages: int) -> None:
    """Time the commands beside git's."""
    git = ["git", "-C", session.store.git]
    hdist = [os.path.join(os.path.dirname(sys.executable), "hdist"), "--store", session.store.path]
    of = f"of {packages} packages"
    log_peer = command([*git, "log", f"-{COMMITS}", "--stat", "main"])
    paired(f"log {of}", command([*hdist, "log", "main"]), log_peer, runs=3, limit=_LIMIT, peer="git log --stat")
    paired(f"log --stat {of}", command([*hdist, "log", "main", "--stat"]), log_peer, runs=3, limit=_LIMIT, peer="git")
    paired(
        f"log -- package {of}",
        command([*hdist, "log", "main", "--", "p200"]),
        command([*git, "log", "--stat", "main", "--", "specs/p200"]),
        runs=3,
        limit=_LIMIT,
        peer="git",
    )
    commits = int(subprocess.check_output([*git, "rev-list", "--count", "main"]))
    for far, words in ((1, "one commit"), (20, "20 commits"), (commits - 1, "all commits")):
        ends = [f"main~{far}", "main"]
        peer = command([*git, "diff", "--stat", *ends])
        paired(f"diff {of}, {words}", command([*hdist, "diff", *ends]), peer, limit=_LIMIT, peer="git diff --stat")
        objects = [CommitId(subprocess.check_output([*git, "rev-parse", end], text=True).strip()) for end in ends]
        paired(f"diff {of}, {words}, the operation", operation(session, *objects), peer, limit=_LIMIT, peer="git")
        paired(f"explain {of}, {words}", command([*hdist, "explain", *ends]), peer, limit=_LIMIT, peer="git")


def main() -> None:
    """Make the histories and compare."""
    place = tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None)
    try:
        started = time.perf_counter()
        session = make_history(place, PACKAGES, COMMITS)
        print(f"{COMMITS} commits of {PACKAGES} packages made in {time.perf_counter() - started:.0f} s", flush=True)
        compare(session, PACKAGES)
        compare(make_history(place, PACKAGES * 4, COMMITS // 20), PACKAGES * 4)
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
