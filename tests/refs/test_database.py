"""Refs on disk, read by us and by git."""

import os

import pytest

from hashdist.errors import ConflictError, InvalidError
from hashdist.objects.commits import NOBODY
from hashdist.refs import names
from hashdist.refs.database import RefDamagedError
from hashdist.refs.transaction import RefMovedError


@pytest.fixture
def commits(store):
    """Four commits in a row."""
    tree, made = store.objects.add_files({"a": b""}), []
    for number in range(4):
        made.append(
            store.objects.add_commit(tree, parents=made[-1:], identity=NOBODY, time=number, message=f"c{number}\n")
        )
    return made


def test_git_reads_what_we_write(store, commits, git):
    """A ref, its reflog and HEAD are plain git's."""
    store.refs.update("refs/heads/main", commits[0], old=None, reason="made")
    store.refs.update("refs/heads/main", commits[1], old=commits[0], reason="moved\nit")
    assert git("rev-parse", "HEAD") == commits[1]
    assert git("log", "-g", "--format=%H %gs", "main").splitlines() == [f"{commits[1]} moved it", f"{commits[0]} made"]
    assert "error" not in git("fsck", "--full", "--strict")


def test_we_read_what_git_writes(store, commits, git):
    """Loose and packed refs and symbolic ones that git wrote are read; deleting a packed one deletes it."""
    for number, commit in enumerate(commits):
        git("update-ref", f"refs/heads/b{number}", commit)
    git("pack-refs", "--all")
    git("update-ref", "refs/heads/b0", commits[3])
    git("symbolic-ref", "refs/heads/alias", "refs/heads/b1")
    git("tag", "-a", "-m", "annotated", "t", commits[2])
    found = store.refs.all("refs/heads/")
    assert found == {
        "refs/heads/alias": commits[1],
        **{f"refs/heads/b{n}": c for n, c in enumerate([commits[3], *commits[1:]])},
    }
    with store.refs.transaction("bye") as transaction:
        transaction.delete("refs/heads/b0", old=commits[3])
        transaction.delete("refs/heads/b2", old=commits[2])
    assert git("for-each-ref", "--format=%(refname)", "refs/heads").split() == [
        "refs/heads/alias",
        "refs/heads/b1",
        "refs/heads/b3",
    ]


def test_compare_and_swap(store, commits):
    """A ref that is not where it was expected does not move, and neither does any other of the transaction."""
    store.refs.update("refs/heads/a", commits[0], old=None, reason="x")
    for old in (None, commits[1]):
        with pytest.raises(RefMovedError), store.refs.transaction("y") as transaction:
            transaction.set("refs/heads/b", commits[2])
            transaction.update("refs/heads/a", commits[2], old=old)
    assert store.refs.all("refs/heads/") == {"refs/heads/a": commits[0]}


def test_directory_and_file(store, commits):
    """A profile 'a' and a profile 'a/b' cannot be beside each other, loose or packed; once one is gone the other can."""
    store.refs.update("refs/heads/a/b", commits[0], old=None, reason="x")
    with pytest.raises(ConflictError, match="a/b"):
        store.refs.update("refs/heads/a", commits[0], old=None, reason="x")
    with store.refs.transaction("bye") as transaction:
        transaction.delete("refs/heads/a/b", old=commits[0])
    store.refs.update("refs/heads/a", commits[0], old=None, reason="x")
    with pytest.raises(ConflictError):
        store.refs.update("refs/heads/a/c", commits[0], old=None, reason="x")


@pytest.mark.parametrize("content", ["", "0123", "0" * 39 + "\n", "ref: refs/heads/nowhere\n", "x" * 40 + "\n"])
def test_damage_is_an_error(store, commits, content):
    """A ref that is empty, cut, or leads nowhere is never passed over."""
    store.refs.update("refs/heads/a", commits[0], old=None, reason="x")
    with open(os.path.join(store.git, "refs/heads/a"), "w") as file:
        file.write(content)
    with pytest.raises(RefDamagedError):
        store.refs.all("refs/heads/")


def test_a_lock_file_left_by_a_crash(store, commits):
    """A <ref>.lock that nobody holds does not stop anyone."""
    os.makedirs(os.path.join(store.git, "refs/heads"), exist_ok=True)
    with open(os.path.join(store.git, "refs/heads/a.lock"), "w"):
        pass
    store.refs.update("refs/heads/a", commits[0], old=None, reason="x")
    assert not os.path.exists(os.path.join(store.git, "refs/heads/a.lock"))


@pytest.mark.parametrize(
    "name", ["", "a..b", "a b", "a~1", "x.lock", "a//b", "/a", "a/", ".a", "a/.b", "@", "a@{1}", "é" * 200, "a\tb"]
)
def test_bad_names(store, commits, name):
    """Names that git refuses are refused."""
    with pytest.raises(InvalidError):
        store.refs.update(f"refs/heads/{name}" if name not in {"", "@"} else name, commits[0], old=None, reason="x")


@pytest.mark.parametrize("name", ["-x", "HEAD", "refs/heads/x", ""])
def test_bad_profile_names(name):
    """A profile's name is no option, and nothing that git keeps for itself."""
    with pytest.raises(InvalidError):
        names.check_profile_name(name)


def test_reflog_ignores_an_unfinished_line(store, commits):
    """A crash in the middle of a reflog's line does not make it unreadable."""
    store.refs.update("refs/heads/a", commits[0], old=None, reason="x")
    with open(os.path.join(store.git, "logs/refs/heads/a"), "a") as file:
        file.write(f"{commits[0]} {commits[1]} Ada")
    assert [entry.new for entry in store.refs.reflog("refs/heads/a")] == [commits[0]]


def test_packed_names_with_odd_line_ends(store, commits, git):
    """A name that other programs would break into lines is deleted like any other."""
    for name in ("z\u0085b", "z\u2028c"):
        store.refs.update(f"refs/heads/{name}", commits[0], old=None, reason="x")
    git("pack-refs", "--all")
    with store.refs.transaction("bye") as transaction:
        transaction.delete("refs/heads/z\u0085b", old=commits[0])
    assert list(store.refs.all("refs/heads/")) == ["refs/heads/z\u2028c"]
    assert len(git("for-each-ref", "refs/heads").split("\n")) == 1
