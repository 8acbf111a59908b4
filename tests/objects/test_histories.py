"""Common ancestors and new commits are those that git finds, however histories cross and whatever clocks say."""

import random
import subprocess

import pytest

from hashdist.objects.commits import NOBODY
from hashdist.objects.ids import CommitId


def grow(store, seed, count, jitter):
    """A history with forks, merges and crossings, and clocks that differ."""
    chance = random.Random(seed)
    tree = store.objects.add_files({"a": b"1"})
    made = []
    for number in range(count):
        parents = chance.sample(made[-6:], min(len(made), chance.choice([1, 1, 2, 2])))
        made.append(
            store.objects.add_commit(
                tree,
                parents=parents,
                identity=NOBODY,
                time=10_000 + number * 10 + chance.randrange(-jitter, jitter + 1),
                message=f"{number}",
            )
        )
    return made


@pytest.mark.parametrize("jitter", [0, 30, 5000])
def test_as_git_has_them(store, jitter):
    """Any two commits of random histories have the bases that git says, and lead to what git says."""

    def git(*arguments):
        done = subprocess.run(["git", "--git-dir", store.git, *arguments], capture_output=True, text=True)
        return sorted(done.stdout.split())

    for seed in range(4):
        made = grow(store, seed, 40, jitter)
        chance = random.Random(seed)
        for _ in range(25):
            one, other = chance.sample(made, 2)
            assert store.objects.merge_bases(one, other) == git("merge-base", "--all", one, other)
            # git's own rev-list may name too many where clocks are far off
            new = set(git("rev-list", one)) - set(git("rev-list", other))
            assert set(store.objects.new_commits([one], [other])) == new


def test_a_clock_that_was_wrong(store):
    """A side whose clock stood years back shares what it shares."""
    tree = store.objects.add_files({"a": b"1"})

    def line(start, times):
        for time in times:
            start = store.objects.add_commit(
                tree, parents=[start] if start else [], identity=NOBODY, time=time, message="m"
            )
        return start

    base = line(None, [10_000] * 4)
    assert store.objects.merge_bases(line(base, [20_000]), line(base, [*range(500, 512), 20_001])) == [base]


def test_what_leads_to_no_commit(store):
    """A tag of a tree among what is known does not matter; one among the tips is told."""
    tree = store.objects.add_files({"a": b"1"})
    commit = store.objects.add_commit(tree, identity=NOBODY, time=1, message="m")
    assert store.objects.new_commits([commit], [CommitId(tree)]) == [commit]
