"""Unchanged files are not read again, and changed ones always are."""

import os
import time

import pytest
from hypothesis import given, settings, strategies as st

from hashdist.objects.directory import import_directory, import_remembering
from hashdist.objects.ids import TreeId
from hashdist.objects.statcache import StatCache, now_ns

LATER = 10**10


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "folder"
    (made / "sub").mkdir(parents=True)
    (made / "a").write_text("one")
    (made / "sub/b").write_text("two")
    (made / "link").symlink_to("a")
    return made


def remembered(store, folder):
    """What was learnt of a directory whose files are all some seconds old."""
    found = import_remembering(store.objects, str(folder), None, now=time.time_ns() + LATER)
    return found.tree, StatCache.decode(found.cache.encode())


def again(store, folder, cache):
    return import_remembering(store.objects, str(folder), cache, now=time.time_ns() + LATER).tree


def test_nothing_is_read_that_did_not_change(store, folder, monkeypatch):
    """The second time no file is opened; a change opens that file only."""
    tree, cache = remembered(store, folder)
    assert cache.digest
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **keys: opened.append(path) or real(path, *rest, **keys))
    assert again(store, folder, cache) == tree
    assert opened == []
    (folder / "a").write_text("another")
    changed = again(store, folder, cache)
    assert [os.path.basename(path) for path in opened if b"folder" in os.fsencode(path)] == [b"a"]
    monkeypatch.undo()
    assert changed == import_directory(store.objects, str(folder)) != tree


def change_content(folder):
    (folder / "a").write_text("eno")


def change_content_and_time(folder):
    """The same size, and the old times put back: ctime still tells."""
    status = os.stat(folder / "a")
    (folder / "a").write_text("eno")
    os.utime(folder / "a", ns=(status.st_atime_ns, status.st_mtime_ns))


def replace(folder):
    (folder / "new").write_text("eno")
    os.utime(folder / "new", ns=(0, os.stat(folder / "a").st_mtime_ns))
    (folder / "new").rename(folder / "a")


def change_mode(folder):
    (folder / "a").chmod(0o755)


def change_link(folder):
    (folder / "link").unlink()
    (folder / "link").symlink_to("b")


def swap(folder):
    (folder / "a").rename(folder / "x")
    (folder / "sub/b").rename(folder / "a")
    (folder / "x").rename(folder / "sub/b")


def add_file(folder):
    (folder / "sub/c").write_text("three")


def add_directory(folder):
    (folder / "empty").mkdir()


def remove(folder):
    (folder / "sub/b").unlink()


def file_to_directory(folder):
    (folder / "a").unlink()
    (folder / "a").mkdir()


@pytest.mark.parametrize(
    "change",
    [
        change_content,
        change_content_and_time,
        replace,
        change_mode,
        change_link,
        swap,
        add_file,
        add_directory,
        remove,
        file_to_directory,
    ],
)
def test_every_change_is_seen(store, folder, change):
    """Whatever is done to a directory right after it was imported, the next import sees."""
    tree, cache = remembered(store, folder)
    change(folder)
    found = again(store, folder, cache)
    assert found == import_directory(store.objects, str(folder))
    assert found != tree


def test_young_files_are_not_remembered(store, folder):
    """A file that was written just now could be written again in the same tick of the clock."""
    found = import_remembering(store.objects, str(folder), None, now=now_ns(str(folder), store.path))
    assert found.cache is not None
    assert not found.cache.digest
    assert all(not files for files in found.cache.folders.values())


def test_edits_in_quick_succession(store, folder):
    """Many edits of one size within one second, each seen at once."""
    cache = None
    for number in range(100):
        (folder / "a").write_text(f"{number:03}")
        found = import_remembering(store.objects, str(folder), cache, now=now_ns(str(folder), store.path))
        cache = StatCache.decode(found.cache.encode()) if found.cache else cache
        assert found.tree == import_directory(store.objects, str(folder))


def test_a_clock_that_nobody_can_ask(folder):
    """On a file system that is not this machine's own nothing is remembered, since its clock may be another."""
    assert now_ns("/proc", str(folder)) is None
    assert abs(now_ns(str(folder), str(folder)) - time.time_ns()) < 10**9


@pytest.mark.parametrize("place", [0, 20, 60, -1])
def test_a_damaged_cache_is_none(store, folder, place):
    """A flipped bit makes the cache useless, not wrong."""
    _, cache = remembered(store, folder)
    data = bytearray(cache.encode())
    data[place] ^= 1
    assert StatCache.decode(bytes(data)) is None
    assert StatCache.decode(b"") is None
    assert StatCache.decode(cache.encode()[:-5]) is None


NAME = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name and b"/" not in name)
FILES = st.dictionaries(NAME, st.tuples(st.binary(min_size=44, max_size=44), st.just(b"1" * 20)), max_size=5)


@given(st.dictionaries(NAME, FILES, max_size=5))
@settings(max_examples=100)
def test_round_trip(folders):
    """Whatever is remembered is read as it was written."""
    cache = StatCache(TreeId("0" * 40), b"d" * 32, folders)
    found = StatCache.decode(cache.encode())
    for folder, files in folders.items():
        for name, (state, id) in files.items():
            assert found.get(folder, name, state) == id
            assert found.get(folder, name, b"\0" * 44 if state != b"\0" * 44 else b"\1" * 44) is None
