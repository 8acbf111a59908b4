"""Edits of the stack file as text."""

import tomllib

import pytest
from hypothesis import given, strategies as st

from hashdist.errors import HashdistError, InvalidError, NotFoundError
from hashdist.stack.editing import add_package, remove_package, set_key, unset_key

TEXT = """\
# the stack

[packages.lz4] # small
version = "1" # pinned
env = { CFLAGS = "-O2" }

# the end
"""


def test_set_keeps_comments():
    """Setting a key changes that key and no more."""
    assert set_key(TEXT, "packages.lz4.env.CFLAGS", "-O3") == TEXT.replace("-O2", "-O3")
    assert set_key(TEXT, "packages.lz4.version", "2") == TEXT.replace('"1"', '"2"')


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-O3", "-O3"),
        ("1.10", "1.10"),
        ("true", True),
        ('["a", "b"]', ["a", "b"]),
        ('"true"', "true"),
        ("{ a = 1 }", {"a": 1}),
        ("", ""),
    ],
)
def test_values(value, expected):
    """A value is text unless it is clearly TOML."""
    assert tomllib.loads(set_key(TEXT, "a.b", value))["a"]["b"] == expected


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text(value):
    """Any value either ends up in the file just so, or is refused."""
    try:
        changed = set_key(TEXT, "x", value)
    except InvalidError:
        return
    found = tomllib.loads(changed)["x"]
    assert found == value or value in {"true", "false"} or value[:1] in "[{\"'"


def test_unset():
    """Unsetting removes a key, and tells when it is not there."""
    assert "CFLAGS" not in unset_key(TEXT, "packages.lz4.env.CFLAGS")
    for key in ("packages.lz4.nope", "nope.nope", "packages.lz4.version.x"):
        with pytest.raises(NotFoundError):
            unset_key(TEXT, key)


def test_set_is_undone_by_set():
    """Setting a key back gives the very same file."""
    there = set_key(TEXT, "packages.lz4.env.CFLAGS", "-O3")
    assert set_key(there, "packages.lz4.env.CFLAGS", "-O2") == TEXT


def test_add_and_remove():
    """A package is added at the end, once, and removed with its comment lines kept elsewhere."""
    added = add_package(TEXT, "numpy", {"version": "2", "source": {"pypi": "numpy"}, "inputs": [], "builder": "wheel"})
    assert added.startswith(TEXT.rstrip("\n"))
    assert tomllib.loads(added)["packages"]["numpy"] == {
        "version": "2",
        "source": {"pypi": "numpy"},
        "builder": "wheel",
    }
    with pytest.raises(InvalidError):
        add_package(added, "numpy", {})
    assert "numpy" not in remove_package(added, "numpy")
    with pytest.raises(NotFoundError):
        remove_package(TEXT, "numpy")


@pytest.mark.parametrize("key", ["", ".", "a..b", "a b", 'a."', "a]\n[b"])
def test_bad_keys(key):
    """Keys that TOML would not take are refused."""
    with pytest.raises(HashdistError):
        set_key(TEXT, key, "x")


def test_not_a_table():
    """A key below a value that is no table is refused."""
    with pytest.raises(InvalidError, match="not a table"):
        set_key(TEXT, "packages.lz4.version.x", "1")


def test_comments_of_the_next_package_stay_there():
    """A new key comes before the comments that belong to the package below."""
    text = '[packages.a]\nversion = "1"\n\n# about b\n[packages.b]\nversion = "1"\n'
    found = set_key(set_key(text, "packages.a.env.X", "1"), "packages.a.cpu", "native")
    assert found == text.replace("\n\n# about", '\nenv = {X = "1"}\ncpu = "native"\n\n# about')
