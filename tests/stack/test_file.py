"""Stack files: what they say, and every fault by its line."""

import pytest
import tomlkit
from hypothesis import given, strategies as st
from support import package

from hashdist.errors import InvalidError
from hashdist.stack.file import StackError, parse_stack
from hashdist.stack.positions import key_lines
from hashdist.stack.starter import starter

GOOD = """\
[defaults]
env = { CFLAGS = "-O2", FOO = "1" }

[host]
gcc = ["path:gcc-99", "path:gcc"]

[packages.zlib]
version = "1.3.1"
source = { url = "https://example.org/zlib.tar.gz" }
builder = "autotools"
inputs = ["gcc"]
env = { FOO = "2" }

[packages.numpy]
version = "2.3.5"
source = { pypi = "numpy" }
builder = "wheel"
requires = ["python"]

[packages.app]
version = "1"
commands = ["make"]
inputs = ["zlib"]
requires = ["numpy"]

[packages.top]
version = "1"
commands = ["make"]
inputs = ["app"]
base = false
"""


def test_good():
    """Defaults, presets, what they bring, and the expansion of inputs."""
    stack = parse_stack(GOOD)
    assert stack.packages["zlib"].env == {"CFLAGS": "-O2", "FOO": "2"}
    assert stack.packages["numpy"].env == {}, "a wheel compiles nothing"
    assert stack.packages["zlib"].builder == "autotools@1"
    assert set(stack.host) == {"gcc", "base", "python"}
    assert stack.expanded["zlib"] == ("base", "gcc")
    assert stack.expanded["numpy"] == ("base", "python")
    assert stack.expanded["top"] == ("app", "numpy", "python"), "an input with all it requires to run"
    assert stack.order.index("zlib") < stack.order.index("app") < stack.order.index("top")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("x = 1\n[y]\n", ["1: x: unknown key", "2: y: unknown key"]),
        ("a = \n", ["1: invalid value"]),
        ("a = 1\na = 2\n", ["2: cannot overwrite a value"]),
        ("[packages.a]\n", ["1: packages.a: needs a version", "1: packages.a: needs either a builder or commands"]),
        (package("a", version="1.10"), ["2: packages.a.version: must be text"]),
        (package("a", version='"../1"'), ["2: packages.a.version: bad version"]),
        (package('"../x"'), ['1: packages."../x": bad package name']),
        (package("-rf"), ["1: packages.-rf: bad package name"]),
        (package('""'), ['1: packages."": bad package name']),
        (package("x" * 300), ['1: packages."xxx']),
        (package("a", inputs='["b"]'), ["4: packages.a.inputs: no package or host entry 'b'"]),
        (
            package("a", requires='["b", "c"]'),
            ["4: packages.a.requires: no package or host entry 'b'", "4: packages.a.requires: no"],
        ),
        (
            package("a", inputs='["b"]') + package("b", inputs='["a"]'),
            ["1: packages.a: needs itself to be built: a → b → a"],
        ),
        (package("a", inputs='["b"]') + package("b", requires='["a"]'), ["needs itself"]),
        (package("a", env='{ PATH = "/x" }'), ["4: packages.a.env.PATH: is set by the build"]),
        (package("a", env='{ LD_PRELOAD = "/x" }'), ["env.LD_PRELOAD"]),
        (package("a", env='{ "A B" = "/x" }'), ["is not the name of a variable"]),
        (package("a", env='{ CFLAGS = "-march=native" }'), ['cpu = "native"']),
        (package("a", builder='"nope"'), ["no preset 'nope'", "x"][:1]),
        (package("a", builder='"make"'), ["needs a source"]),
        (
            package("a", builder='"wheel"', source='{ pypi = "a" }', env='{ CFLAGS = "-O3" }'),
            ["a wheel compiles nothing"],
        ),
        (package("a", source='{ url = "ftp://x" }'), ["4: packages.a.source: url: 'ftp://x' is neither"]),
        (package("a", patches='["../x.patch"]'), ["not a plain path"]),
        (package("a", patches='["a/x.patch", "b/x.patch"]'), ["one file name"]),
        (package("a", bogus="1"), ["4: packages.a.bogus: unknown key"]),
        (package("a", build_only='"yes"'), ["4: packages.a.build-only: must be true or false"]),
        ('[host]\ngcc = "gcc"\n', ["2: host.gcc: unknown finder 'gcc'"]),
        ("[host]\ngcc = []\n", ["2: host.gcc: needs a finder"]),
        ('[host]\ngcc = { find = "path:gcc", identity = "x" }\n', ["2: host.gcc.identity: must be one of"]),
        ('[host]\na = "path:a"\n' + package("a"), ["also the name of a host entry"]),
        ("packages = 1\n", ["1: packages: must be a table"]),
        ("[packages]\na = 1\n", ["2: packages.a: must be a table"]),
    ],
)
def test_faults(text, problems):
    """Each fault is told with its line, and all of them at once."""
    with pytest.raises(StackError) as caught:
        parse_stack(text)
    found = caught.value.problems
    assert len(found) >= len(problems)
    for problem in problems:
        assert any(problem in line for line in found), found
    assert all(line.startswith("stack.toml:") for line in found)


def test_all_faults_at_once():
    """Faults in several packages are all told, in the order of the file."""
    text = package("a", bogus="1") + package("b", version="2") + package("c", inputs='["d"]')
    with pytest.raises(StackError) as caught:
        parse_stack(text)
    assert [line.split(":")[1] for line in caught.value.problems] == ["4", "6", "11"]


def test_native_only_when_said():
    """-march=native is taken where the package says that it is for this machine."""
    assert parse_stack(package("a", cpu='"native"', env='{ CFLAGS = "-march=native" }')).packages["a"].cpu == "native"


def test_cycles_of_requirements_alone():
    """Two packages that need each other to run are no cycle."""
    stack = parse_stack(package("a", requires='["b"]') + package("b", requires='["a"]'))
    assert stack.run_closure(["a"]) == ["a", "b"]


def test_positions():
    """The line of a key is found in headers, dotted keys, inline tables and below comments."""
    text = '# c\n\na.b.c = 1 # x\n\n[t]\n\n  k = [\n  1,\n]\nz = { y = 1, x = 2 }\n[[u]]\nv=1\n[t.s."q.r"]\nw = """\n\n"""\nx = 1\n'
    lines = key_lines(text)
    expected = {
        ("a", "b", "c"): 3,
        ("t",): 5,
        ("t", "k"): 7,
        ("t", "z"): 10,
        ("t", "z", "x"): 10,
        ("t", "s", "q.r"): 13,
        ("t", "s", "q.r", "w"): 14,
        ("t", "s", "q.r", "x"): 17,
    }
    assert {key: lines.get(key) for key in expected} == expected


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text("ab./ -=1", max_size=5)
KEYS = st.sampled_from(
    [
        "packages",
        "host",
        "defaults",
        "env",
        "a",
        "b",
        "version",
        "source",
        "url",
        "inputs",
        "builder",
        "commands",
        "base",
    ]
)
TABLES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(KEYS, TABLES))
def test_anything(data):
    """Any TOML document is either a stack or refused with lines."""
    without_none = tomlkit.dumps(_drop_none(data))
    try:
        parse_stack(without_none)
    except StackError as error:
        assert error.problems


def _drop_none(value):
    if isinstance(value, dict):
        return {key: _drop_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_drop_none(item) for item in value if item is not None]
    return value


def test_nested_too_deep():
    """A file of nothing but brackets ends in one line."""
    with pytest.raises(StackError):
        parse_stack("a = " + "[" * 5000)


def test_starter():
    """The starter is a stack."""
    assert set(parse_stack(starter({"PATH": "/usr/bin:/bin"})).packages) == {"lz4"}


def test_error_is_invalid_error():
    """Callers that catch ValueError or our own root see a stack's faults."""
    with pytest.raises(ValueError):
        parse_stack("x = 1")
    with pytest.raises(InvalidError):
        parse_stack("x = 1")
