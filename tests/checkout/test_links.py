"""The union of artifacts: folding, merging, rules, conflicts."""

import os
import re
import shlex

import pytest
from hypothesis import given, strategies as st
from support import package

from hashdist.checkout.links import Member, OwnPathError, PathConflictError, union
from hashdist.checkout.rules import DEFAULTS, Rulebook
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import SpecId
from hashdist.stack.editing import set_key
from hashdist.stack.file import parse_stack
from hashdist.stack.linking import Rule, glob_fault, translate


def member(root, name, files):
    """An artifact: path to text; a text that begins with '->' is a link, None an empty directory."""
    place = root / name
    place.mkdir(parents=True)
    for path, text in files.items():
        target = place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            target.mkdir()
        elif text.startswith("->"):
            target.symlink_to(text[2:])
        else:
            target.write_text(text)
    return Member(ArtifactId(name, "1", SpecId(f"{len(name):040x}")), str(place))


def plan(members, *rules, own=()):
    return union(members, Rulebook([*rules, *DEFAULTS]), own=own)


def shown(found):
    """Path to what is there: 'dir', or the artifact's name and path."""
    links = {path: "/".join(target.rsplit("/tmp_path/", 1)[-1].split("/")) for path, target in found.all_links()}
    return {**dict.fromkeys(found.directories, "dir"), **links}


def test_single_owners_are_folded(tmp_path):
    """What one artifact alone has is one link, however much is in it; where two meet there is a real directory."""
    a = member(tmp_path, "a", {"bin/a": "", "share/a/x/y": "1", "share/doc/a": "1"})
    b = member(tmp_path, "b", {"lib/b/c": "", "share/b/x": "1", "share/doc/b": "2"})
    found = plan([a, b])
    assert found.directories == ["share", "share/doc"]
    assert sorted(found.links) == [
        ("bin", f"{a.path}/bin"),
        ("lib", f"{b.path}/lib"),
        ("share/a", f"{a.path}/share/a"),
        ("share/b", f"{b.path}/share/b"),
        ("share/doc/a", f"{a.path}/share/doc/a"),
        ("share/doc/b", f"{b.path}/share/doc/b"),
    ]


def test_own_files_make_real_directories(tmp_path):
    """Where the prefix has files of its own there is a real directory, whoever has it."""
    a = member(tmp_path, "a", {"bin/a": "", "lib/a/b": ""})
    assert plan([a], own=["bin/activate", "lib/a/c/d"]).directories == ["bin", "lib", "lib/a", "lib/a/c"]
    with pytest.raises(OwnPathError, match="'bin/a' is a file in 'a', and every prefix has its own there") as error:
        plan([a], own=["bin/a"])
    assert 'under [prefix] in the stack file: exclude = ["a:bin/a"]' in error.value.hint


def test_equal_files_do_not_conflict(tmp_path):
    """Files with the same bytes and links with the same end stand once, the first owner's."""
    a = member(tmp_path, "a", {"share/x": "same", "share/l": "->x"})
    b = member(tmp_path, "b", {"share/x": "same", "share/l": "->x"})
    assert sorted(plan([a, b]).links) == [("share/l", f"{a.path}/share/l"), ("share/x", f"{a.path}/share/x")]


def test_conflicts_name_path_owners_and_line(tmp_path):
    """Different files are an error with the path, both owners, and the line that settles it."""
    a = member(tmp_path, "a", {"share/x": "1", "share/y": "1", "lib/z": "d"})
    b = member(tmp_path, "b", {"share/x": "2", "share/y": "2", "lib/z/w": "d"})
    with pytest.raises(PathConflictError) as error:
        plan([a, b])
    assert error.value.message.splitlines() == [
        "'lib/z' is a file in 'a' and a directory in 'b'",
        "'share/x' is in both 'a' and 'b', and not the same",
        "'share/y' is in both 'a' and 'b', and not the same",
    ]
    assert 'prefer = { "lib/z" = "a", "share/x" = "a", "share/y" = "a" }' in error.value.hint
    settled = plan([a, b], Rule("prefer", "lib/z", "b"), Rule("prefer", "share/*", "a"))
    assert ("lib/z", f"{b.path}/lib/z") in settled.links
    assert ("share/x", f"{a.path}/share/x") in settled.links


def test_what_the_line_says_settles_it(tmp_path):
    """The glob that is told for many conflicts covers them all, and nothing else."""
    names = [f"share/{number}" for number in range(9)]
    a = member(tmp_path, "a", dict.fromkeys(names, "1"))
    b = member(tmp_path, "b", dict.fromkeys(names, "2"))
    with pytest.raises(PathConflictError) as error:
        plan([a, b])
    glob, owner = re.search(r'"([^"]*)" = "(\w)"', error.value.hint).groups()
    assert (glob, owner) == ("share/*", "a")
    assert {target for _, target in plan([a, b], Rule("prefer", glob, owner)).links} == {f"{a.path}/{n}" for n in names}


@pytest.mark.parametrize(
    "name", ["a b", "x[1].txt", "st*r", "q?", 'qu"o', "back\\slash", "a**b", "o'clock", "tab\there", "new\nline"]
)
def test_told_lines_work_for_odd_names(tmp_path, name):
    """The line that is told can be pasted: into the file, and as a command."""
    a, b = (member(tmp_path, owner, {f"share/{name}": owner}) for owner in "ab")
    with pytest.raises(PathConflictError) as error:
        plan([a, b])
    assert len(error.value.message.splitlines()) == 1
    line, command = re.fullmatch(
        r"under \[prefix\] in the stack file: (.*), or: hdist set (.*)", error.value.hint
    ).groups()
    stack = parse_stack(f"[prefix]\n{line}\n" + "".join(package(owner) for owner in "ab"))
    assert plan([a, b], *stack.link_rules).links
    (word,) = shlex.split(command)
    assert (
        parse_stack(set_key("".join(package(owner) for owner in "ab"), *word.rsplit("=", 1))).link_rules
        == stack.link_rules
    )


@pytest.mark.parametrize("kind", ["inside", "outside", "file", "dangling"])
def test_nothing_is_written_through_links(tmp_path, kind):
    """Where the prefix has files of its own a link out of an artifact is refused, and one within it is a directory."""
    to = {"inside": "sbin", "outside": str(tmp_path), "file": "sbin/x", "dangling": "nowhere"}[kind]
    a = member(tmp_path, "a", {"sbin/x": "1", "bin": f"->{to}"})
    if kind == "inside":
        found = plan([a], own=["bin/activate"])
        assert found.directories == ["bin"]
        assert ("bin/x", f"{a.path}/bin/x") in found.links
    else:
        with pytest.raises(OwnPathError, match="'bin' is a link in 'a'") as error:
            plan([a], own=["bin/activate"])
        assert 'exclude = ["a:bin"]' in error.value.hint
    if kind == "file":
        b = member(tmp_path, "b", {"bin": "1"})
        with pytest.raises(OwnPathError, match="'bin' is a file in 'b'"):
            plan([b], own=["bin/activate"])


def test_modes_count(tmp_path):
    """A program and the same bytes that are none are not the same."""
    a, b = (member(tmp_path, name, {"bin/x": "#!"}) for name in "ab")
    os.chmod(f"{a.path}/bin/x", 0o755)
    with pytest.raises(PathConflictError):
        plan([a, b])


def test_link_to_directory_meets_directory(tmp_path):
    """lib64 → lib in one artifact and a real lib64 in another are merged as deep as the real one goes."""
    a = member(tmp_path, "a", {"lib/x": "", "lib64": "->lib"})
    b = member(tmp_path, "b", {"lib64/y": ""})
    found = plan([a, b])
    assert found.directories == ["lib64"]
    assert sorted(path for path, _ in found.links) == ["lib", "lib64/x", "lib64/y"]


def test_links_out_of_artifacts_are_not_merged(tmp_path):
    """A link to a directory of the host that meets a directory is a conflict: nobody wants all of that in a prefix."""
    a = member(tmp_path, "a", {"share/doc": "->/usr/share"})
    b = member(tmp_path, "b", {"share/doc/y": ""})
    with pytest.raises(PathConflictError, match="'share/doc' is a link in 'a' and a directory in 'b'"):
        plan([a, b])
    assert plan([a, b], Rule("prefer", "share/doc", "a")).links == [("share/doc", f"{a.path}/share/doc")]


def test_loops_and_dangling_links(tmp_path):
    """Links that lead to themselves, upwards or nowhere are linked like files; two different ones are a conflict."""
    a = member(tmp_path, "a", {"loop": "->loop", "up": "->.", "gone": "->nowhere"})
    b = member(tmp_path, "b", {"up/x/y": "1"})
    assert sorted(path for path, _ in plan([a]).links) == ["gone", "loop", "up"]
    assert "up/x" in dict(plan([a, b]).links)
    c = member(tmp_path, "c", {"gone": "->elsewhere", "up": "->./."})
    with pytest.raises(PathConflictError) as error:
        plan([a, c])
    assert len(error.value.message.splitlines()) == 2


def test_exclude_copy_link(tmp_path):
    """Rules leave out, copy and unfold by glob, for all or for one package; all else stays folded."""
    files = {"share/doc/x": "1", "share/man/m": "1", "lib/r/p/q": "1", "lib/o/p": "1", "data/d": "1", "data/e": "2"}
    a = member(tmp_path, "a", files)
    rules = (Rule("exclude", "share/doc"), Rule("link", "lib/r/**"), Rule("copy", "data/d"))
    found = plan([a], *rules)
    assert found.copies == [("data/d", f"{a.path}/data/d")]
    assert found.directories == ["data", "lib", "lib/r", "share"]
    assert sorted(path for path, _ in found.links) == ["data/e", "lib/o", "share/man"]
    assert found.each == [("lib/r/p", f"{a.path}/lib/r/p")]
    only = plan([a], *(Rule(rule.kind, rule.glob, "b") for rule in rules))
    assert sorted(path for path, _ in only.links) == ["data", "lib", "share"]


def test_where_people_write_nothing_is_folded(tmp_path):
    """Empty directories below etc and var are real too, and so are links to directories there."""
    a = member(tmp_path, "a", {"var/log": None, "etc": "->conf.d", "conf.d/x": "1", "share/q": None})
    found = plan([a])
    assert {"var", "var/log", "etc"} <= set(found.directories)
    assert found.copies == [("etc/x", f"{a.path}/etc/x")]
    assert ("share", f"{a.path}/share") in found.links


def test_rules_hold_below_links_to_directories(tmp_path):
    """What is reached through a link within an artifact is left out as well; loops end."""
    files = {
        "private/doc/secret": "1",
        "private/doc/open": "1",
        "share/doc": "->../private/doc",
        "up": "->.",
        "share/back": "->../share",
    }
    a = member(tmp_path, "a", files)
    paths = [
        path for path, _ in plan([a], Rule("exclude", "share/doc/secret"), Rule("exclude", "**/nothing")).all_links()
    ]
    assert "share/doc/open" in paths
    assert "share/doc/secret" not in paths
    assert "private" in paths


def test_everything_linked(tmp_path):
    """With link = ["**"] there is a link for each file and no folded directory; empty ones are there too."""
    a = member(tmp_path, "a", {"x/y/z": "1", "x/w": "2", "e": None, "l": "->x"})
    found = plan([a], Rule("link", "**"))
    assert dict(found.all_links()) == {path: f"{a.path}/{path}" for path in ("x/y/z", "x/w", "l")}


def test_rules_that_hold_nowhere_unfold_nothing(tmp_path):
    """A glob that could hold anywhere leaves directories folded in which it holds for nothing."""
    a = member(tmp_path, "a", {"lib/x/y.la": "", "lib/z/w": "", "share/q/r": ""})
    found = plan([a], Rule("exclude", "**/*.la"))
    assert found.directories == ["lib", "lib/x"]
    assert sorted(path for path, _ in found.links) == ["lib/z", "share"]


def test_configuration_is_copied(tmp_path):
    """What people edit is copied: an editor in a prefix does not reach the artifact."""
    a = member(tmp_path, "a", {"etc/a/a.conf": "1", "etc/l": "->a/a.conf"})
    (tmp_path / "a/etc/out").symlink_to("../share/x")
    found = plan([a])
    assert found.copies == [("etc/a/a.conf", f"{a.path}/etc/a/a.conf"), ("etc/l", f"{a.path}/etc/l")]
    assert ("etc/out", f"{a.path}/etc/out") in found.links
    assert found.directories == ["etc", "etc/a"]


PARTS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4)
GLOBS = st.lists(st.sampled_from(["a", "b", "*", "?", "a*", "[ab]", "[!a]", "**"]), min_size=1, max_size=4)


def slow_match(glob, path):
    """What a glob means, said in another way: name by name."""
    if not glob:
        return True  # what fits a directory holds for all below it
    if glob[0] == "**":
        if len(glob) == 1:
            return len(path) >= 1
        return any(slow_match(glob[1:], path[skip:]) for skip in range(len(path)))
    if not path:
        return False
    name = {"*": ".*", "?": ".", "a*": "a.*"}.get(glob[0], glob[0].replace("!", "^"))
    return re.fullmatch(name, path[0]) is not None and slow_match(glob[1:], path[1:])


@given(GLOBS, PARTS)
def test_globs(glob, path):
    """Globs mean what they are said to mean."""
    assert (re.match(translate("/".join(glob)), "/".join(path)) is not None) == slow_match(glob, path)


@given(GLOBS, PARTS)
def test_reach_below_is_certain(glob, path):
    """Where a rule is said to hold for nothing below a directory it holds for nothing there."""
    rulebook = Rulebook([Rule("exclude", "/".join(glob))])
    if rulebook.says("exclude", "/".join(path), "p"):
        for depth in range(1, len(path)):
            assert rulebook.reach_below("/".join(path[:depth]), "p")


@pytest.mark.parametrize(
    "glob", ["", "/a", "a//b", "../a", "a/.", "a**", "x" * 5000, "[z-a]", "**/a/**/a/**/a/**/a/**", "a\0"]
)
def test_bad_globs(glob):
    """Globs that mean nothing in a prefix are refused with words."""
    assert glob_fault(glob)
