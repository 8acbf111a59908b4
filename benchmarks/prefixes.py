"""Prefixes of eighty real wheels: made, changed, switched, loaded; beside nix, stow, ostree and uv where they are.

Fetches the wheels from the package index. Give a directory to keep them in; work is done in memory where there is
room. Peers are told of the same files: an artifact each, with the wheel laid out in ``lib/pythonX.Y/site-packages``.
"""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from paired import command, paired, seconds
from wheels import download, make_store

from hashdist.checkout import prefix as prefixes
from hashdist.checkout.links import Member
from hashdist.checkout.switch import Checkout, remember_prefix
from hashdist.fsutil.removal import remove_tree
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import CommitId, SpecId
from hashdist.stack.linking import Rule
from hashdist.store.store import Store

HDIST = os.path.join(os.path.dirname(sys.executable), "hdist")
FOLDED_LIMIT = 1 / 3
UNFOLDED_LIMIT = 1.5
CHANGED_LIMIT = 20.0
SWITCH_LIMIT = 1.0
COMMAND_LIMIT = 2.0
LOAD_LIMIT = 5.0
RUNS = 9


def entries(path: str) -> int:
    """How many inodes a tree takes."""
    return 1 + sum(len(folders) + len(files) for _, folders, files in os.walk(path))


def milliseconds(title: str, action: Callable[[], float], limit: float, *, runs: int = RUNS) -> None:
    """The median of what `action` measures, in seconds, against a limit in milliseconds."""
    action()
    median = statistics.median(action() for _ in range(runs)) * 1000
    print(f"{title:<52} {median:8.2f} ms  {'within' if median <= limit else 'OVER'} {limit:g} ms", flush=True)


class Ours:
    """Prefixes of the store."""

    def __init__(self, store: Store, members: Sequence[Member]) -> None:
        self.store = store
        self.members = [*members, _python(store)]
        self.made: list[str] = []

    def make(self, *rules: Rule, members: Sequence[Member] | None = None) -> str:
        """Make a prefix."""
        plan = prefixes.plan(self.store, members or self.members, rules)
        path = prefixes.make(self.store, plan, env={})
        self.made.append(path)
        return path

    def clear(self) -> None:
        """Remove what was made."""
        for path in self.made:
            remove_tree(path)
        self.made = []


def _python(store: Store) -> Member:
    """The Python of the machine, as a capture of the host has it."""
    artifact = ArtifactId("python", "3", SpecId("1" * 40))
    path = store.artifacts.path(artifact)
    os.makedirs(os.path.join(path, "bin"))
    executable = os.path.realpath(sys.executable)
    for name in ("python", "python3"):
        os.symlink(executable, os.path.join(path, "bin", name))
    return Member(artifact, path)


def another(members: Sequence[Member]) -> list[Member]:
    """The same artifacts but for another version of the first."""
    first = members[0]
    path = f"{first.path}-other"
    shutil.copytree(first.path, path, symlinks=True)
    return [Member(ArtifactId(first.name, "0", SpecId("2" * 40)), path), *members[1:]]


def nix(folder: str, members: Sequence[Member]) -> tuple[Callable[[], None], Callable[[], None]] | None:
    """Build the same with ``builtin:buildenv``, and switch between two generations; None without nix."""
    if shutil.which("nix-build") is None:
        return None
    root = os.path.join(folder, "nix")
    names = {"NIX_STORE_DIR": "store", "NIX_STATE_DIR": "var", "NIX_LOG_DIR": "log", "NIX_CONF_DIR": "etc"}
    env = {**os.environ, "HOME": f"{root}/home", **{name: f"{root}/{place}" for name, place in names.items()}}
    for place in ("home", "etc"):
        os.makedirs(f"{root}/{place}")
    with open(f"{root}/etc/nix.conf", "w", encoding="utf-8") as file:
        file.write("sandbox = false\nbuild-users-group =\nsubstituters =\n")
    paths = []
    for member in members:
        done = subprocess.run(["nix-store", "--add", member.path], env=env, capture_output=True, text=True, check=True)
        paths.append(done.stdout.strip())
    with open(f"{root}/env.nix", "w", encoding="utf-8") as file:
        file.write(
            '{ salt }: derivation { name = "env"; system = builtins.currentSystem; builder = "builtin:buildenv";'
            ' inherit salt; manifest = "/dummy"; derivations = map (p: ["true" 5 1 (builtins.storePath p)]) ['
            + " ".join(f'"{path}"' for path in paths)
            + "]; }\n"
        )
    salts = itertools.count()

    def build() -> None:
        subprocess.run(
            ["nix-build", f"{root}/env.nix", "--argstr", "salt", str(next(salts)), "-o", f"{root}/result"],
            env=env,
            check=True,
            capture_output=True,
        )

    for _ in range(2):
        build()
        subprocess.run(
            ["nix-env", "-p", f"{root}/profile", "--set", os.readlink(f"{root}/result")], env=env, check=True
        )
    generations = itertools.cycle("12")

    def switch() -> None:
        generation = ["nix-env", "-p", f"{root}/profile", "--switch-generation", next(generations)]
        subprocess.run(generation, env=env, check=True, capture_output=True)

    return build, switch


def stow(folder: str, members: Sequence[Member], *options: str) -> tuple[Callable[[], None], Callable[[], None]] | None:
    """Stow the same, and empty the target; None without stow."""
    if shutil.which("stow") is None:
        return None
    source, target = f"{folder}/stow", f"{folder}/stowed"
    if not os.path.isdir(source):
        os.mkdir(source)
        for member in members:
            subprocess.run(["cp", "-al", member.path, f"{source}/{member.name}"], check=True)

    def clear() -> None:
        shutil.rmtree(target, ignore_errors=True)
        os.mkdir(target)

    return command(["stow", *options, "-d", source, "-t", target, "-S", *(one.name for one in members)]), clear


def ostree(folder: str, members: Sequence[Member]) -> tuple[Callable[[], None], Callable[[], None]] | None:
    """Check the same out of one repository as hard links; None without ostree."""
    if shutil.which("ostree") is None:
        return None
    repo, target = f"{folder}/repo", f"{folder}/ostree"
    subprocess.run(["ostree", "init", f"--repo={repo}", "--mode=bare-user"], check=True)
    for member in members:
        commit = ["ostree", f"--repo={repo}", "commit", "-b", member.name, f"--tree=dir={member.path}"]
        subprocess.run(commit, check=True, stdout=subprocess.DEVNULL)

    def clear() -> None:
        shutil.rmtree(target, ignore_errors=True)

    def checkout() -> None:
        for member in members:
            words = ["ostree", f"--repo={repo}", "checkout", "-U", "-H", "--union", member.name, target]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

    return checkout, clear


def uv(folder: str, wheels: Sequence[str]) -> tuple[Callable[[], None], Callable[[], None]]:
    """Install the same wheels as hard links from uv's cache."""
    target = f"{folder}/uv"
    env = {"UV_CACHE_DIR": f"{folder}/uv-cache"}
    return command([*uv_words(target), *wheels], env=env), lambda: shutil.rmtree(target, ignore_errors=True)


def uv_words(target: str) -> list[str]:
    """How uv is asked for hard links from its cache."""
    program = os.path.join(os.path.dirname(sys.executable), "uv")
    return [program, "pip", "install", "-q", "--offline", "--no-deps", "--link-mode", "hardlink", "--target", target]


def both(one: Callable[[], None], two: Callable[[], None]) -> Callable[[], None]:
    """One after the other."""

    def run() -> None:
        one()
        two()

    return run


def bare(folder: str, ours: Ours) -> tuple[Callable[[], None], Callable[[], None]]:
    """Nothing but the system calls: the same directories, and a link for each file."""
    plan = prefixes.plan(ours.store, ours.members, [Rule("link", "**")])
    links = prefixes.layout(ours.store, plan, env={}).links
    store = ours.store.config.path + "/"
    wanted = [
        (path, "../" * (path.count("/") + 2) + target[len(store) :] if target.startswith(store) else target)
        for path, target in links.all_links()
    ]
    directories = sorted({os.path.dirname(path) for path, _ in wanted} - {""})
    root = f"{folder}/bare/prefix"

    def make() -> None:
        made = set()
        for directory in directories:
            parts = directory.split("/")
            for depth in range(1, len(parts) + 1):
                place = "/".join(parts[:depth])
                if place not in made:
                    made.add(place)
                    os.mkdir(f"{root}/{place}")
        for path, target in wanted:
            os.symlink(target, f"{root}/{path}")

    def clear() -> None:
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(root)

    return make, clear


def loading(prefix: str) -> None:
    """What loading adds to a shell that does nothing."""
    for shell, options, script in (
        ("dash", [], f". {prefix}/bin/activate"),
        ("bash", ["--norc"], f". {prefix}/bin/activate"),
        ("zsh", ["-f"], f". {prefix}/bin/activate"),
        ("fish", ["--no-config"], f"source {prefix}/bin/activate.fish"),
        ("tcsh", ["-f"], f"source {prefix}/bin/activate.csh"),
    ):
        if shutil.which(shell):
            load, nothing = (command([shell, *options, "-c", text]) for text in (script, "true"))
            added = functools.partial(_difference, load, nothing)
            milliseconds(f"load in {shell}, over a script of nothing", added, LOAD_LIMIT, runs=31)


def _difference(one: Callable[[], None], two: Callable[[], None]) -> float:
    return seconds(one) - seconds(two)


def switching(ours: Ours, nix_switch: Callable[[], None] | None) -> None:
    """From one prefix that is there to another: in process, and as a command."""
    store = ours.store
    stack = os.path.join(store.path, "stack.toml")
    env = {**os.environ, "HDIST_STORE": store.path}
    places = [ours.make(members=ours.members[:-1]), ours.make()]
    commits = []
    for name, place in zip(("one", "two"), places, strict=True):
        with open(stack, "w", encoding="utf-8") as file:
            file.write(f'[packages.x]\nversion = "{name}"\ncommands = ["mkdir -p $PREFIX/share"]\n')
        subprocess.run([HDIST, "commit", stack, "-m", name, "-b", name], env=env, check=True, capture_output=True)
        subprocess.run([HDIST, "build", name], env=env, check=True, capture_output=True)
        commit = store.refs[f"refs/heads/{name}"]
        commits.append((commit, place))
        remember_prefix(store, commit, os.path.basename(place))
    turns = itertools.cycle([(*commits[0], "one"), (*commits[1], "two")])

    def switch() -> float:
        commit, place, name = next(turns)
        return seconds(lambda: Checkout(store).switch(commit, place, branch=f"refs/heads/{name}", reason="checkout"))

    milliseconds("switch in process", switch, SWITCH_LIMIT, runs=101)
    if nix_switch is not None:

        def checkout() -> None:
            subprocess.run([HDIST, "checkout", next(turns)[2]], env=env, check=True, capture_output=True)

        paired("switch, whole command", checkout, nix_switch, runs=31, limit=COMMAND_LIMIT, peer="nix-env --switch")


def main() -> None:
    """Measure all of it."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    kept = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(prefix="hashdist-prefixes-", dir=memory) as folder:
        wheels = download(kept or folder)
        store, members = make_store(folder, wheels)
        ours = Ours(store, members)
        nix_build, nix_switch = nix(folder, members) or (None, None)
        folded = stow(folder, members)
        first = ours.make()
        print(f"folded prefix: {entries(first)} entries, with a Python, its standard library and the scripts of shells")
        if nix_build is not None:
            paired(
                "make, folded",
                ours.make,
                nix_build,
                runs=RUNS,
                limit=FOLDED_LIMIT,
                peer="nix buildEnv",
                before=ours.clear,
            )
        if folded is not None:
            run, clear = folded
            paired("make, folded", ours.make, run, limit=FOLDED_LIMIT, peer="stow", before=both(ours.clear, clear))
        if (peer := ostree(folder, members)) is not None:
            run, clear = peer
            paired(
                "make, folded",
                ours.make,
                run,
                runs=3,
                limit=FOLDED_LIMIT,
                peer="ostree",
                before=both(ours.clear, clear),
            )
            print(f"ostree: {entries(f'{folder}/ostree')} entries, hard links")
        run, clear = uv(folder, wheels)
        warm = [word for word in uv_words(f"{folder}/uv-warm") if word != "--offline"]
        subprocess.run([*warm, *wheels], check=True, env={**os.environ, "UV_CACHE_DIR": f"{folder}/uv-cache"})
        paired(
            "make, folded",
            ours.make,
            run,
            runs=5,
            limit=FOLDED_LIMIT,
            peer="uv pip install",
            before=both(ours.clear, clear),
        )
        print(f"uv: {entries(f'{folder}/uv')} entries, hard links")
        make, clear = bare(folder, ours)

        def unfolded() -> None:
            ours.make(Rule("link", "**"))

        paired(
            "make, a link for each file",
            unfolded,
            make,
            limit=UNFOLDED_LIMIT,
            peer="mkdir + symlink",
            before=both(ours.clear, clear),
        )
        print(f"a link for each file: {entries(ours.make(Rule('link', '**')))} entries")
        ours.clear()
        ours.make()
        changed = another(ours.members)

        def change() -> float:
            started = time.perf_counter()
            path = ours.make(members=changed)
            Checkout(store).switch(_commit(store), path, branch=None, reason="checkout")
            elapsed = time.perf_counter() - started
            ours.made.remove(path)
            remove_tree(path)
            return elapsed

        milliseconds("one of 80 changed: made and switched to, in process", change, CHANGED_LIMIT)
        switching(ours, nix_switch)
        loading(ours.make())


def _commit(store: Store) -> CommitId:
    """Any commit: switching reads none."""
    for commit in store.refs.all("refs/heads/").values():
        return commit
    tree = store.objects.add_nested({})
    commit = store.objects.add_commit(tree, parents=(), identity=store.author, time=0, message="x")
    store.refs.update("refs/heads/x", commit, old=None, reason="x")
    return commit


if __name__ == "__main__":
    main()
