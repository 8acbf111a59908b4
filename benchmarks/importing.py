"""Sources in and out, on trees of 1,500 and 30,000 real files, against git, Nix, OSTree, cp and sha1sum.

Every command is a whole process, ours with Python's start and all that a user gets (ref, provenance, stat cache).
Ids, counts and contents are compared beside the times. Peers that are not installed are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time

from installed import install
from paired import paired

from hashdist import Store
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.directory import import_directory
from hashdist.objects.exporting import export_tree
from hashdist.objects.ids import TreeId
from hashdist.sources.declaration import PathSource, PypiSource
from hashdist.sources.fetching import Fetcher
from hashdist.store.making import init_store

#: Real source distributions: one of a few large files, one of very many small ones.
RELEASES = (("numpy", "2.1.3", 1_500), ("ansible", "10.7.0", 30_000))


def room() -> str:
    """A directory in memory if there is one: times of a busy disk tell nothing."""
    shared = "/dev/shm"
    fits = os.path.isdir(shared) and shutil.disk_usage(shared).free > 6 << 30
    return tempfile.mkdtemp(prefix="hdist-bench-", dir=shared if fits else None)


def trees(folder: str) -> list[tuple[str, int]]:
    """The files of the releases, as many as are wanted."""
    init_store(os.path.join(folder, "sources"))
    store = Store.open(os.path.join(folder, "sources"), search_path=os.environ["PATH"])
    made = []
    for name, version, wanted in RELEASES:
        pin = Fetcher(store, env=dict(os.environ)).pin(PypiSource(name, version, wheel=False))
        whole, target, count = os.path.join(folder, name), os.path.join(folder, f"tree-{wanted}"), 0
        export_tree(store.objects, pin.tree, whole, mtime=1)
        for place, folders, files in os.walk(whole):
            folders.sort()
            below = os.path.join(target, os.path.relpath(place, whole))
            for file in sorted(files)[: wanted - count]:
                os.makedirs(below, exist_ok=True)
                shutil.copy2(os.path.join(place, file), below, follow_symlinks=False)
                count += 1
        shutil.rmtree(whole)
        made.append((target, count))
    return made


class Place:
    """Fresh stores of all kinds, and the commands that fill them."""

    def __init__(self, program: list[str], folder: str, tree: str) -> None:
        self.program, self.folder, self.tree = program, folder, tree
        self.ids: dict[str, str] = {}
        self.ours, self.theirs = os.path.join(folder, "ours"), os.path.join(folder, "theirs")

    def fresh(self) -> None:
        """Empty stores."""
        for path in (self.ours, self.theirs, f"{self.theirs}.nix", f"{self.theirs}.ostree"):
            subprocess.run(["chmod", "-R", "u+w", path], check=False, stderr=subprocess.DEVNULL)
            shutil.rmtree(path, ignore_errors=True)
        init_store(self.ours)
        subprocess.run(["git", "init", "-q", "--bare", self.theirs], check=True)
        with open(os.path.join(self.theirs, "info", "attributes"), "w", encoding="ascii") as file:
            file.write("* -text -ident -filter -working-tree-encoding\n")  # or it would store other bytes than it reads
        if shutil.which("ostree"):
            subprocess.run(["ostree", "init", f"--repo={self.theirs}.ostree", "--mode=bare-user-only"], check=True)

    def _run(self, *arguments: str, **env: str) -> str:
        return subprocess.run(
            arguments,
            env={**os.environ, **env},
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ).stdout.strip()

    def hdist(self) -> None:
        """Our command."""
        self.ids["ours"] = self._run(*self.program, "source", "add", self.tree, HDIST_STORE=self.ours)

    def library(self) -> None:
        """Our library, in a repository of its own."""
        path = os.path.join(self.ours, "git")
        self.ids["ours"] = import_directory(ObjectDatabase(path), self.tree)

    def git(self) -> None:
        """``git add -A`` and ``git write-tree``."""
        git = (
            "git",
            "-c",
            "core.bare=false",
            "-c",
            "core.autocrlf=false",
            "-c",
            "core.safecrlf=false",
            "--git-dir",
            self.theirs,
        )
        self._run(*git, "--work-tree", self.tree, "add", "-A", "-f", self.tree)
        self.ids["theirs"] = self._run(*git, "write-tree")

    def nix(self) -> None:
        """``nix-store --add``."""
        self._run("nix-store", "--store", f"{self.theirs}.nix", "--add", self.tree)

    def ostree(self) -> None:
        """``ostree commit``."""
        self._run("ostree", "commit", f"--repo={self.theirs}.ostree", "-b", "x", f"--tree=dir={self.tree}")

    def hashing(self) -> None:
        """SHA-1 of every file, as quick as coreutils can."""
        self._run("sh", "-c", f"find {self.tree} -type f -print0 | xargs -0 sha1sum")

    def get(self) -> None:
        """Our command."""
        self._run(*self.program, "source", "get", self.ids["ours"], "--to", f"{self.folder}/out", HDIST_STORE=self.ours)

    def export(self) -> None:
        """Our library."""
        objects = ObjectDatabase(os.path.join(self.ours, "git"))
        export_tree(objects, TreeId(self.ids["ours"]), f"{self.folder}/out", mtime=1)

    def again(self) -> None:
        """Our library, of what it knows."""
        Fetcher(Store.open(self.ours), env=dict(os.environ)).pin(PathSource(self.tree))

    def copy(self) -> None:
        """``cp -a``."""
        self._run("cp", "-a", self.tree, f"{self.folder}/copy")

    def cleared(self) -> None:
        """Without the results of export and copy."""
        for name in ("out", "copy"):
            shutil.rmtree(f"{self.folder}/{name}", ignore_errors=True)


def memory(place: Place) -> None:
    """Peak memory of the processes of an import and an export, children included."""
    for words in (("add", place.tree), ("get", place.ids["ours"], "--to", f"{place.folder}/peak")):
        program = (
            "import os, resource, subprocess, sys\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        env = {**os.environ, "HDIST_STORE": place.ours}
        done = subprocess.run(
            [sys.executable, "-c", program, *place.program, "source", *words],
            env=env,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        print(f"  peak memory of the largest process, source {words[0]}: {int(done.stdout) / 1024:.0f} MiB (limit 200)")
    shutil.rmtree(f"{place.folder}/peak")


def main() -> None:
    """Measure."""
    folder = room()
    program = install(os.path.join(folder, "program"))
    for tree, count in trees(folder):
        place = Place(program, folder, tree)
        fresh = place.fresh
        paired(
            f"import of {count} files, library",
            place.library,
            place.git,
            limit=0.25,
            peer="git add",
            runs=5,
            before=fresh,
        )
        paired(
            f"import of {count} files, command",
            place.hdist,
            place.git,
            limit=0.25,
            peer="git add",
            runs=5,
            before=fresh,
        )
        if place.ids["ours"] != place.ids["theirs"]:
            print(f"  the ids differ: {place.ids}", file=sys.stderr)
        if shutil.which("nix-store"):
            paired(
                f"import of {count} files, library",
                place.library,
                place.nix,
                limit=1.0,
                peer="nix-store",
                runs=5,
                before=fresh,
            )
            paired(
                f"import of {count} files, command",
                place.hdist,
                place.nix,
                limit=1.0,
                peer="nix-store",
                runs=5,
                before=fresh,
            )
        if shutil.which("ostree"):
            paired(
                f"import of {count} files, command",
                place.hdist,
                place.ostree,
                limit=1.0,
                peer="ostree",
                runs=5,
                before=fresh,
            )
        place.fresh()
        # nothing is remembered of files in memory, see hashdist/objects/statcache.py
        place.tree = os.path.join(tempfile.mkdtemp(prefix="hdist-bench-", dir="/var/tmp"), "tree")
        subprocess.run(["cp", "-a", tree, place.tree], check=True)
        time.sleep(4)
        place.hdist()
        place.git()
        for name, ours in (("library", place.again), ("command", place.hdist)):
            paired(f"unchanged, {count} files, {name}", ours, place.hashing, limit=1.0, peer="sha1sum", runs=7)
            paired(f"unchanged, {count} files, {name}", ours, place.git, limit=4.0, peer="warm git", runs=7)
        shutil.rmtree(os.path.dirname(place.tree))
        place.tree = tree
        for name, ours in (("library", place.export), ("command", place.get)):
            title = f"export of {count} files, {name}"
            paired(title, ours, place.copy, limit=1.5, peer="cp -a", runs=7, before=place.cleared)
        place.cleared()
        place.get()
        place.copy()
        if subprocess.run(["diff", "-r", f"{folder}/out", f"{folder}/copy"], check=False).returncode:
            print("  what came out is not what went in", file=sys.stderr)
        memory(place)
        place.cleared()
    subprocess.run(["chmod", "-R", "u+w", folder], check=False)
    shutil.rmtree(folder)


main()
