"""Importing a source tree against ``git add -A`` and ``git write-tree`` on a fresh repository; ids must be equal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile

from paired import paired

from hashdist.objects import libgit2
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.directory import import_directory

LIMIT = 0.5


def trees(folder: str) -> list[tuple[str, int]]:
    """Two real trees of about 1,500 and 30,000 files, made of this Python's library and its packages."""
    made = []
    sources = [sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")]
    for wanted in (1_500, 30_000):
        target, count, copy = os.path.join(folder, f"tree-{wanted}"), 0, 0
        while count < wanted:
            for source in sources:
                for place, folders, files in os.walk(source):
                    folders[:] = [name for name in folders if name not in {"__pycache__", ".git", "site-packages"}]
                    if count >= wanted:
                        break
                    below = os.path.join(target, str(copy), os.path.relpath(place, source))
                    os.makedirs(below, exist_ok=True)
                    for name in files:
                        shutil.copy(os.path.join(place, name), below)
                        if copy:  # what is there twice would be stored once
                            with open(os.path.join(below, name), "ab") as file:
                                file.write(b"# %d\n" % copy)
                        count += 1
            copy += 1
        made.append((target, count))
    return made


def main() -> None:
    """Measure."""
    folder = tempfile.mkdtemp(prefix="hdist-bench-")
    repositories = [os.path.join(folder, name) for name in ("ours", "theirs")]
    ids: dict[str, str] = {}

    def fresh() -> None:
        for repository in repositories:
            shutil.rmtree(repository, ignore_errors=True)
        libgit2.init_repository(repositories[0])
        subprocess.run(["git", "init", "-q", "--bare", repositories[1]], check=True)
        os.sync()

    for tree, count in trees(folder):

        def ours(tree: str = tree) -> None:
            ids["ours"] = import_directory(ObjectDatabase(repositories[0]), tree)

        def theirs(tree: str = tree) -> None:
            env = {**os.environ, "GIT_DIR": repositories[1], "GIT_WORK_TREE": tree}
            options = ["-c", "core.bare=false", "-c", "core.autocrlf=false"]
            subprocess.run(
                ["git", *options, "add", "-A", "-f", "."], env=env, cwd=tree, check=True, stderr=subprocess.DEVNULL
            )
            done = subprocess.run(
                ["git", *options, "write-tree"], env=env, cwd=tree, check=True, capture_output=True, text=True
            )
            ids["theirs"] = done.stdout.strip()

        paired(f"import of {count} files", ours, theirs, limit=LIMIT, peer="git add", runs=5, before=fresh)
        if ids["ours"] != ids["theirs"]:
            print(f"  the ids differ: {ids}", file=sys.stderr)
    shutil.rmtree(folder)


main()
