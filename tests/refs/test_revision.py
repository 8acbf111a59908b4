"""Revisions mean what they mean in git."""

import pytest

from hashdist.errors import NotFoundError
from hashdist.objects.commits import NOBODY
from hashdist.workflow.profile import find


@pytest.fixture
def history(store):
    """Three commits on main, a tag at the first, and a merge on top."""
    tree, made = store.objects.add_files({"a": b""}), []
    for number in range(3):
        made.append(store.objects.add_commit(tree, parents=made[-1:], identity=NOBODY, time=number, message="c\n"))
        store.refs.update("refs/heads/main", made[-1], old=made[-2] if number else None, reason="x")
    made.append(store.objects.add_commit(tree, parents=(made[2], made[0]), identity=NOBODY, time=9, message="m\n"))
    store.refs.update("refs/heads/merged", made[3], old=None, reason="x")
    store.refs.update("refs/tags/v1", made[0], old=None, reason="x")
    return made


REVISIONS = [
    "main",
    "HEAD",
    "@",
    "main~1",
    "main~2",
    "main^",
    "main^^",
    "merged^2",
    "merged^1~2",
    "main^0",
    "v1",
    "refs/heads/main",
    "heads/main",
    "main@{1}",
    "main@{0}",
]


@pytest.mark.parametrize("text", REVISIONS)
def test_same_as_git(store, history, git, text):
    """git rev-parse gives the same commit."""
    assert find(store, text) == git("rev-parse", f"{text}^{{commit}}")


def test_ids(store, history):
    """The beginning of an id is enough."""
    assert find(store, history[1][:10]) == history[1]
    assert find(store, history[1]) == history[1]


@pytest.mark.parametrize("text", ["nope", "main~9", "main^7", "main@{9}", "main~x", "ffffffffff", "0" * 40, "v1@{1}x"])
def test_not_found(store, history, text):
    """What names nothing is not found."""
    with pytest.raises(NotFoundError):
        find(store, text)
