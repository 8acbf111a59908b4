"""Declarations of sources."""

import pytest

from hashdist.errors import InvalidError
from hashdist.sources import declaration
from hashdist.sources.declaration import PathSource, PypiSource, UrlSource
from hashdist.sources.typed import declare

SHA = "0" * 64


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"url": "https://h/x.tar.gz", "sha256": SHA}, UrlSource("https://h/x.tar.gz", (), SHA)),
        ({"url": "file:///x", "mirrors": ["http://m/x"]}, UrlSource("file:///x", ("http://m/x",))),
        ({"path": "src", "subdir": "a/b"}, PathSource("src", "a/b")),
        ({"pypi": "numpy"}, PypiSource("numpy", "2.0", wheel=True)),
    ],
)
def test_kinds(table, expected):
    """Each kind is read."""
    assert declaration.parse(table, version="2.0", wheel=True) == expected


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("https://x", "table"),
        ({}, "exactly one"),
        ({"url": "https://h/x", "path": "y"}, "exactly one"),
        ({"url": "ftp://h/x"}, "neither http"),
        ({"url": "https:///x"}, "no host"),
        ({"url": "https://h/x", "sha256": "abc"}, "64"),
        ({"url": "https://h/x", "sha": SHA}, "unknown key"),
        ({"url": "https://h/x", "mirrors": "https://m"}, "list"),
        ({"url": "https://h/x", "mirrors": ["ssh://m"]}, "neither http"),
        ({"url": 1}, "text"),
        ({"path": "x", "subdir": "../y"}, "relative path"),
        ({"path": "x", "subdir": "/y"}, "relative path"),
        ({"path": ""}, "empty"),
        ({"pypi": "../x"}, "project"),
    ],
)
def test_faults(table, words):
    """Each fault is told."""
    with pytest.raises(InvalidError, match=words):
        declaration.parse(table, version="1", wheel=False)


def test_no_credentials_in_locks():
    """User names, passwords and tokens do not enter what is recorded."""
    source = UrlSource("https://me:secret@h:8/x.tgz?token=1#f", ("http://u@m/x",))
    assert declaration.to_json(source) == {"url": "https://h:8/x.tgz", "mirrors": ["http://m/x"]}


def test_what_people_type(tmp_path):
    """A URL, a release and a path are told apart."""
    assert declare("https://h/x", sha256=SHA) == UrlSource("https://h/x", (), SHA)
    assert declare("pypi:lz4==4.4.4", subdir="c") == PypiSource("lz4", "4.4.4", wheel=False, subdir="c")
    assert declare(str(tmp_path)) == PathSource(str(tmp_path))
    with pytest.raises(InvalidError, match="version"):
        declare("pypi:lz4")
