"""The tree encoder and validator."""

import subprocess

import pytest
from hypothesis import given, strategies as st

from hashdist.objects import tree
from hashdist.objects.database import object_id
from hashdist.objects.ids import BlobId, TreeId

BLOB = BlobId("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
EMPTY = TreeId("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
NAMES = st.binary(min_size=1, max_size=40).filter(
    lambda name: not set(name) & {0, 0x2F} and name not in {b".", b".."} and not tree.is_dot_git(name)
)
ENTRIES = st.lists(st.tuples(NAMES, st.sampled_from(tree.Mode)), unique_by=lambda entry: entry[0]).map(
    lambda entries: [tree.Entry(name, mode, EMPTY if mode is tree.Mode.DIRECTORY else BLOB) for name, mode in entries]
)


@given(ENTRIES)
def test_round_trip(entries):
    """What is encoded decodes to the same entries, in git's order."""
    assert set(tree.decode(tree.encode(entries))) == set(entries)


@given(st.binary(max_size=200))
def test_any_bytes(data):
    """Any bytes either decode to what encodes to them again, or are refused."""
    try:
        entries = tree.decode(data)
    except tree.InvalidTreeError:
        return
    assert tree.encode(entries) == data


def test_same_id_as_git(tmp_path):
    """git mktree gives the same id, directories sorted as if they ended in a slash."""
    entries = [tree.Entry(name, tree.Mode.FILE, BLOB) for name in (b"a.b", b"a0", "é".encode())]
    entries.append(tree.Entry(b"a", tree.Mode.DIRECTORY, EMPTY))
    lines = "".join(
        f"{entry.mode.value:06o} {'tree' if entry.id == EMPTY else 'blob'} {entry.id}\t{entry.name.decode()}\n"
        for entry in entries
    )
    subprocess.run(["git", "init", "-q", tmp_path / "g"], check=True)
    made = subprocess.run(
        ["git", "-C", tmp_path / "g", "mktree", "--missing"], input=lines.encode(), capture_output=True, check=True
    )
    assert object_id("tree", tree.encode(entries)) == made.stdout.decode().strip()


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b".",
        b"..",
        b"a/b",
        b"a\0b",
        b"x" * 256,
        b".git",
        b".GIT",
        b"git~1",
        b".git ",
        b".git.",
        b".git::$INDEX",
        ".g\u200cit".encode(),
        b"x\\.git",
    ],
)
def test_refused_names(name):
    """What is no file name, and .git in every disguise, is neither written nor read."""
    with pytest.raises(tree.InvalidTreeError):
        tree.encode([tree.Entry(name, tree.Mode.FILE, BLOB)])
    with pytest.raises(tree.InvalidTreeError):
        tree.decode(b"100644 " + name + b"\0" + BLOB.raw)


@pytest.mark.parametrize(
    "name", [b".gitignore", b".gitmodules", b"git", b"xgit~1", b"digit", b".github", b"...", b"-rf", b"a\nb", b"\xff"]
)
def test_plain_names(name):
    """Names that only look odd are data."""
    assert tree.decode(tree.encode([tree.Entry(name, tree.Mode.FILE, BLOB)]))[0].name == name


def test_order_and_duplicates_on_read():
    """Unsorted trees, doubled names and a file beside a directory of its name are refused when read."""
    one, two = (b"100644 " + name + b"\0" + BLOB.raw for name in (b"a", b"b"))
    directory = b"40000 a\0" + EMPTY.raw
    for data in (two + one, one + one, one + two + directory, b"160000 a\0" + BLOB.raw, b"100664 a\0" + BLOB.raw):
        with pytest.raises(tree.InvalidTreeError):
            tree.decode(data)
