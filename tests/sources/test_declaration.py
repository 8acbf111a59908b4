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


@pytest.mark.parametrize(
    ("typed", "url", "rev"),
    [
        ("https://h.org/a.git@v1", "https://h.org/a.git", "v1"),
        ("https://h.org/a.git@feature/x", "https://h.org/a.git", "feature/x"),
        ("ssh://git@h.org:22/a/b.git", "ssh://git@h.org:22/a/b.git", "HEAD"),
        ("ssh://git@h.org/a/b.git@feature/x", "ssh://git@h.org/a/b.git", "feature/x"),
        ("git@h.org:a/b.git", "git@h.org:a/b.git", "HEAD"),
        ("git@h.org:a/b.git@v1", "git@h.org:a/b.git", "v1"),
        ("file:///no/such@v1", "file:///no/such", "v1"),
    ],
)
def test_typed_revisions(typed, url, rev):
    """What follows the last @ of the path is the revision; one before the path is somebody's name."""
    found = declare(f"git+{typed}")
    assert (found.url, found.rev) == (url, rev)


def test_a_repository_with_an_at_sign(tmp_path):
    """A path that is there is taken as it stands, and with a revision of its own no @ is looked for."""
    (tmp_path / "me@work").mkdir()
    assert declare(f"git+file://{tmp_path}/me@work").url == f"file://{tmp_path}/me@work"
    found = declare("git+https://h.org/me@work/a", rev="v1")
    assert (found.url, found.rev) == ("https://h.org/me@work/a", "v1")


@pytest.mark.parametrize("typed", ["git+https://h.org/a.git@", "git+me@h.org:a@"])
def test_an_empty_revision(typed):
    """A variable that was not set does not mean HEAD."""
    with pytest.raises(InvalidError, match="names no revision"):
        declare(typed)
