"""Builds in the jail: what they used undeclared is recorded, and hidden where that is wanted."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import pytest

from hashdist.build.jailing import ImpureInputError
from hashdist.build.job import JailViolationError
from hashdist.build.scheduler import BuildsFailedError, run
from hashdist.errors import InvalidError
from hashdist.preload import library
from hashdist.preload.library import JailInactiveError
from hashdist.preload.report import Report
from hashdist.stack.file import parse_stack
from hashdist.workflow import building
from hashdist.workflow.commit import commit_file
from hashdist.workflow.profile import read_profile


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.h"
    path.write_text("secret\n")
    return str(path)


def stack(command: str, name: str = "a", more: str = "") -> str:
    return f'[packages.{name}]\nversion = "1"\ncommands = ["""{command}"""]\n{more}\n'


@pytest.fixture
def built(session, write):
    """Commit a stack file and build it: `built(text, jail="enforce")` gives what was built and the records."""

    def build(text, *, jail=None, profile="main"):
        recorded = commit_file(session, write("stack.toml", text), message="m", profile=profile, allow_empty=True)
        done = building.build_commit(dataclasses.replace(session, jail=jail), recorded.commit)
        lock = read_profile(session.store.objects, recorded.commit).lock
        return done, {name: session.store.artifacts.record(lock.specs[name]) for name in lock.packages}

    return build


def test_what_a_build_used_is_recorded(built, secret, session, git):
    """By default nothing is hidden; the record says what was used undeclared, or that it is pure."""
    done, records = built(stack(f"cat {secret} > $PREFIX/a") + stack("echo b > $PREFIX/b", "b"))
    report = Report.of_document(records["a"].jail)
    assert [(access.path, access.uses, access.hidden) for access in report.accesses] == [(secret, ("read",), False)]
    assert (report.mode, records["a"].pure, records["b"].pure) == ("report", False, True)
    assert done.report.jail["a"].undeclared[0].path == secret
    path = session.store.artifacts.path(records["a"].spec.artifact)
    assert pathlib.Path(path, "a").read_text() == "secret\n"
    messages = {record: git("log", "-1", "--format=%B", f"refs/artifacts/{records[record].spec.id}") for record in "ab"}
    assert "Jail: report, 1 undeclared" in messages["a"]
    assert "Jail: report, pure" in messages["b"]


def test_the_jail_never_enters_the_hash(built, secret, session):
    """However it is built, and whatever the stack file says of it, a spec has one id."""
    text = stack("echo a > $PREFIX/a")
    ids = set()
    for jail, key in ((None, ""), (None, 'jail = "off"'), ("enforce", ""), ("report", 'jail = "enforce"')):
        _, records = built(text.rstrip() + f"\n{key}\n", jail=jail)
        ids.add(records["a"].spec.id)
    assert len(ids) == 1


def test_enforced_it_goes_on_without(built, secret, session):
    """What is undeclared is not there; the build that goes on without is pure, and what it tried is recorded."""
    _, records = built(stack(f"cat {secret} > $PREFIX/a || echo without > $PREFIX/a"), jail="enforce")
    report = Report.of_document(records["a"].jail)
    assert records["a"].pure
    assert [access.path for access in report.hidden] == [secret]
    assert pathlib.Path(session.store.artifacts.path(records["a"].spec.artifact), "a").read_text() == "without\n"


def test_a_build_that_fails_for_want_of_it(built, secret, session):
    """It says what was hidden, and how to declare it; the code is that of a violation."""
    with pytest.raises(BuildsFailedError) as caught:
        built(stack(f"cat {secret} > $PREFIX/a"), jail="enforce")
    assert caught.value.exit_code == 6
    (failure,) = caught.value.failures.values()
    assert isinstance(failure, JailViolationError)
    assert secret in failure.message and "hidden" in failure.message
    assert "hdist learn" in failure.hint
    assert sorted(os.listdir(failure.directory)) == [
        "build.sh",
        "files",
        "home",
        "jail.json",
        "log",
        "prefix",
        "src",
        "tmp",
    ]


def test_a_build_that_fails_by_itself(built):
    """Where nothing was hidden it is a failure like any other."""
    with pytest.raises(BuildsFailedError) as caught:
        built(stack("exit 1"), jail="enforce")
    assert caught.value.exit_code == 5


def test_it_may_use_its_inputs_and_its_own(built, session):
    """Inputs, what they are made from, PREFIX, src, files, HOME and TMPDIR can be used; the rest cannot be written."""
    text = stack(
        "mkdir $PREFIX/bin; printf '#!/bin/sh\\\\necho one' > $PREFIX/bin/one; chmod +x $PREFIX/bin/one", "one"
    )
    commands = (
        "one > $PREFIX/a; cat $ONE_DIR/bin/one >> $PREFIX/a; "
        "echo x > made; mkdir -p deep/er; mv made deep/er; rm -r deep; "
        "echo x > $HOME/h; echo x > $TMPDIR/t; f=$(mktemp); test -f $f; "
        "! echo x > /var/tmp/hdist-test-of-the-jail; ! mkdir /usr/hdist-test-of-the-jail"
    )
    _, records = built(text + stack(f"set -e; {commands}", "two", 'inputs = ["one"]'), jail="enforce")
    assert records["two"].pure
    hidden = [access.path for access in Report.of_document(records["two"].jail).hidden]
    assert all("hdist-test-of-the-jail" in path for path in hidden)


def test_an_enforced_build_takes_no_impure_input(built, secret):
    """An input that used what is undeclared, or of which nothing is known, is refused, by name and with its reason."""
    one = stack(f"cat {secret} > $PREFIX/a", "one")
    two = stack("echo two > $PREFIX/two", "two", 'inputs = ["one"]\njail = "enforce"')
    with pytest.raises(BuildsFailedError) as caught:
        built(one + two)
    assert caught.value.exit_code == 6
    assert f"'two' needs 'one', which used {secret}" in caught.value.message
    with pytest.raises(ImpureInputError, match="'two' needs 'one', which used") as again:
        built(one + two)
    assert (again.value.exit_code, again.value.code) == (6, "jail_violation")
    blind = stack("echo blind > $PREFIX/a", "blind", 'jail = "off"')
    three = stack("echo three > $PREFIX/three", "three", 'inputs = ["blind"]\njail = "enforce"')
    with pytest.raises(BuildsFailedError, match="which was built without a jail"):
        built(blind + three)


def test_enforced_nothing_impure_is_taken_as_built(built, secret):
    """What is built already must be pure too."""
    text = stack(f"cat {secret} > $PREFIX/a")
    built(text)
    with pytest.raises(ImpureInputError, match=f"'a' used {secret}"):
        built(text, jail="enforce")
    built(stack("echo b > $PREFIX/b", "b"))
    built(stack("echo b > $PREFIX/b", "b"), jail="enforce")


def test_names_that_are_no_text(built, tmp_path):
    """A name of any bytes is told, recorded and read back as it is, and decides no build."""
    odd = os.path.join(os.fsencode(tmp_path), b"\xff odd\n")
    with open(odd, "w") as file:
        file.write("x")
    _, records = built(stack(f"cat {tmp_path}/*odd* > $PREFIX/a"))
    assert os.fsencode(Report.of_document(records["a"].jail).undeclared[-1].path) == odd


def test_another_that_built_it_meanwhile(session, write, secret, monkeypatch):
    """What somebody sealed while an enforced build waited for its turn must be pure as well."""
    text = stack(f"cat {secret} > $PREFIX/a")
    recorded = commit_file(session, write("stack.toml", text), message="m", profile="main")
    strict = dataclasses.replace(session, jail="enforce")
    plan, jailing = building.plan_jailed(strict, read_profile(session.store.objects, recorded.commit).lock, text)
    building.build_commit(session, recorded.commit)
    with pytest.raises(BuildsFailedError, match="'a' used") as caught:
        run(session.store, plan, jobs=1, env=session.env, jailing=jailing)
    assert caught.value.exit_code == 6


def test_whose_files_are_does_not_decide_a_build(built, session, write, git):
    """A build that used another artifact goes well, though the record of a third is damaged."""
    for name in ("one", "two"):
        built(stack(f"echo {name} > $PREFIX/x", name), profile=name)
    store = session.store
    found = {store.artifacts.record(spec).spec.name: spec for spec, _ in store.artifacts.all()}
    path = store.artifacts.path(store.artifacts.record(found["two"]).spec.artifact)
    for spec in (found["one"], found["two"]):
        blob = git("rev-parse", f"refs/artifacts/{spec}:record.json")
        os.unlink(os.path.join(store.git, "objects", blob[:2], blob[2:]))
    _, records = built(stack(f"cat {path}/x > $PREFIX/a"), profile="three")
    assert records["a"].jail["accesses"][0]["owner"] is None


def test_who_decides(built, secret):
    """The command before the package, before the defaults of its file, before the settings."""
    read = stack(f"cat {secret} > $PREFIX/a || echo without > $PREFIX/a", "strict", 'jail = "enforce"')
    text = '[defaults]\njail = "off"\n' + read + stack("echo > $PREFIX/a", "blind")
    _, records = built(text)
    assert (records["strict"].jail["mode"], records["blind"].jail) == ("enforce", None)
    _, records = built(text.replace("> $PREFIX", ">> $PREFIX"), jail="report")
    assert {record.jail["mode"] for record in records.values()} == {"report"}


def test_a_choice_that_is_none():
    """It is refused with its line, in both places."""
    text = '[defaults]\njail = "on"\n' + stack("true", "a", 'jail = "yes"')
    with pytest.raises(InvalidError) as caught:
        parse_stack(text)
    assert caught.value.problems == (
        "stack.toml:2: defaults.jail: must be one of off, report, enforce",
        "stack.toml:6: packages.a.jail: must be one of off, report, enforce",
    )


def test_where_there_can_be_no_jail(built, monkeypatch):
    """By default the build goes on, as one of which nothing is known; enforced, it is not begun."""
    monkeypatch.setattr(library, "LIBRARY", "/nonexistent/hdistjail.so")
    _, records = built(stack("echo a > $PREFIX/a"))
    assert records["a"].jail is None
    with pytest.raises(BuildsFailedError) as caught:
        built(stack("echo b > $PREFIX/b"), jail="enforce")
    assert caught.value.exit_code == 126
    (failure,) = caught.value.failures.values()
    assert isinstance(failure, JailInactiveError)
