"""Merging stack files: what they say, and the words in which they say it."""

import copy
import tomllib

import pytest
import tomlkit
from hypothesis import given, strategies as st

from hashdist.stack.merging import MISSING, merge_units
from hashdist.stack.merging_text import merge_text, with_markers
from hashdist.stack.sections import joined, sections, text_of
from hashdist.stack.units import Unit, units, units_of

BASE = """\
# What this stack is for.

[host]
gcc = "path:/usr/bin/gcc"  # the compiler

[defaults]
env = { CFLAGS = "-O2" }

# compression
[packages.zlib]
version = "1.3"
source = { url = "https://example.org/zlib-1.3.tar.gz" }
builder = "autotools"
inputs = ["gcc"]

# numbers
[packages.numpy]
version = "2.0"
commands = ['''
[not.a.header]
''']
inputs = ["zlib"]
[packages.numpy.env]
A = "1"

[packages.last]
version = "1"
commands = ["true"]
"""
ZLIB, NUMPY = Unit("packages", "zlib"), Unit("packages", "numpy")


def merge(ours, theirs, base=BASE, settled=None):
    """The text of a merge without conflicts, which says what was merged."""
    merged = merge_units(units(base), units(ours), units(theirs), settled or {})
    assert merged.conflicts == (), merged.conflicts
    text = merge_text(base, ours, theirs, merged.units)
    assert units(text) == dict(merged.units)
    return text


def conflicts(ours, theirs, base=BASE):
    return merge_units(units(base), units(ours), units(theirs), {}).conflicts


def test_sections():
    """Headers are cut with their comments, and strings are no headers."""
    parts = sections(BASE)
    assert [part.path for part in parts] == [
        (),
        ("host",),
        ("host", "gcc"),
        ("defaults",),
        ("defaults", "env"),
        ("packages", "zlib"),
        ("packages", "numpy"),
        ("packages", "numpy", "env"),
        ("packages", "last"),
    ]
    assert joined(parts) == BASE
    assert text_of(parts, ("packages", "zlib")).startswith("# compression\n[packages.zlib]\n")
    assert text_of(parts, ("packages", "numpy")).endswith('A = "1"\n\n')
    assert text_of(parts, ("packages", "none")) is None
    split = sections("[packages.a]\n[host]\n[packages.a.env]\n")
    assert text_of(split, ("packages", "a")) is None


def test_neighbours():
    """Packages that stand side by side, each changed by one side, merge with all comments."""
    ours = BASE.replace('version = "1.3"', 'version = "1.3.1"  # security').replace("zlib-1.3.", "zlib-1.3.1.")
    theirs = BASE.replace('A = "1"', 'A = "2"').replace("# numbers", "# numbers, fast")
    text = merge(ours, theirs)
    assert text == ours.replace('A = "1"', 'A = "2"').replace("# numbers", "# numbers, fast")


def test_added_at_one_place():
    """Two packages added at the same place, which lines alone cannot merge, are both there with their comments."""
    ours = BASE + '\n# ours\n[packages.o]\nversion = "1"\ncommands = ["x"]\n'
    theirs = BASE + '\n# theirs\n[packages.t]\nversion = "2"  # why\ncommands = ["y"]\n'
    text = merge(ours, theirs)
    assert "\n\n" + ours[len(BASE) + 1 :] in text
    assert "\n\n" + theirs[len(BASE) + 1 :] in text
    between = BASE.replace("# numbers", '# mid\n[packages.m]\nversion = "3"\ncommands = []\n\n# numbers')
    text = merge(BASE.replace('version = "1.3"', 'version = "1.3.1"').replace("# compression\n", ""), between)
    assert [unit.name for unit in units(text) if unit.section == "packages"] == ["zlib", "m", "numpy", "last"]
    assert "# mid\n[packages.m]" in text


def test_host_and_defaults():
    """Entries that both sides add to one table are all there."""
    ours = BASE.replace("[host]\n", '[host]\nmake = "path:/usr/bin/make"\n')
    theirs = BASE.replace("[host]\n", '[host]\nperl = "path:/usr/bin/perl"  # for openssl\n')
    theirs = theirs.replace('"-O2" }', '"-O2", LDFLAGS = "-s" }')
    text = merge(ours.replace('"-O2" }', '"-O3" }'), theirs)
    assert 'perl = "path:/usr/bin/perl"  # for openssl' in text
    assert "[host]\nmake" in text
    assert tomllib.loads(text)["defaults"]["env"] == {"CFLAGS": "-O3", "LDFLAGS": "-s"}


def test_within_a_package():
    """Different keys of one package merge; inputs are sets; what it is made of goes together."""
    ours = BASE.replace('inputs = ["zlib"]', 'inputs = ["zlib", "gcc"]')
    theirs = BASE.replace('inputs = ["zlib"]', 'inputs = ["last"]').replace('A = "1"', 'A = "1"\nB = "2"')
    data = tomllib.loads(merge(ours, theirs))["packages"]["numpy"]
    assert data["inputs"] == ["gcc", "last"]
    assert data["env"] == {"A": "1", "B": "2"}
    one = BASE.replace('version = "1.3"', 'version = "1.3.1"')
    other = BASE.replace("zlib-1.3.tar.gz", "zlib-ng.tar.gz")
    (found,) = conflicts(one, other)
    assert found.unit == ZLIB
    assert [one.keys for one in found.differences] == [("version",), ("source",)]


def test_conflicts():
    """What both sides changed in their own ways is a choice, and either can be taken."""
    ours = BASE.replace('version = "2.0"', 'version = "2.1"')
    theirs = BASE.replace('version = "2.0"', 'version = "2.2"')
    (found,) = conflicts(ours, theirs)
    (one,) = found.differences
    assert (found.unit, one.keys, one.ours, one.theirs, one.base) == (NUMPY, ("version",), "2.1", "2.2", "2.0")
    assert merge(ours, theirs, settled={NUMPY: "ours"}) == ours
    assert merge(ours, theirs, settled={NUMPY: "theirs"}) == theirs
    gone = BASE.replace('[packages.last]\nversion = "1"\ncommands = ["true"]\n', "")
    (found,) = conflicts(gone, BASE.replace('["true"]', '["false"]'))
    (one,) = found.differences
    assert (found.unit.name, one.keys, one.ours, repr(one.ours)) == ("last", (), MISSING, "nothing")
    assert merge(gone, BASE.replace('["true"]', '["false"]'), settled={found.unit: "theirs"}).endswith('["false"]\n')
    (found,) = conflicts(BASE.replace("bin/gcc", "bin/gcc-12"), BASE.replace("bin/gcc", "bin/gcc-13"))
    assert str(found.unit) == "host:gcc"
    (found,) = conflicts(BASE.replace("-O2", "-O1"), BASE.replace("-O2", "-O3"))
    assert str(found.unit) == "defaults.env:CFLAGS"


def test_removed():
    """A package that one side removed goes with its comments."""
    theirs = BASE.replace(text_of(sections(BASE), ("packages", "numpy")), "")
    ours = BASE.replace('["true"]', '["false"]').replace('version = "1.3"', 'version = "1.4"')
    text = merge(ours, theirs)
    assert "numpy" not in text
    assert "# numbers" not in text


def test_both_the_same():
    """What both sides did alike is no conflict."""
    changed = BASE.replace('version = "2.0"', 'version = "2.1"')
    assert merge(changed, changed.replace("# numbers", "# fast numbers")) == changed.replace(
        "# numbers", "# fast numbers"
    )


@pytest.mark.parametrize(
    "written",
    [
        '[packages]\nzlib = { version = "1", commands = ["a"] }\nnumpy = { version = "2", commands = [] }\n',
        'packages.zlib.version = "1"\npackages.zlib.commands = ["a"]\npackages.numpy.version = "2"\n',
        '[packages.zlib]\nversion = "1"\ncommands = ["a"]\n[host]\n[packages.numpy]\nversion = "2"\n[packages.zlib.env]\n',
    ],
)
def test_other_ways_to_write(written):
    """Tables written in other ways merge too."""
    ours = written.replace('version = "1"', 'version = "1.1"')
    theirs = written.replace('version = "2"', 'version = "2.2"').replace('["a"]', '["b"]')
    data = tomllib.loads(merge(ours, theirs, base=written))["packages"]
    assert (data["zlib"]["version"], data["zlib"]["commands"], data["numpy"]["version"]) == ("1.1", ["b"], "2.2")


def test_true_is_not_one():
    """Values of two types are two values."""
    base = "[packages.a]\nbuild-only = true\n"
    (found,) = conflicts(base.replace("true", "1"), base.replace("true", "false"), base=base)
    assert found.differences[0].keys == ("build-only",)


def test_markers():
    """For an editor, what differs stands in the text as git writes conflicts."""
    text = with_markers(BASE.replace('"2.0"', '"2.1"'), BASE.replace('"2.0"', '"2.2"'), ("main", "exp"))
    assert '<<<<<<< main\nversion = "2.1"\n=======\nversion = "2.2"\n>>>>>>> exp\n' in text
    assert text.count("<<<<<<<") == 1


def test_comments_of_entries():
    """Entries that both sides add at one place come with their comments, also in tables that one side has not."""
    ours = BASE.replace("# the compiler\n", '# the compiler\n# ours\nmake = "path:/m"\n')
    theirs = BASE.replace("# the compiler\n", '# the compiler\n# for openssl\nperl = "path:/p"\n')
    text = merge(ours, theirs)
    assert '# ours\nmake = "path:/m"\n' in text
    assert '# for openssl\nperl = "path:/p"\n' in text
    inline = "[packages]\n"
    text = merge(inline + '# a\na = { version = "1" }\n', inline + '# b\nb = { version = "2" }\n', base=inline)
    assert '# a\na = { version = "1" }\n' in text
    assert '# b\nb = { version = "2" }\n' in text
    added = BASE.replace(
        "# compression", '# remark\n[prefix]\n# not the docs\nexclude = ["share/doc/**"]\n\n# compression'
    )
    text = merge(BASE.replace("# compression", '[defaults.more]\nX = "1"\n\n# compression'), added)
    assert "# remark\n[prefix]\n# not the docs\nexclude" in text


def test_no_newline_at_the_end():
    """What ends without a line end is not run together with what comes after it."""
    base = '[packages.g]\nversion = "1"\n'
    theirs = base + "inputs = []"
    ours = base + '\n# about e: keep\n[packages.e]\nversion = "1"\n'
    assert "inputs = []\n# about e: keep\n[packages.e]" in merge(ours, theirs, base=base)


def test_crlf():
    """Line ends of other systems are line ends."""
    base = BASE.replace("\n", "\r\n")
    assert joined(sections(base)) == base
    assert [part.path for part in sections(base)] == [part.path for part in sections(BASE)]
    merge(base.replace('"2.0"', '"2.1"'), base.replace('"1.3"', '"1.4"'), base=base)


def test_finders_go_whole():
    """How host software is found is not mixed of two: no pin would fit."""
    base = '[host]\nt = { find = "path:/a", identity = "content" }\n'
    (found,) = conflicts(base.replace("/a", "/b"), base.replace("content", "version"), base=base)
    assert str(found.unit) == "host:t"


def test_unmergeable_words():
    """Tables written in one way here and in another there are merged, or refused; never wrongly."""
    base = '[packages]\na = { version = "1", commands = ["x"] }\n'
    theirs = '[packages.a]\nversion = "1"\ncommands = ["x"]\n[packages.a.env]\nX = "1"\n'
    merge(base.replace('"1"', '"2"'), theirs, base=base)


NAMES = st.sampled_from("abcd")
TABLES = st.fixed_dictionaries(
    {"version": st.sampled_from("123")},
    optional={
        "commands": st.lists(st.sampled_from(["x", "[y]", "'''", '"']), max_size=2),
        "inputs": st.lists(NAMES, max_size=3, unique=True),
        "env": st.dictionaries(st.sampled_from("XY"), st.sampled_from(["1", "#2"]), max_size=2),
        "build-only": st.booleans(),
    },
)
STACKS = st.fixed_dictionaries(
    {},
    optional={
        "packages": st.dictionaries(NAMES, TABLES, max_size=4),
        "host": st.dictionaries(st.sampled_from(["gcc", "h i"]), st.sampled_from(["path:/a", "path:/b"]), max_size=2),
        "defaults": st.fixed_dictionaries({}, optional={"env": st.dictionaries(st.just("C"), st.sampled_from("12"))}),
    },
)


def written(data):
    """A stack with a comment above each package, and one behind its version."""
    lines = [tomlkit.dumps({section: data[section]}) for section in ("host", "defaults") if section in data]
    for name, table in data.get("packages", {}).items():
        lines += [f"# about {name}", tomlkit.dumps({"packages": {name: table}}).replace("[packages]\n", "")]
    return "\n".join(lines)


@given(base=STACKS, ours=STACKS, theirs=STACKS, side=st.sampled_from(["ours", "theirs"]))
def test_any_three(base, ours, theirs, side):
    """Any three stacks merge to a text that says just what the rules say, whatever was chosen; sides are alike."""
    three = [copy.deepcopy(one) for one in (base, ours, theirs)]
    before, mine, other = (units_of(one) for one in three)
    found = merge_units(before, mine, other, {})
    mirrored = merge_units(before, other, mine, {})
    assert {one.unit for one in found.conflicts} == {one.unit for one in mirrored.conflicts}
    settled = {one.unit: side for one in found.conflicts}
    merged = merge_units(before, mine, other, settled)
    assert merged.conflicts == ()
    texts = [written(one) for one in (base, ours, theirs)]
    text = merge_text(*texts, merged.units)
    assert units(text) == dict(merged.units)
    for unit in mine.keys() | other.keys() | before.keys():
        if mine.get(unit) == before.get(unit):
            assert merged.units.get(unit) == other.get(unit)
    kept = [unit.name for unit in merged.units if unit.section == "packages" and mine.get(unit) == merged.units[unit]]
    assert all(f"# about {name}\n" in text for name in kept)


@given(st.text(alphabet="[]{}ab.\r'\"#\n= \\\t", max_size=80))
def test_any_text_is_cut_whole(text):
    """Whatever a text is, its sections together are the text."""
    assert joined(sections(text)) == text
