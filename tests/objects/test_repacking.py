"""Packing what is alive anew: nothing alive goes, all that is dead does."""

import math
import subprocess

import pytest

from hashdist.objects.directory import import_directory
from hashdist.objects.repacking import live_objects, loose_objects, prune, repack

SEARCH = "/usr/bin:/bin"


@pytest.fixture
def git(store):
    """Run git on the store; fails if git does."""

    def run(*arguments, input=None):
        command = ["git", "-C", store.git, "-c", "user.name=n", "-c", "user.email=e@example.com", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, input=input).stdout.strip()

    return run


@pytest.fixture
def half_dead(store, git, tmp_path):
    """Packs and loose objects of which half are reached by a ref; all ids of the living."""
    for name in ("alive", "dead"):
        for number in range(300):
            place = tmp_path / name / f"{number % 7}"
            place.mkdir(parents=True, exist_ok=True)
            (place / str(number)).write_text("".join(f"{name} {line}\n" for line in range(number)))
        tree = import_directory(store.objects, str(tmp_path / name))
        loose = [store.objects.add_blob(f"{name} loose {number}".encode()) for number in range(40)]
        entries = "".join(f"100644 blob {id}\tloose{place}\n" for place, id in enumerate(loose))
        top = git("mktree", input=f"{entries}040000 tree {tree}\tpacked\n")
        commit = git("commit-tree", "-m", name, top)
        if name == "alive":
            git("update-ref", "refs/heads/alive", commit)
            git("tag", "-a", "-m", "annotated", "paper", commit)
    store.objects.look_again()
    return set(git("rev-list", "--objects", "--no-object-names", "--all").split())


def objects(git):
    """All that git finds in the store, wherever it lies."""
    return set(git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split())


def test_the_dead_go(store, git, half_dead):
    """What is alive lies in one pack afterwards, tags of git's own loose as they were, and nothing else is left."""
    assert objects(git) > half_dead
    live = live_objects(store.git, SEARCH)
    assert live == half_dead
    assert repack(store.objects, live, everything=True)
    prune(store.objects, live, before=math.inf)
    assert objects(git) == half_dead
    assert list(loose_objects(store.git)) == [git("rev-parse", "refs/tags/paper")]
    git("fsck", "--full", "--strict")


def test_young_ones_stay(store, git, half_dead):
    """Dead loose objects that are younger than what is asked stay, and those that are in a pack too go."""
    dead = objects(git) - half_dead
    young = {id for id in dead if id in set(loose_objects(store.git))}
    assert young
    assert repack(store.objects, half_dead, everything=True)
    prune(store.objects, half_dead, before=0)
    assert objects(git) == half_dead | young


def test_deltas_are_for_git(store, git, half_dead):
    """A pack with deltas is left as it is."""
    git("repack", "-a", "-d", "-f", "-q")
    before = objects(git)
    git("update-ref", "-d", "refs/tags/paper")
    live = live_objects(store.git, SEARCH)
    assert not repack(store.objects, live, everything=True)
    assert objects(git) == before
