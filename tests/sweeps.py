"""Sweeps: a command is run again and again, and each time another of its system calls that change the store fails.

After each run the store must be whole, everything in it the old or the new one, what exit 0 claimed must be there, and
the next try must end what this one began. `HDIST_SWEEP=full` tries every call; otherwise some are tried.
"""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from hashdist import Store
from hashdist.cli.main import main
from hashdist.fsutil.removal import remove_tree
from hashdist.refs import names
from hashdist.verify.verifying import verify

SOURCE = pathlib.Path(__file__).parent / "faults" / "faulty.c"
FULL = os.environ.get("HDIST_SWEEP") == "full"
#: The kinds of faults of one test: all together where only some calls are tried.
KINDS = ("kill", "enospc", "enospc+", "eio", "eio+")
TOGETHER = [(kind,) for kind in KINDS] if FULL else [KINDS]
#: How many calls of a command are killed, and how many fail with each other kind, unless all do.
KILLED, FAILED = 3, 1


def faulty(tmp_path_factory) -> str:
    """Compile the tracer, once for each test process; the test is skipped where it cannot work."""
    if platform.machine() != "x86_64":
        pytest.skip("the tracer of system calls knows x86-64 only")
    program = tmp_path_factory.mktemp("faulty") / "faulty"
    subprocess.run(["cc", "-O1", "-o", program, SOURCE], check=True)
    works = subprocess.run([program, "/", "none", "0", os.devnull, "true"], capture_output=True, text=True, check=False)
    if works.returncode:
        pytest.skip(f"this system lets nobody trace: {works.stderr.strip()}")
    return str(program)


@dataclass
class Sweep:
    """A command on a store, with what its refs may be before and after it."""

    faulty: str
    """The tracer."""
    folder: pathlib.Path
    """Where the store, and the working directory ``work``, lie."""
    command: Sequence[str]
    """The arguments of hdist."""
    done: frozenset[int] = frozenset({0})
    """The codes with which it may end when it is tried again."""
    old: dict[str, str] = field(default_factory=dict)
    """The state before."""
    new: dict[str, str] = field(default_factory=dict)
    """The state after."""

    @property
    def store(self) -> Store:
        """The store as it is now."""
        return Store.open(str(self.folder / "store"), search_path=os.environ["PATH"])

    def prepare(self) -> int:
        """Keep the store as it is, run the command once, and return how many calls it makes that change it."""
        subprocess.run(["cp", "-a", self.folder / "store", self.folder / "base"], check=True)
        self.old = state(self.store)
        code, _, calls = self.run("none", 0)
        assert code == 0, (self.folder / "err").read_text()
        self.new = state(self.store)
        return calls

    def run(self, kind: str, number: int) -> tuple[int, str, int]:
        """Run it from the beginning with one fault; its code, what it said, how many calls counted."""
        self.reset()
        log = self.folder / "log"
        arguments = [self.faulty, str(self.folder / "store"), kind, str(number), str(log)]
        with open(self.folder / "err", "w") as err:
            done = subprocess.run(
                [*arguments, sys.executable, "-m", "hashdist.cli", *self.command],
                cwd=self.folder / "work",
                env={**os.environ, "HDIST_STORE": str(self.folder / "store")},
                stdout=subprocess.DEVNULL,
                stderr=err,
                timeout=120,
                check=False,
            )
        return done.returncode, (self.folder / "err").read_text(), len(log.read_text().splitlines())

    def reset(self) -> None:
        """Have the store as it was."""
        remove_tree(str(self.folder / "store"))
        subprocess.run(["cp", "-a", self.folder / "base", self.folder / "store"], check=True)

    def again(self, *command: str) -> int:
        """Run a command without a fault, in a process of its own; return its code."""
        pid = os.fork()
        if pid == 0:
            os.chdir(self.folder / "work")
            os.environ["HDIST_STORE"] = str(self.folder / "store")
            sink = os.open(self.folder / "again", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            code = main(list(command))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def check(self, kind: str, number: int) -> list[str]:
        """Run it with one fault and look at what is left; return what is wrong."""
        code, said, _ = self.run(kind, number)
        faults = []
        if "Traceback" in said or "should not have happened" in said:
            faults.append(f"said: {said[-2000:]}")
        if kind != "kill" and code < 0:
            faults.append(f"ended with {code}")
        faults += self._unsound(code)
        again = self.again(*self.command)
        if again not in self.done:
            faults.append(f"the next try ended with {again}: {(self.folder / 'again').read_text()[-1500:]}")
        faults += [f"after the next try: {fault}" for fault in self._unsound(0)]
        if faults:
            lines = (self.folder / "log").read_text().splitlines()
            faults.insert(
                0, f"{' '.join(self.command)}: {kind} at {lines[number - 1] if number <= len(lines) else number}"
            )
        return faults

    def _unsound(self, code: int) -> list[str]:
        try:
            found = [f"{one.kind} {one.what} {one.path}: {one.words}" for one in verify(self.store).damage]
            now = state(self.store)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            return [f"cannot be looked at: {type(error).__name__}: {error}"]
        for name in {**self.old, **self.new, **now}:
            allowed = {self.new.get(name)} if code == 0 else {self.old.get(name), self.new.get(name)}
            if now.get(name) not in allowed:
                found.append(f"{name} is {now.get(name)}, not {allowed} (exit {code})")
        return found

    def sweep(self, kinds: Sequence[str]) -> None:
        """Try every call, or some, with each kind of fault; fail with all that is wrong."""
        calls = self.prepare()
        faults = []
        for kind in kinds:
            total = calls if not kind.startswith("enospc") else self.run("enospc", 0)[2]
            step = 1 if FULL else max(1, total // (KILLED if kind == "kill" else FAILED))
            begin = 1 if FULL else 1 + hash_of(self.command, kind) % step
            for number in range(begin, total + 1, step):
                faults += self.check(kind, number)
        assert not faults, "\n".join(faults)


_SEEN = (names.HEADS, names.TAGS, names.HOSTS, names.CHECKOUTS, names.PINS, names.SOURCES, names.REMOTES)


def hash_of(command: Sequence[str], kind: str) -> int:
    """Another start for each, the same every time."""
    return sum(map(ord, " ".join((*command, kind))))


def state(store: Store) -> dict[str, str]:
    """What people see of a store: where roots lead (by content, since times differ), artifacts, the checkout."""
    found = {}
    for name, commit in store.refs.all("refs/").items():
        if name.startswith(_SEEN):
            found[name] = str(store.objects.commit(commit).tree)
    for spec, _ in store.artifacts.all():
        artifact = store.artifacts.record(spec).spec.artifact
        if artifact in store.artifacts:
            found[str(artifact)] = "there"
    current = store.inside("current")
    found["current"] = os.readlink(current) if os.path.lexists(current) else ""
    if found["current"]:
        found["prefix"] = "there" if os.path.isdir(os.path.realpath(current)) else "lost"
    return found
