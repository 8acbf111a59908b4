"""What differs between two commits."""

import pytest
from support import package

from hashdist.stack.editing import set_key
from hashdist.workflow.commit import commit_file, edit
from hashdist.workflow.comparing import compare

STACK = package("a") + package("b", inputs='["a"]')


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("packages.a.version", "2", ["version 1 → 2"]),
        ("packages.a.env.X", "1", ["env X: (none) → 1"]),
        ("packages.a.cpu", "x86-64-v3", ["cpu x86-64 → x86-64-v3"]),
        (
            "packages.a.commands",
            '["true"]',
            ["command - mkdir -p $PREFIX/share && echo a > $PREFIX/share/a", "command + true"],
        ),
        ("packages.a.base", "false", None),
    ],
)
def test_details(session, write, key, value, expected):
    """Each part of a spec that changed is told."""
    first = commit_file(session, write("stack.toml", STACK), message="m")
    second = edit(session, lambda text: set_key(text, key, value), message="e")
    changes = {change.name: change for change in compare(session.store.objects, first.commit, second.commit)}
    assert set(changes) == {"a", "b"}
    assert changes["b"].follows
    if expected is None:
        assert changes["a"].details == ("input base: removed",)
    else:
        assert list(changes["a"].details) == expected


def test_added_and_removed(session, write):
    """Packages that came and went are told with their versions, and so are files of specs and of the host."""
    tool = write("tool", "#!/bin/sh\necho 1.0\n")
    import os

    os.chmod(tool, 0o755)
    write("x.patch", "one")
    head = f'[host]\ntool = "path:{tool}"\n'
    text = package("a") + package("c", patches='["x.patch"]', inputs='["tool"]')
    first = commit_file(session, write("stack.toml", head + text), message="m")
    write("tool", "#!/bin/sh\necho 1.0 \n")
    write("x.patch", "two")
    text = package("b") + package("c", patches='["x.patch"]', inputs='["tool"]')
    second = commit_file(
        session,
        write("stack.toml", head.replace("[host]", "[host] # again").replace("tool =", "tool =") + text),
        message="m",
    )
    found = {
        change.name: (change.kind, change.details)
        for change in compare(session.store.objects, first.commit, second.commit)
    }
    assert found["a"] == ("removed", ("1",))
    assert found["b"] == ("added", ("1",))
    assert found["c"] == ("changed", ("file x.patch:1: one → two",))
    from hashdist.workflow.commit import update
    from hashdist.workflow.pinning import Moving

    third = update(session, Moving(host=True), message="u")
    found = {change.name: change.details for change in compare(session.store.objects, second.commit, third.commit)}
    assert found["tool"] == ("host file bin/tool",)


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("a" * 100 + "1", "b" * 100, f"{'a' * 60}… → {'b' * 60}…"),
        ("x" * 100 + "1" + "y" * 100, "x" * 100 + "2", f"…{'x' * 30}1{'y' * 29}… → …{'x' * 30}2"),
        ("x" * 100, "x" * 101, f"…{'x' * 30} → …{'x' * 30}x"),
    ],
)
def test_long_lines_are_shown_where_they_differ(session, write, before, after, shown):
    text = package("c", patches='["x.patch"]')
    commits = []
    for line in (before, after):
        write("x.patch", line)
        commits.append(commit_file(session, write("stack.toml", text), message="m").commit)
    (change,) = compare(session.store.objects, *commits)
    assert change.details == (f"file x.patch:1: {shown}",)
