"""What a command did is undone as a whole, and done again by a second undo."""

import os

import pytest
from support import package

from hashdist.checkout.switch import Checkout
from hashdist.errors import ConflictError, NotFoundError
from hashdist.gc import sweeping
from hashdist.gc.policy import Policy
from hashdist.refs.operations import parse_operations
from hashdist.stack.editing import set_key
from hashdist.workflow import branching, checkout as checkouts, keeping
from hashdist.workflow.commit import commit_file, edit
from hashdist.workflow.undoing import CannotUndoError, deleted, undo


@pytest.fixture
def main(session, write):
    """Two commits on main."""
    first = commit_file(session, write("stack.toml", package("a")), message="first")
    return first.commit, edit(session, lambda text: set_key(text, "packages.a.env.X", "1"), message="second").commit


def state(store):
    """All refs that undo answers for, and where the links lead."""
    refs = {name: store.refs.value(name) for name in store.refs.names() if not name.startswith("refs/undo/")}
    refs = {name: value for name, value in refs.items() if name.startswith(("HEAD", "refs/heads", "refs/tags"))}
    place = Checkout(store)
    return refs, place.commit, place.branch, place.prefix


def switch(session, revision, path=None):
    """As the command does it: one operation."""
    with session.store.refs.operation():
        place = Checkout(session.store, path)
        target = checkouts.choose(session, place, revision)
        place.switch(target.commit, checkouts.ready(session, target.commit), branch=target.branch, reason="checkout")


def new_profile(session):
    with session.store.refs.operation():
        target = checkouts.create(session, "new", "main~1")
        place = Checkout(session.store)
        place.switch(target.commit, checkouts.ready(session, target.commit), branch=target.branch, reason="checkout")


def another(session):
    path = f"{session.directory}/other.toml"
    with open(path, "w") as file:
        file.write(package("z"))
    commit_file(session, path, message="other", profile="other")


CHANGES = {
    "commit": lambda session: edit(session, lambda text: set_key(text, "packages.a.env.X", "2"), message="third"),
    "first commit": another,
    "branch": lambda session: branching.create_branch(session.store, "x", "main~1"),
    "rename": lambda session: branching.rename_branch(session.store, "main", "trunk"),
    "delete": lambda session: branching.delete_branch(session.store, "side", force=True),
    "tag": lambda session: branching.create_tag(session.store, "t", None),
    "untag": lambda session: branching.delete_tag(session.store, "v1"),
    "reset": lambda session: branching.reset(session.store, "main~1"),
    "checkout": lambda session: switch(session, "side"),
    "detach": lambda session: switch(session, "v1"),
    "new profile": new_profile,
}


@pytest.mark.parametrize("change", CHANGES)
def test_undo_and_redo(session, main, change):
    """Each change is undone wholly, links included; a second undo does it again, a third undoes it again."""
    store = session.store
    branching.create_branch(store, "side", "main~1")
    branching.create_tag(store, "v1", "main~1")
    switch(session, "main")
    before = state(store)
    CHANGES[change](session)
    after = state(store)
    assert after != before
    for expected in (before, after, before):
        undo(session)
        assert state(store) == expected


def test_first_checkout(session, main):
    """Where nothing was checked out nothing is checked out again."""
    switch(session, "main")
    undo(session)
    assert not os.path.lexists(session.store.inside("current"))
    assert Checkout(session.store).commit is None
    undo(session)
    assert Checkout(session.store).commit == main[1]
    assert os.path.isdir(session.store.inside("current", "share"))


def test_checkout_elsewhere(session, main, tmp_path):
    """A checkout of another place goes back too; one that was not there goes, and is made anew only by hand."""
    path = str(tmp_path / "env")
    switch(session, "main~1", path)
    old = os.readlink(path)
    switch(session, "main", path)
    assert os.readlink(path) != old
    undo(session)
    assert os.readlink(path) == old
    undo(session)
    undo(session)
    made = next(one for one in reversed(session.store.refs.operations()) if one.summary == "checkout")
    undo(session, made.run)
    assert not os.path.lexists(path)
    with pytest.raises(CannotUndoError, match="forgotten"):
        undo(session)


def test_older_operations(session, main):
    """An operation is named by its run or by what it changed; what moved since stands in its way, and is named."""
    store = session.store
    branching.create_tag(store, "t", "main~1")
    branching.create_branch(store, "x", None)
    undo(session, "t")
    assert store.refs.get("refs/tags/t") is None
    assert store.refs.get("refs/heads/x") == main[1]
    branching.reset(store, "main~1", "x")
    made = next(one for one in store.refs.operations() if one.summary == "profile: from HEAD")
    with pytest.raises(CannotUndoError, match="'x' has moved since") as error:
        undo(session, made.run[:6])
    assert error.value.hint.endswith("hdist undo x")
    undo(session, "x")
    undo(session, made.run)
    assert store.refs.get("refs/heads/x") is None
    with pytest.raises(CannotUndoError, match="undone already"):
        undo(session, made.run)
    with pytest.raises(NotFoundError, match="nothing named 'nobody'"):
        undo(session, "nobody")


def test_nothing_to_undo(session):
    """A new store says that there is nothing."""
    with pytest.raises(NotFoundError, match="nothing was done"):
        undo(session)


def test_what_did_not_happen(session, main):
    """An operation that a crash left only in the log is passed over."""
    store = session.store
    with store.refs.still("test"):
        store.refs.record("never", [("refs/heads/main", main[1], main[0])])
    undo(session)
    assert store.refs.get("refs/heads/main") == main[0]
    assert store.refs.operations()[0].summary == "undo: commit: second"


def test_unfinished_line(session, main):
    """A line that a crash cut off does not count, and the next operation does not run into it."""
    store = session.store
    path = store.inside("operations")
    size = os.path.getsize(path)
    with open(path, "ab") as file:
        file.write(b"feed\t17\tA <a>\tw" + b"\trefs/heads/x" * 9000)
    assert [one.summary for one in store.refs.operations()][:2] == ["commit: second", "commit: first"]
    branching.create_tag(store, "t", None)
    assert parse_operations(path)[0].summary == "tag: from HEAD"
    with open(path, "rb") as file:
        assert b"feed" not in file.read()[size:]


def test_gc_ends_it(session, main, clock):
    """When gc has taken what was undone to, undo says so and changes nothing; the log forgets with the reflogs."""
    store = session.store
    branching.create_branch(store, "x", None)
    edit(session, lambda text: set_key(text, "packages.a.env.X", "3"), message="third", profile="x")
    branching.reset(store, "main", "x")
    clock.now += 100 * 86400
    undone = store.refs.operations()[0]
    sweeping.collect(store, Policy(grace=0))
    assert undone.summary == "reset: moving to main"
    assert undone.run not in {one.run for one in store.refs.operations()}
    assert {one.summary for one in store.refs.operations()} == {
        "profile: from HEAD",
        "commit: second",
        "commit: first",
    }
    with store.refs.still("test"):
        store.refs.record("reset", [("refs/heads/x", "1" * 40, main[1])])
    with pytest.raises(CannotUndoError, match="gc has taken 111111111111"):
        undo(session)
    assert store.refs.get("refs/heads/x") == main[1]


def test_pins(session, main):
    """A pin is undone, and one that was taken away comes back."""
    store = session.store
    keeping.pin(store, "main~1", "keep")
    keeping.unpin(store, "keep")
    undo(session)
    assert keeping.pins(store) == {"keep": main[0]}
    assert deleted(store) == []
    undo(session)
    undo(session)
    undo(session, "pins/keep")
    assert keeping.pins(store) == {}


def test_followed_elsewhere(session, main, tmp_path):
    """A profile that a checkout follows is not undone away from under it."""
    branching.create_branch(session.store, "x", None)
    switch(session, "x", str(tmp_path / "env"))
    with pytest.raises(CannotUndoError, match="checked out at"):
        undo(session, session.store.refs.operations()[1].run)


def test_reset(session, main):
    """A profile moves to where it was, by reflog and by steps; what is no commit of a profile is refused."""
    store = session.store
    done = branching.reset(store, "main~1")
    assert (done.profile, done.before, done.commit) == ("main", main[1], main[0])
    assert branching.reset(store, "main@{1}").commit == main[1]
    count = len(store.refs.operations())
    assert branching.reset(store, "main").before == main[1]
    assert len(store.refs.operations()) == count
    with pytest.raises(NotFoundError):
        branching.reset(store, "nothing")
    with pytest.raises(NotFoundError, match="no profile named 'none'"):
        branching.reset(store, "main", "none")


def test_rename(session, main, tmp_path):
    """The reflog and all checkouts come along; names that are taken or there are refused."""
    store = session.store
    path = str(tmp_path / "env")
    switch(session, "main", path)
    branching.rename_branch(store, "main", "trunk")
    assert Checkout(store, path).branch == Checkout(store).branch == "trunk"
    assert [one.reason for one in store.refs.reflog("refs/heads/trunk")] == [
        "branch: renamed main to trunk",
        "commit: second",
        "commit: first",
    ]
    branching.create_branch(store, "x", None)
    with pytest.raises(ConflictError, match="already"):
        branching.rename_branch(store, "trunk", "x")
    with pytest.raises(NotFoundError, match="no profile named 'main'"):
        branching.rename_branch(store, "main", "y")


def test_commands(hdist, write):
    """reflog, reset, branch -m and undo as people type them, each telling how to undo it."""
    write("stack.toml", package("a"))
    hdist("commit", "-m", "first")
    assert hdist("set", "packages.a.env.X=1").stderr.endswith("; undo: hdist undo\n")
    assert "main@{1}" in hdist("reflog").stdout
    assert hdist("reset", "main~1").stderr.endswith("not checked out; undo: hdist undo\n")
    assert "already" in hdist("reset", "main").stderr
    said = hdist("undo").stderr
    assert said.startswith("main: ") and "undone: reset: moving to main~1; undo: hdist undo" in said
    assert "commit: set packages.a.env.X=1" in hdist("reflog", "main").stdout
    hdist("branch", "-m", "trunk")
    assert hdist("branch").stdout.startswith("* trunk ")
    hdist("reflog", "main", expect=3)
    assert "branch: renamed main to trunk" in hdist("undo", "--list").stdout.splitlines()[0]
    hdist("undo")
    hdist("checkout", "-b", "exp", "--build")
    done = hdist("undo").stderr
    assert "exp: " in done and "current: " in done
    assert hdist("branch").stdout.startswith("* main ")
    # what changes nothing promises nothing
    hdist("checkout", "main", "--build")
    assert "undo" not in hdist("checkout", "main").stderr
