"""What a push of one changed package sends, of 300 packages; and what a fetch negotiates over with 10,000 refs.

Usage: python benchmarks/pushing.py [DIRECTORY]

A push should send its own objects and its followers' specs, and no more than 10 KB beside. What it sends is counted at
the other side; what its new objects take by themselves is asked of git. A fetch should name few commits to the server,
however many refs there are: that is read from git's own trace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile

from history import PACKAGES, make_history

from hashdist.objects.commits import NOBODY
from hashdist.stack.editing import set_key
from hashdist.workflow import pushing, remoting
from hashdist.workflow.commit import edit
from hashdist.workflow.session import Session

_ROOM = 10 * 1024
_REFS = 10_000
#: Commits that a fetch may name.
_FEW = 300


def packed_bytes(repository: str) -> int:
    """The bytes of all packs of a repository."""
    folder = os.path.join(repository, "objects", "pack")
    return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder) if name.endswith(".pack"))


def push_one(session: Session, server: str) -> None:
    """Change one package, push, and compare."""
    git = ["git", "-C", session.store.git]
    before = subprocess.check_output([*git, "rev-parse", "main"], text=True).strip()
    edit(session, lambda text: set_key(text, "packages.p050.version", "2.0"), message="one package")
    new = subprocess.check_output([*git, "rev-list", "--objects", "--no-object-names", "main", f"^{before}"], text=True)
    ids = new.split()
    asked = subprocess.run(
        [*git, "cat-file", "--batch-check=%(objecttype) %(objectsize:disk)"],
        input="\n".join(ids),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")[:-1]
    own = sum(int(line.split()[1]) for line in asked)
    size = packed_bytes(server)
    pushing.push(session, "origin")
    sent = packed_bytes(server) - size
    verdict = "within" if sent <= own + _ROOM else "OVER"
    print(f"push of one package and {len(ids)} objects: {sent} bytes, its objects are {own}  {verdict} {_ROOM} more")


def negotiate(session: Session, place: str) -> None:
    """Fetch one new commit into a store with very many refs, and count the commits that are named."""
    store = session.store
    tree = store.objects.add_files({"x": b""})
    commits = [
        store.objects.add_commit(tree, identity=NOBODY, time=number, message=f"{number}") for number in range(_REFS)
    ]
    lines = "".join(f"create refs/sources/{number:040x} {commit}\n" for number, commit in enumerate(commits))
    subprocess.run(["git", "-C", store.git, "update-ref", "--stdin"], input=lines, text=True, check=True)
    subprocess.run(["git", "-C", store.git, "pack-refs", "--all"], check=True)
    trace = os.path.join(place, "trace")
    env = {**session.env, "GIT_TRACE_PACKET": trace}
    work = os.path.join(place, "work")
    server = remoting.remotes.find_remote(store, "origin").url
    subprocess.run(["git", "clone", "-q", server, work], check=True)
    subprocess.run(["git", "-C", work, "commit", "-q", "--allow-empty", "-m", "elsewhere"], check=True)
    subprocess.run(["git", "-C", work, "push", "-q"], check=True)
    remoting.fetch(Session(store, env, place), "origin")
    with open(trace, encoding="utf-8", errors="replace") as file:
        text = file.read()
    named = text.count("fetch> have ")
    verdict = "within" if named <= _FEW else "OVER"
    print(f"fetch with {_REFS} refs: {named} commits named, {len(text)} bytes of trace  {verdict} {_FEW}")


def main() -> None:
    """Make a history, push it, and look."""
    place = tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None)
    try:
        session = make_history(place, PACKAGES, 50)
        server = os.path.join(place, "server.git")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", server], check=True)
        subprocess.run(["git", "-C", server, "config", "receive.unpackLimit", "1"], check=True)
        remoting.add(session, "origin", server)
        pushing.push(session, "origin")
        push_one(session, server)
        negotiate(session, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
