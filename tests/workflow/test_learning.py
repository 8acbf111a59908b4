"""From undeclared accesses to what a stack file should say."""

from __future__ import annotations

import dataclasses

import pytest

from hashdist.preload.report import Access, Report
from hashdist.stack.editing import declare
from hashdist.stack.file import parse_stack
from hashdist.workflow import building
from hashdist.workflow.commit import commit_file
from hashdist.workflow.learning import Learner
from hashdist.workflow.profile import read_profile


def used(*paths, owner=None, uses=("read",)):
    return Report("report", tuple(Access(path, uses, ("/usr/bin/x",), hidden=False, owner=owner) for path in paths))


@pytest.fixture
def learner(session, write, debian):
    """Commit a stack and learn in it: `learner(text)`."""

    def make(text):
        here = dataclasses.replace(session, env=debian.env)
        recorded = commit_file(here, write("stack.toml", text), message="m")
        building.build_commit(here, recorded.commit)
        lock = read_profile(here.store.objects, recorded.commit).lock
        return Learner(debian.env, store=here.store, lock=lock), lock

    return make


def test_names_that_are_taken(debian, tmp_path):
    """Of files with one name each gets an entry of its own."""
    for folder in "abc":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "libx.so").write_bytes(b"x")
    learner = Learner(debian.env)
    lessons = [learner.learn(used(f"{tmp_path}/{folder}/libx.so")) for folder in "abc"]
    assert [lesson.inputs for lesson in lessons] == [["libx"], ["libx-path"], ["libx-path2"]]
    assert learner.host == {
        name: f"path:{tmp_path}/{folder}/libx.so"
        for name, folder in (("libx", "a"), ("libx-path", "b"), ("libx-path2", "c"))
    }


def test_no_circles(learner, session):
    """Neither the package itself, nor what needs it, nor another version is proposed: that is told instead."""
    package = '[packages.{0}]\nversion = "1"\nbase = false\ncommands = ["echo {0} > $PREFIX/{0}"]\n'
    text = package.format("a") + package.format("b") + 'inputs = ["a"]\n' + package.format("c")
    found, lock = learner(text)
    artifacts = {
        name: session.store.artifacts.record(id).spec.artifact for name, id in lock.specs.items() if name in "abc"
    }
    for name, expected in (("a", []), ("b", []), ("c", ["c"])):
        report = used(session.store.artifacts.path(artifacts[name]) + "/x", owner=f"artifact:{artifacts[name]}")
        lesson = found.learn(report, package="a")
        assert lesson.inputs == expected
        assert bool(lesson.unexplained) == (not expected)
    other = dataclasses.replace(artifacts["c"], spec=artifacts["a"].spec)
    assert found.learn(used("/x", owner=f"artifact:{other}"), package="a").inputs == []


def test_owners_that_are_none():
    """A report that somebody wrote by hand does not stop it."""
    assert Learner({}).learn(used("/nonexistent", owner="artifact:zzz")).unexplained
    assert Learner({}).learn(used("/nonexistent", owner="pacman:x")).unexplained


def test_files_of_nobody_that_an_entry_has(learner, tmp_path):
    """What the profile's own entry captured is taken from there, though no package owns it."""
    (tmp_path / "opt" / "include").mkdir(parents=True)
    (tmp_path / "opt" / "include" / "zl.h").write_text("x")
    text = f'[host]\nzl = "path:{tmp_path}/opt"\n[packages.a]\nversion = "1"\nbase = false\ninputs = ["zl"]\n'
    found, _ = learner(text + 'commands = ["echo a > $PREFIX/a"]\n')
    lesson = found.learn(used(f"{tmp_path}/opt/include/zl.h"))
    assert (lesson.inputs, lesson.host, lesson.unexplained) == (["zl"], {}, [])


@pytest.mark.parametrize(
    "text",
    [
        '[host]\n# only words\n\n# and about a\n[packages.a]\nversion = "1"\ncommands = ["x"]\n\n# and about b\n[packages.b]\nversion = "1"\ncommands = ["x"]\n',
        '[packages]\na = { version = "1", commands = ["x"] }\n',
        'packages.a.version = "1"\npackages.a.commands = ["x"]\nhost.other = "path:x"\n',
        '[packages.a]\nversion = "1"\ncommands = ["x"]\ninputs = [\n  "other", # why\n]\n[host]\nother = "path:x"\n',
        '[packages.a]\nversion = "1"\ncommands = ["x"]\n[packages.a.env]\nA = "1"\n',
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_stack_files_of_all_forms(text, newline):
    """The lines go where they belong, comments stay with what they are about, and line ends are those of the file."""
    found = declare(text.replace("\n", newline), {"z": "path:z"}, {"a": ["z"]})
    stack = parse_stack(found)
    assert "z" in stack.packages["a"].inputs
    assert stack.host["z"].find == ("path:z",)
    assert found.count("\r\n") == (found.count("\n") if newline == "\r\n" else 0)
    for comment in ("# and about b", "# and about a"):
        if comment in text:
            assert f"{comment}{newline}[packages" in found
    assert declare(found, {"z": "path:z"}, {"a": ["z"]}) == found, "a second time nothing changes"
