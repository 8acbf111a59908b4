"""Host software: a scan of gcc with its closure against reading and hashing its files; a check against stat-ing them.

Needs a Debian with gcc, make, binutils and libc6-dev. ``drop_caches`` needs root; without it both sides are warm.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from installed import install
from paired import command, paired

from hashdist.fsutil.removal import remove_tree
from hashdist.hostscan.drift import watched_paths
from hashdist.hostscan.finding import scan
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.scans import Where, newest_scans
from hashdist.hostscan.seen import check_key, look
from hashdist.objects import manifest
from hashdist.stack.packages import HostEntry
from hashdist.store.making import init_store
from hashdist.store.store import Store

SCAN_LIMIT = 3
CHECK_LIMIT = 2
PACKAGES = 200
TOOLCHAIN = ("dpkg:gcc", "dpkg:make", "dpkg:binutils", "dpkg:libc6-dev")
_HASH = """
import hashlib, sys
from concurrent.futures import ThreadPoolExecutor
def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
paths = open(sys.argv[1], "rb").read().split(b"\\0")
with ThreadPoolExecutor() as pool:
    print(len(list(pool.map(digest, paths))))
"""
_STAT = """
import os, sys
for path in open(sys.argv[1], "rb").read().split(b"\\0"):
    try:
        os.lstat(path)
    except OSError:
        pass
"""


def main() -> None:
    """Measure both."""
    if not shutil.which("dpkg-query"):
        print("no dpkg here: nothing measured")
        return
    folder = tempfile.mkdtemp(prefix="hashdist-hosts-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        hdist = install(os.path.join(folder, "installed"))
        scanning(folder, hdist)
        checking(folder, hdist)
    finally:
        remove_tree(folder)


def scanning(folder: str, hdist: Sequence[str]) -> None:
    """A scan into a fresh store against hashing what it reached."""
    paths = reached(TOOLCHAIN)
    listing = write(folder, "paths", paths)
    print(f"gcc, make, binutils, libc6-dev: {len(paths)} files, {sum(map(os.path.getsize, paths)) / 1e6:.0f} MB")
    store = os.path.join(folder, "scan")

    def ours() -> None:
        command([*hdist, "-q", "host", "scan", *TOOLCHAIN], env={"HDIST_STORE": store})()

    def fresh() -> None:
        remove_tree(store)
        init_store(store)

    theirs = command([sys.executable, "-c", _HASH, listing])
    paired("host scan, files in memory", ours, theirs, limit=SCAN_LIMIT, peer="read+hash", before=fresh)
    if can_drop_caches():

        def cold() -> None:
            fresh()
            drop_caches()

        paired("host scan, files on disk", ours, theirs, limit=SCAN_LIMIT, peer="read+hash", before=cold)


def checking(folder: str, hdist: Sequence[str]) -> None:
    """A check of many packages with nothing changed against stat-ing all that it looks at."""
    store_path = os.path.join(folder, "check")
    init_store(store_path, durability="fast")
    everything = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\n"], capture_output=True, text=True, check=True)
    names = sorted(set(everything.stdout.split()))
    env = {"HDIST_STORE": store_path}
    chosen = scanned(hdist, random.Random(1).sample(names, len(names)), env)
    command([*hdist, "host", "check"], env=env)()
    store = Store.open(store_path)
    where = Where.here()
    assert look(store, where.host, check_key(store, where.host_class, os.environ, None)) == len(chosen)
    scans = newest_scans(store.refs, store.objects, where.host_class)
    paths = sorted(watched_paths(store, list(scans.values())))
    listing = write(folder, "watched", paths)
    title = f"host check, {len(chosen)} packages, {len(paths)} files"
    theirs = command([sys.executable, "-I", "-S", "-c", _STAT, listing])
    paired(title, command([*hdist, "host", "check"], env=env), theirs, limit=CHECK_LIMIT, peer="stat")


def scanned(hdist: Sequence[str], names: list[str], env: dict[str, str]) -> list[str]:
    """Scan so many packages as are wanted; those of which a file is missing on this machine are passed over."""
    wanted, rest = names[:PACKAGES], names[PACKAGES:]
    while True:
        words = [*hdist, "-q", "host", "scan", *(f"dpkg:{name}" for name in wanted)]
        done = subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return wanted
        bad = done.stderr.split("'")[1]
        print(f"passed over: {done.stderr.splitlines()[0]}")
        wanted = [name for name in wanted if name != bad] + rest[:1]
        rest = rest[1:]


def reached(finders: Sequence[str]) -> list[str]:
    """Every file that captures of these reach."""
    host = LiveHost(dict(os.environ))
    found = set()
    for number, finder in enumerate(finders):
        for entry in manifest.decode(scan(HostEntry(f"x{number}", (finder,)), host).manifest):
            path = entry.path if entry.path.startswith(b"/") else entry.target or b""
            found.add(os.path.realpath(os.fsdecode(path)))
    return sorted(path for path in found if os.path.isfile(path))


def write(folder: str, name: str, paths: Sequence[str]) -> str:
    """A file with paths, separated by null bytes."""
    place = os.path.join(folder, name)
    with open(place, "wb") as file:
        file.write(b"\0".join(map(os.fsencode, paths)))
    return place


def can_drop_caches() -> bool:
    """Whether we may make the kernel forget files."""
    return os.access("/proc/sys/vm/drop_caches", os.W_OK)


def drop_caches() -> None:
    """Make the kernel forget files."""
    os.sync()
    with contextlib.suppress(OSError), open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")


if __name__ == "__main__":
    main()
