"""Find the commit, and within it the packages, with which something began to go wrong."""

import itertools
import json
import re

import pytest
from hypothesis import given, strategies as st
from support import package

from hashdist.errors import ConflictError, InvalidError
from hashdist.gc import sweeping
from hashdist.gc.policy import Policy
from hashdist.refs import names
from hashdist.stack.editing import set_key
from hashdist.workflow import branching, building
from hashdist.workflow.bisecting.marks import NotBisectingError, look, mark, reset, start
from hashdist.workflow.bisecting.minimizing import minimal
from hashdist.workflow.bisecting.running import BisectRunError, run
from hashdist.workflow.bisecting.within import blame_packages
from hashdist.workflow.commit import commit_file, edit
from hashdist.workflow.profile import find, read_profile
from hashdist.workflow.undoing import undo

#: Says that a prefix is bad if some package has a certain value in it.
JUDGE = ["sh", "-c", '! grep -q "$0" "$(dirname "$(command -v marker)")/../share/$1"']


def noted(name, value="ok"):
    """A package that writes its value into a file of its name."""
    return package(
        name, f"mkdir -p $PREFIX/share && echo $VALUE > $PREFIX/share/{name}", env=f'{{ VALUE = "{value}" }}'
    )


MARKER = package(
    "marker", "mkdir -p $PREFIX/bin && printf '#!/bin/sh\\n' > $PREFIX/bin/marker && chmod 755 $PREFIX/bin/marker"
)


@pytest.fixture
def history(session, write):
    """Ten commits, of which the seventh breaks `a`, by way of changing three packages."""
    text = MARKER + noted("a") + noted("b") + noted("c") + package("n")
    made = [commit_file(session, write("stack.toml", text), message="c0").commit]
    for number in range(1, 10):

        def change(text, number=number):
            text = set_key(text, "packages.n.version", str(number + 1))
            if number == 7:
                text = set_key(text, "packages.a.env.VALUE", "broken")
                text = set_key(text, "packages.b.env.VALUE", "other")
                text = set_key(text, "packages.c.env.VALUE", "more")
            return text

        made.append(edit(session, change, message=f"c{number}").commit)
    return made


def judge(value="broken", name="a"):
    return [*JUDGE, value, name]


def test_run(session, history):
    """A command finds the first bad commit, with few builds; checkouts stay where they are."""
    start(session, "main", ["main~9"])
    told = []
    found = run(session, judge(), told=told.append)
    assert found.found == history[7]
    assert len([line for line in told if "trying" in line]) <= 4
    tried = {read_profile(session.store.objects, one).lock.specs["n"] for one in history}
    built = {spec for spec, _ in session.store.artifacts.all()}
    assert len(tried & built) <= 4
    assert session.store.refs.get(names.at_ref("current")) is None
    reset(session)
    assert session.store.refs.all(names.BISECT) == {}
    with pytest.raises(NotBisectingError):
        reset(session)


def test_within(session, history):
    """Within the commit the one package of four that is to blame is named, and two that only together are bad."""
    blamed = blame_packages(session, history[7], judge())
    assert [str(unit) for unit in blamed.guilty] == ["a"]
    assert sorted(str(unit) for unit in blamed.changed) == ["a", "b", "c", "n"]
    lock = read_profile(session.store.objects, blamed.commit).lock
    assert lock.specs["a"] == read_profile(session.store.objects, history[7]).lock.specs["a"]
    assert lock.specs["b"] == read_profile(session.store.objects, history[6]).lock.specs["b"]
    both = 'cd "$(dirname "$(command -v marker)")/../share"; ! { grep -q other b && grep -q more c; }'
    assert [str(unit) for unit in blame_packages(session, history[7], ["sh", "-c", both]).guilty] == ["b", "c"]
    with pytest.raises(InvalidError, match="first commit"):
        blame_packages(session, history[0], judge())


def test_within_patches_and_needs(session, write):
    """Files and added packages are changes too; what is no stack by itself is passed over."""
    write("fix.patch", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+two\n")
    write("src/f", "one\n")
    text = MARKER + package(
        "p", "mkdir $PREFIX/share; cp f $PREFIX/share/f", source='{ path = "src" }', patches='["fix.patch"]'
    )
    path = write("stack.toml", text)
    commit_file(session, path, message="good")
    write("fix.patch", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+broken\n")
    text = (
        text.replace('version = "1"', 'version = "2"', 1)
        + noted("new")
        + noted("newer").replace("[packages.newer]", '[packages.newer]\ninputs = ["new"]')
    )
    bad = commit_file(session, write("stack.toml", text), message="bad").commit
    assert [str(unit) for unit in blame_packages(session, bad, judge(name="f")).guilty] == ["file:fix.patch"]
    needs = ["sh", "-c", '! test -e "$(dirname "$(command -v marker)")/../share/newer"']
    assert sorted(str(unit) for unit in blame_packages(session, bad, needs).guilty) == ["new", "newer"]


def test_by_hand(session, history):
    """Marks are said one by one, each can be undone, and gc keeps what is marked though its branch goes."""
    found = start(session, None, [])
    assert (found.next, found.found) == (None, None)
    mark(session, "bad", ["main"])
    found = mark(session, "good", ["main~9"])
    assert found.next in history[3:7]
    assert find(session.store, "bisect/next") == found.next
    with pytest.raises(ConflictError, match="already"):
        start(session, "main", [])
    first = found.next
    after = mark(session, "good")
    assert after.next in history[history.index(first) + 1 :]
    undo(session)
    assert session.store.refs.get("refs/bisect/next") == first
    branching.create_branch(session.store, "other", "main~9")
    session.store.refs.update("refs/heads/main", history[0], old=history[9], reason="reset")
    sweeping.collect(session.store, Policy(grace=0))
    assert history[8] in session.store.fresh_objects()
    for number in (5, 6):
        mark(session, "good", [history[number]])
    assert mark(session, "bad", [history[7]]).found == history[7]
    with pytest.raises(NotBisectingError, match="nothing is to be tried"):
        mark(session, "good")
    with pytest.raises(ConflictError, match="in its history"):
        mark(session, "good", [history[8]])
    with pytest.raises(InvalidError, match="only one"):
        mark(session, "bad", [history[7], history[8]])


def test_what_does_not_build(session, write):
    """A commit that does not build is skipped; when only such are left they are named."""
    text = MARKER + noted("a")
    first = commit_file(session, write("stack.toml", text), message="good").commit
    broken = [
        edit(session, lambda text, n=n: set_key(text, "packages.a.commands", f'["exit {n}"]'), message=f"b{n}").commit
        for n in (1, 2)
    ]
    last = commit_file(session, write("bad.toml", MARKER + noted("a", "broken")), message="bad", force=True).commit
    start(session, last, [first])
    told = []
    found = run(session, judge(), told=told.append)
    assert found.found is None
    assert set(found.suspects) == {*broken, last}
    assert any("cannot be built" in line for line in told)
    assert look(session).suspects == found.suspects


def test_commands_that_do_not_judge(session, history):
    """A command that cannot be run, or dies of a signal, ends it; 125 skips."""
    start(session, "main", ["main~9"])
    for command, words in ((["no-such-program"], "no program"), (["sh", "-c", "exit 127"], "cannot be run")):
        with pytest.raises(Exception, match=words):
            run(session, command)
    with pytest.raises(BisectRunError, match="signal 9"):
        run(session, ["sh", "-c", "kill -9 $$"])
    assert run(session, ["sh", "-c", "exit 125"]).suspects
    reset(session)
    with pytest.raises(NotBisectingError):
        run(session, ["true"])


def test_what_is_built_is_preferred(session, history):
    """Near the middle what needs no building is tried first."""
    building.build_commit(session, history[6])
    assert start(session, "main", ["main~9"]).next == history[6]


def test_commands(hdist, write):
    """As people type it."""
    write("stack.toml", MARKER + noted("a") + noted("b"))
    hdist("commit", "-m", "good")
    hdist("set", "packages.a.env.VALUE=fine")
    write("stack.toml", MARKER + noted("a", "broken") + noted("b", "new"))
    hdist("commit", "-m", "bad", "--force")
    assert "waiting for" in hdist("bisect", "start").stderr
    hdist("bisect", "bad", "HEAD")
    assert "2 left; next is" in hdist("bisect", "good", "HEAD~2").stderr
    done = hdist("bisect", "run", "--packages", "--", *judge())
    assert re.search(r"^[0-9a-f]{40} is the first bad commit$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("to blame: a (1 of 2 that it changed)\n")
    loud = ["sh", "-c", f"echo noise; {judge()[2]}", *judge()[3:]]
    assert json.loads(hdist("bisect", "run", "--json", "--packages", "--", *loud).stdout)["guilty"] == ["a"]
    hdist("bisect", "reset")
    hdist("bisect", "run", "--", "true", expect=3)
    assert "next is" in hdist("bisect", "start", "HEAD", "HEAD~2").stderr
    assert hdist("bisect", "skip").stdout.count("\n") == 2
    assert "undo: hdist undo" in hdist("bisect", "reset").stderr


@given(st.sets(st.integers(0, 11), min_size=1), st.sets(st.integers(0, 11)))
def test_minimal(guilty, unstable):
    """Whatever set is needed is found exactly, even where others cannot be told."""
    asked = []

    def test(chosen):
        asked.append(chosen)
        if set(chosen) & unstable and len(chosen) == 1 and not guilty <= set(chosen):
            return "skip"
        return "bad" if guilty <= set(chosen) else "good"

    assert set(minimal(range(12), test)) == guilty
    assert len(asked) == len(set(asked))


def test_minimal_is_quick():
    """One of a thousand takes some twenty tries."""
    count = itertools.count()

    def test(chosen):
        next(count)
        return "bad" if 717 in chosen else "good"

    assert minimal(range(1000), test) == (717,)
    assert next(count) <= 2 * 10 + 2
