"""The main job of hashdist on real software: print each command, run it, check what it claims.

Everything happens in a directory of its own under the system's temporary directory; it is removed at the end
unless DEMO_KEEP is set.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
HDIST = os.path.join(os.path.dirname(sys.executable), "hdist")


class Demo:
    """Runs commands in a store of its own and counts what was checked."""

    def __init__(self, folder: str) -> None:
        self.store = os.path.join(folder, "store")
        self.stack = os.path.join(folder, "stack")
        self.checked = 0
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HDIST_", "GIT_DIR"))},
            "HDIST_STORE": self.store,
        }

    def say(self, text: str) -> None:
        print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)

    def run(self, *arguments: str, expect: int = 0) -> str:
        """Run an hdist command, show it and what it prints, and return its standard output."""
        print(f"$ hdist {' '.join(arguments)}", flush=True)
        started = time.monotonic()
        done = subprocess.run([HDIST, *arguments], env=self.env, cwd=self.stack, stdout=subprocess.PIPE, text=True)
        taken = time.monotonic() - started
        print(done.stdout, end="")
        if taken > 1:
            print(f"  ({taken:.1f} s)")
        if done.returncode != expect:
            sys.exit(f"demo: hdist {' '.join(arguments)} ended with {done.returncode} instead of {expect}")
        return done.stdout

    def use(self, *arguments: str, stdin: str = "") -> str:
        """Run a program of the checkout with an empty environment."""
        program = os.path.join(self.store, "current", "bin", arguments[0])
        print(f"$ env -i {program} {' '.join(arguments[1:])}", flush=True)
        done = subprocess.run([program, *arguments[1:]], env={}, input=stdin, capture_output=True, text=True)
        print(done.stdout + done.stderr, end="")
        if done.returncode != 0:
            sys.exit(f"demo: {program} ended with {done.returncode}")
        return done.stdout

    def check(self, claim: str, holds: bool) -> None:
        """Print a claim with its verdict, and end the demo if it does not hold."""
        print(f"  {'ok' if holds else 'NOT OK'}: {claim}", flush=True)
        if not holds:
            sys.exit("demo: a claim does not hold")
        self.checked += 1

    def artifact(self, name: str) -> str:
        done = subprocess.run(
            [HDIST, "artifact", "path", name],
            env=self.env,
            cwd=self.stack,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.strip()

    def current(self) -> str:
        return os.path.realpath(os.path.join(self.store, "current"))


def main() -> None:
    started = time.monotonic()
    folder = tempfile.mkdtemp(prefix="hashdist-demo-")
    demo = Demo(folder)
    shutil.copytree(HERE, demo.stack, ignore=shutil.ignore_patterns("run.py", "__pycache__"))
    try:
        first_profile(demo)
        experiment(demo)
        back(demo)
        collect(demo)
    finally:
        if "DEMO_KEEP" in os.environ:
            print(f"\nkept: HDIST_STORE={demo.store}")
        else:
            subprocess.run(["chmod", "-R", "u+w", folder], check=False)
            shutil.rmtree(folder)
    print(f"\n{demo.checked} claims checked in {time.monotonic() - started:.0f} s")


def first_profile(demo: Demo) -> None:
    demo.say("A store of its own, and a stack: a wheel, two C libraries from source releases, a program that uses both")
    demo.run("init")
    demo.run("commit", "stack.toml", "-m", "numpy 2.3 with zlib-ng and lz4")
    demo.check("plain git reads the profile", "numpy 2.3" in git(demo, "log", "--oneline", "main"))
    demo.say("Build what is missing, then switch: the checkout is one link")
    demo.run("checkout", "--build", "main")
    demo.check(
        "'current' is a link to a prefix", os.readlink(os.path.join(demo.store, "current")).startswith("prefixes/")
    )
    demo.say("It works by path alone: no PYTHONPATH, no LD_LIBRARY_PATH, an empty environment")
    version = demo.use("python", "-c", "import numpy, sys; print(numpy.__version__, sys.prefix)")
    demo.check("numpy 2.3.5 comes from the checkout", version.split() == ["2.3.5", os.path.join(demo.store, "current")])
    text = demo.use("squeeze", stdin="one stack after another, " * 4000)
    demo.check("the program runs with the stack's zlib-ng and lz4", "zlib-ng" in text and "lz4" in text)
    libraries = subprocess.run(["ldd", f"{demo.store}/current/bin/squeeze"], capture_output=True, text=True).stdout
    demo.check("its libraries are the artifacts' own", libraries.count(f"{demo.store}/artifacts/") == 2)
    demo.check("an artifact has no write bit", os.stat(f"{demo.artifact('lz4')}/lib/liblz4.so.1").st_mode & 0o222 == 0)


def experiment(demo: Demo) -> None:
    demo.say("A branch, one changed flag: only what it touches is built again, beside the old")
    before = {name: demo.artifact(name) for name in ("lz4", "squeeze", "zlib-ng", "numpy")}
    prefix = demo.current()
    demo.run("checkout", "-b", "numpy-experiment")
    demo.check("a new branch needs no new prefix", demo.current() == prefix)
    demo.run("set", "packages.lz4.env.CFLAGS=-O3")
    demo.run("checkout", expect=3)
    demo.run("checkout", "--build")
    after = {name: demo.artifact(name) for name in before}
    changed = {name for name in before if before[name] != after[name]}
    demo.check("lz4 and what is built with it changed, nothing else", changed == {"lz4", "squeeze"})
    demo.check("the old installs are still there", all(os.path.isdir(path) for path in before.values()))
    demo.run("log", "--oneline", "numpy-experiment")
    changes = json.loads(demo.run("diff", "--json", "main", "numpy-experiment"))["changes"]
    causes = [change["name"] for change in changes if not change["follows"]]
    demo.check("diff tells the cause from what follows", causes == ["lz4"] and len(changes) == 2)
    demo.run("diff", "main", "numpy-experiment")


def back(demo: Demo) -> None:
    demo.say("Back at once")
    started = time.monotonic()
    demo.run("checkout", "main")
    taken = (time.monotonic() - started) * 1000
    demo.check(f"switched in {taken:.0f} ms, Python's start included", taken < 2000)
    demo.use("squeeze", stdin="and back again, " * 1000)
    demo.run("status")


def collect(demo: Demo) -> None:
    demo.say("Delete the experiment; gc takes what only it had")
    lz4 = demo.artifact("lz4")
    demo.run("branch", "-D", "numpy-experiment")
    planned = json.loads(demo.run("gc", "-n", "--now", "--json"))
    dead = [path["path"] for path in planned["paths"] if "/artifacts/" in path["path"]]
    demo.check("two artifacts are dead: the experiment's lz4 and squeeze", len(dead) == 2)
    demo.run("gc", "-n")
    demo.check("within the grace period nothing goes", all(os.path.isdir(path) for path in dead))
    demo.run("gc", "--now")
    demo.check("now they are gone", not any(os.path.exists(path) for path in dead))
    demo.check("main's are not", os.path.isdir(lz4))
    demo.use("python", "-c", "import numpy; print(numpy.arange(3) + 1)")
    demo.run("du")
    demo.run("list")
    faults = git(demo, "fsck", "--full", "--strict")
    demo.check("git fsck --strict finds nothing", "error" not in faults and "missing" not in faults)


def git(demo: Demo, *arguments: str) -> str:
    command = ["git", "-C", os.path.join(demo.store, "git"), *arguments]
    print(f"$ git -C store/git {' '.join(arguments)}", flush=True)
    done = subprocess.run(command, env=demo.env, capture_output=True, text=True)
    print(done.stdout + done.stderr, end="")
    if done.returncode != 0:
        sys.exit(f"demo: git {arguments[0]} ended with {done.returncode}")
    return done.stdout + done.stderr


main()
