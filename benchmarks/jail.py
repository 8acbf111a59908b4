"""The jail: CPU time of a real configure and make inside it against outside; beside it strace and bwrap.

Fetches the source of zlib-ng from the package index. ``strace`` and ``bwrap`` are compared where they are installed.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

from paired import command

from hashdist.preload.jail import make_jail
from hashdist.preload.rules import Mode, Rules
from hashdist.workflow.declaring import allow_host, declared

HDIST = os.path.join(os.path.dirname(sys.executable), "hdist")
BUILD_LIMIT = 1.10
START_LIMIT = 1.3
RUNS = 7
STARTS = 1000


def cpu(action: Callable[[], None]) -> float:
    """Seconds of CPU that the processes which an action waits for take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def compare(
    title: str, ours: Callable[[], None], theirs: Callable[[], None], *, limit: float | None, runs: int
) -> None:
    """Median CPU time of each, and the median of the ratios pair by pair."""
    ours()
    theirs()
    pairs = []
    for turn in range(runs):
        # who comes first may matter to the machine
        if turn % 2:
            two = cpu(theirs)
            pairs.append((cpu(ours), two))
        else:
            one = cpu(ours)
            pairs.append((one, cpu(theirs)))
    ratio = statistics.median(one / two for one, two in pairs)
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    verdict = "" if limit is None else f"{'within' if ratio <= limit else 'OVER'} {limit}"
    print(f"{title:<44} {mine:8.2f} s CPU, outside {other:8.2f} s  ratio {ratio:5.2f}  {verdict}", flush=True)


def source(folder: str) -> str:
    """The C library that comes with a source release, as a directory."""
    env = {**os.environ, "HDIST_STORE": os.path.join(folder, "store")}
    subprocess.run([HDIST, "init"], env=env, check=True, capture_output=True)
    added = subprocess.run(
        [HDIST, "source", "add", "pypi:zlib-ng==0.5.1"], env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    tree = os.path.join(folder, "source")
    subprocess.run([HDIST, "source", "get", added.stdout.strip(), "--to", tree], env=env, check=True)
    return os.path.join(tree, "src", "zlib_ng", "zlib-ng")


def building(tree: str, folder: str, prefix: Sequence[str], env: dict[str, str]) -> Callable[[], None]:
    """Configure and make a copy of a source, under what `prefix` starts."""

    def run() -> None:
        work = tempfile.mkdtemp(dir=folder)
        subprocess.run(["cp", "-r", f"{tree}/.", work], check=True)
        subprocess.run(
            [*prefix, "sh", "-c", "./configure --zlib-compat && make -j2"],
            cwd=work,
            env=env,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        shutil.rmtree(work)

    return run


def starting(prefix: Sequence[str], env: dict[str, str]) -> Callable[[], None]:
    """Start a program that does nothing, many times."""
    script = f"i=0; while [ $i -lt {STARTS} ]; do /bin/true; i=$((i+1)); done"

    def run() -> None:
        subprocess.run([*prefix, "sh", "-c", script], env=env, check=True, stderr=subprocess.DEVNULL)

    return run


def jail_around(rules: Rules, mode: Mode, folder: str) -> dict[str, str]:
    """The environment of a process inside."""
    place = tempfile.mkdtemp(dir=folder)
    return make_jail(place, rules, mode, env=dict(os.environ)).environment(os.environ)


def main() -> None:
    """Print one line for each comparison."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        tree = source(folder)
        work = os.path.join(folder, "work")
        os.mkdir(work)
        nothing = declared([], [work], [folder], os.environ)
        everything = nothing.copy()
        allow_host(everything, ["base@1", "dpkg:gcc", "path:gcc"], os.environ)
        outside = dict(os.environ)
        plain = building(tree, work, [], outside)
        for title, rules, mode in (
            ("configure + make, report, all declared", everything, "report"),
            ("configure + make, report, nothing declared", nothing, "report"),
            ("configure + make, enforce", everything, "enforce"),
        ):
            inside = jail_around(rules, mode, folder)  # type: ignore[arg-type]
            compare(title, building(tree, work, [], inside), plain, limit=BUILD_LIMIT, runs=RUNS)
        if shutil.which("strace"):
            trace = ["strace", "-f", "-e", "trace=file", "-o", "/dev/null"]
            compare("configure + make, strace -f", building(tree, work, trace, outside), plain, limit=None, runs=3)
        if shutil.which("bwrap"):
            view = ["bwrap", "--bind", "/", "/", "--dev-bind", "/dev", "/dev"]
            compare("configure + make, bwrap", building(tree, work, view, outside), plain, limit=None, runs=3)
        for mode in ("report", "enforce"):
            inside = jail_around(everything, mode, folder)  # type: ignore[arg-type]
            compare(
                f"{STARTS} × /bin/true, {mode}",
                starting([], inside),
                starting([], outside),
                limit=START_LIMIT,
                runs=RUNS,
            )
        compare(
            "hdist jail -- true, against hdist doctor",
            command([HDIST, "jail", "-q", "--", "true"]),
            command([HDIST, "doctor"]),
            limit=None,
            runs=RUNS,
        )


if __name__ == "__main__":
    main()
