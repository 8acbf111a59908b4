"""What durability, collecting and verifying cost: beside a store that is not durable, nix, the bare deletion, sha256sum.

The store of the second part is generated: artifacts of fifty small files, and sources of very many. An argument says
where: on a disk deleting is mostly waiting, in memory it is the rest that counts.
"""

from __future__ import annotations

import glob
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable

from paired import command, paired, seconds

from hashdist import Store
from hashdist.build.sealing import freeze
from hashdist.fsutil.removal import remove_tree
from hashdist.gc.plan import plan
from hashdist.gc.policy import Policy
from hashdist.gc.sweeping import collect
from hashdist.objects import manifest
from hashdist.objects.ids import CommitId
from hashdist.objects.record import ArtifactRecord, write_record
from hashdist.objects.spec import read_spec
from hashdist.refs import names
from hashdist.store.making import init_store
from hashdist.verify.verifying import verify
from hashdist.workflow import branching
from hashdist.workflow.commit import commit_file
from hashdist.workflow.profile import read_profile
from hashdist.workflow.session import Session

HDIST = [sys.executable, "-m", "hashdist.cli"]
ARTIFACTS, OBJECTS, FILES = 2_000, 106_000, 50


def stack(prefix: str, count: int, source: str) -> str:
    """A stack file of `count` packages, one of them with a source."""
    texts = [f'[packages.{prefix}{n}]\nversion = "1"\ncommands = ["echo {prefix}{n}"]\n' for n in range(count)]
    return f'{texts[0]}source = {{ path = "{source}" }}\n' + "\n".join(texts[1:])


def fill(folder: str, artifacts: int, objects: int) -> None:
    """A store at ``folder/store``, half of which no profile reaches."""
    path = os.path.join(folder, "store")
    init_store(path, durability="fast")
    store = Store.open(path, search_path=os.environ["PATH"])
    session = Session(store, dict(os.environ), folder)
    for profile in ("main", "dead"):
        source = os.path.join(folder, f"source-{profile}")
        for number in range(objects // 2 - 4 * artifacts):
            if number % 200 == 0:
                os.makedirs(f"{source}/{number // 200}")
            with open(f"{source}/{number // 200}/{number}", "w", encoding="ascii") as file:
                file.write(f"{profile} {number}\n" * 8)
        text = stack(profile, artifacts // 2, f"source-{profile}")
        with open(os.path.join(folder, f"{profile}.toml"), "w", encoding="ascii") as file:
            file.write(text)
        commit = commit_file(session, os.path.join(folder, f"{profile}.toml"), message="m", profile=profile).commit
        seal_all(store, commit)
        shutil.rmtree(source)
    branching.delete_branch(store, "dead", force=True)


def seal_all(store: Store, commit: CommitId) -> None:
    """Make artifacts of small files as if they had been built."""
    lock = read_profile(store.objects, commit).lock
    made = {}
    for name, pin in lock.packages.items():
        spec = read_spec(store.objects, pin.spec)
        path = store.artifacts.own_path(spec.artifact)
        os.makedirs(f"{path}/share")
        for number in range(FILES):
            with open(f"{path}/share/{number}", "w", encoding="ascii") as file:
                file.write(f"{name} {number}\n" * 20)
        entries, _ = freeze(path, {})
        record = ArtifactRecord(spec, manifest.encode(entries), b"", (), (), 1, "host")
        made[pin.spec] = write_record(
            store.objects, record, inputs=spec.inputs, parents=(), identity=store.author, time=store.now()
        )
    with store.refs.transaction("benchmark") as transaction:
        for id, record_commit in made.items():
            transaction.set(names.ARTIFACTS + id, record_commit)


def committing(folder: str) -> None:
    """A commit on a durable store beside one on a store that is not."""
    runs: list[Callable[[], None]] = []
    for kind in ("full", "fast"):
        path = os.path.join(folder, kind)
        init_store(path, durability=kind)
        file = os.path.join(folder, f"{kind}.toml")
        with open(file, "w", encoding="ascii") as opened:
            opened.write('[packages.a]\nversion = "1"\ncommands = ["true"]\n')
        subprocess.run(
            [*HDIST, "--store", path, "commit", file, "-q", "-m", "m"], check=True, stdout=subprocess.DEVNULL
        )
        numbers = itertools.count()

        def run(path: str = path, numbers: itertools.count[int] = numbers) -> None:
            words = ["set", "-q", f"packages.a.env.N={next(numbers)}"]
            subprocess.run([*HDIST, "--store", path, *words], check=True, stdout=subprocess.DEVNULL)

        runs.append(run)
    paired("commit, durable beside not", runs[0], runs[1], runs=21, limit=1.3, peer="fast")


def nix_store(folder: str, count: int) -> dict[str, str] | None:
    """A store of nix with so many paths, half of them rooted; None without nix."""
    if shutil.which("nix-store") is None:
        return None
    root = os.path.join(folder, "nix")
    env = {f"NIX_{name.upper()}_DIR": f"{root}/{name}" for name in ("store", "state", "log", "conf")}
    os.makedirs(f"{root}/conf")
    with open(f"{root}/conf/nix.conf", "w", encoding="utf-8") as file:
        file.write("build-users-group =\nsandbox = false\n")
    sources = []
    for number in range(count):
        sources.append(f"{root}/in/p{number}")
        os.makedirs(f"{sources[-1]}/share")
        for k in range(FILES):
            with open(f"{sources[-1]}/share/{k}", "w", encoding="ascii") as file:
                file.write(f"{number} {k}\n" * 20)
    done = subprocess.run(
        ["nix-store", "--add", *sources], env={**os.environ, **env}, check=True, capture_output=True, text=True
    )
    os.makedirs(f"{root}/state/gcroots", exist_ok=True)
    for number, path in enumerate(done.stdout.split()[: count // 2]):
        os.symlink(path, f"{root}/state/gcroots/r{number}")
    return env


def collecting(folder: str) -> None:
    """Gc of a store half of which is dead: planned, done, and of ten times as much."""
    fill(folder, ARTIFACTS, OBJECTS)
    place, base = os.path.join(folder, "store"), os.path.join(folder, "base")
    os.rename(place, base)
    store = Store.open(base, search_path=os.environ["PATH"])
    dead = [os.path.relpath(path, base) for path in glob.glob(f"{base}/artifacts/dead*/1/*")]
    print(
        f"{sum(len(files) for _, _, files in os.walk(f'{base}/git/objects'))} files of git objects, {len(dead)} dead artifacts"
    )

    def fresh() -> None:
        remove_tree(place)
        subprocess.run(["cp", "-a", base, place], check=True)
        os.sync()

    def opened() -> Store:
        return Store.open(place, search_path=os.environ["PATH"])

    def bare() -> None:
        subprocess.run(["rm", "-rf", *(os.path.join(place, path) for path in dead)], check=True)

    del store
    fresh()
    env = nix_store(folder, ARTIFACTS)
    dry = command([*HDIST, "--store", place, "gc", "-n", "--now"])
    if env is not None:
        theirs = command(["nix-store", "--gc", "--print-dead"], env=env)
        paired("gc -n of 2,000 artifacts, whole command", dry, theirs, limit=0.5, peer="nix --print-dead")
        paired("the same, the operation", lambda: void(plan(opened(), Policy(grace=0))), theirs, limit=0.5, peer="nix")
    whole = command([*HDIST, "--store", place, "gc", "--now"])
    paired("gc, whole command", whole, bare, runs=3, limit=1.2, peer="rm -rf", before=fresh)
    operation = lambda: void(collect(opened(), Policy(grace=0)))  # noqa: E731 - named for the line below
    paired("gc, the operation", operation, bare, runs=3, limit=1.2, peer="rm -rf", before=fresh)
    fresh()
    once = seconds(operation)
    remove_tree(place)
    remove_tree(base)
    os.makedirs(f"{folder}/ten")
    fill(f"{folder}/ten", 10 * ARTIFACTS, 10 * OBJECTS)
    large = Store.open(f"{folder}/ten/store", search_path=os.environ["PATH"])
    many = seconds(lambda: void(collect(large, Policy(grace=0))))
    print(f"gc of ten times as much: {many:.2f} s after {once:.2f} s, {many / once:.1f} times")


def void(_: object) -> None:
    """Throw a result away."""


def verifying(folder: str) -> None:
    """Verify beside sha256sum over the same bytes, both with all cores."""
    path = os.path.join(folder, "verified")
    init_store(path, durability="fast")
    store = Store.open(path, search_path=os.environ["PATH"])
    file = os.path.join(folder, "large.toml")
    lines = "".join(
        f'[packages.p{n}]\nversion = "1"\ncommands = ["""mkdir -p $PREFIX; for k in $(seq 40); do '
        f'head -c 4000000 /dev/urandom > $PREFIX/$k; done"""]\n'
        for n in range(6)
    )
    with open(file, "w", encoding="ascii") as opened:
        opened.write(lines)
    subprocess.run([*HDIST, "--store", path, "build", file, "-q"], check=True, stdout=subprocess.DEVNULL)
    sums = f"find {path}/artifacts -type f -print0 | xargs -0 -P {os.cpu_count()} -n 20 sha256sum > /dev/null"
    theirs = command(["sh", "-c", sums])
    paired("verify, whole command", command([*HDIST, "--store", path, "verify"]), theirs, limit=1.25, peer="sha256sum")
    paired("verify, the operation", lambda: void(verify(store)), theirs, limit=1.25, peer="sha256sum")
    remove_tree(path)


def main() -> None:
    """Run all of it in a directory of its own."""
    folder = tempfile.mkdtemp(prefix="hdist-benchmark-", dir=sys.argv[1] if len(sys.argv) > 1 else None)
    try:
        committing(folder)
        verifying(folder)
        collecting(folder)
    finally:
        remove_tree(folder)


if __name__ == "__main__":
    main()
