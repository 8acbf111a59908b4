"""Directories become trees and trees directories."""

import os
import subprocess

import pytest
from hypothesis import given, strategies as st

from hashdist.errors import InvalidError
from hashdist.fsutil.removal import remove_tree
from hashdist.objects.directory import import_directory
from hashdist.objects.exporting import export_tree
from hashdist.objects.importing import LimitError, Limits


def fill(folder):
    """Everything a tree can hold, and what tempts filters."""
    (folder / "sub/deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "sub/deep/crlf.bat").write_bytes(b"a\r\nb\r\n")
    (folder / ".gitattributes").write_text("* text=auto eol=lf export-subst\n")
    (folder / ".gitignore").write_text("*\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("../outside")
    (folder / "large").write_bytes(os.urandom(1000) * 20_000)
    with open(os.fsencode(folder) + b"/\xff\xfe", "wb") as file:
        file.write(b"odd name")


def snapshot(folder):
    """Names, kinds, exec bits and contents below a directory."""
    found = {}
    root = os.fsencode(folder)
    for place, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(place, name)
            key = os.path.relpath(path, root)
            if os.path.islink(path):
                found[key] = os.readlink(path)
            elif os.path.isdir(path):
                found[key] = None
            else:
                with open(path, "rb") as file:
                    found[key] = (file.read(), bool(os.stat(path).st_mode & 0o100))
    return found


def test_round_trip(store, tmp_path):
    """Bytes, exec bits, links, empty directories and odd names survive, whatever .gitattributes say."""
    (tmp_path / "in").mkdir()
    fill(tmp_path / "in")
    tree = import_directory(store.objects, str(tmp_path / "in"))
    export_tree(store.objects, tree, str(tmp_path / "out"), mtime=5)
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "in")
    assert os.stat(tmp_path / "out/run.sh").st_mtime == 5


def test_same_id_as_git(store, tmp_path, git):
    """git gives a directory without its special cases the same id, and finds the pack in order."""
    source = tmp_path / "in"
    for number in range(300):
        (source / f"d{number % 7}").mkdir(parents=True, exist_ok=True)
        (source / f"d{number % 7}" / f"f{number}").write_text("x" * number)
    (source / "exec").write_text("")
    (source / "exec").chmod(0o755)
    (source / "link").symlink_to("d1")
    loose = [name for name in os.listdir(os.path.join(store.git, "objects")) if len(name) == 2]
    tree = import_directory(store.objects, str(source))
    env = {**os.environ, "GIT_DIR": str(tmp_path / "g"), "GIT_WORK_TREE": str(source)}
    subprocess.run(["git", "init", "-q"], env=env, check=True)
    subprocess.run(["git", "add", "-A", "."], env=env, cwd=source, check=True)
    assert (
        subprocess.run(["git", "write-tree"], env=env, capture_output=True, text=True, check=True).stdout.strip()
        == tree
    )
    for pack in os.listdir(os.path.join(store.git, "objects/pack")):
        if pack.endswith(".pack"):
            git("verify-pack", f"objects/pack/{pack}")
    after = [name for name in os.listdir(os.path.join(store.git, "objects")) if len(name) == 2]
    assert sorted(after) == sorted(loose), "no loose objects"


def test_what_is_there_is_not_stored_again(store, tmp_path):
    """A second import writes no pack, and one with a change only what is new."""
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/sub/a").write_text("a" * 10000)
    packs = os.path.join(store.git, "objects/pack")
    import_directory(store.objects, str(tmp_path / "in"))
    before = set(os.listdir(packs))
    import_directory(store.objects, str(tmp_path / "in"))
    assert set(os.listdir(packs)) == before
    (tmp_path / "in/b").write_text("b")
    tree = import_directory(store.objects, str(tmp_path / "in"))
    (new,) = (name for name in set(os.listdir(packs)) - before if name.endswith(".pack"))
    assert os.path.getsize(os.path.join(packs, new)) < 200
    export_tree(store.objects, tree, str(tmp_path / "out"), mtime=1)
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "in")


def test_dot_git_is_left_out_of_directories(store, tmp_path):
    """A .git directory, or file, in a directory is not part of the source."""
    (tmp_path / "in/.git").mkdir(parents=True)
    (tmp_path / "in/.git/config").write_text("x")
    (tmp_path / "in/a").write_text("x")
    assert [entry.name for entry in store.objects.tree(import_directory(store.objects, str(tmp_path / "in")))] == [b"a"]


def test_pipes_are_refused(store, tmp_path):
    """A pipe in a directory is named and refused, and no pack appears."""
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in/pipe")
    with pytest.raises(InvalidError, match="pipe"):
        import_directory(store.objects, str(tmp_path / "in"))
    assert not os.listdir(os.path.join(store.git, "objects/pack"))


def test_limits_are_named(store, tmp_path):
    """An import that goes beyond a limit says which."""
    (tmp_path / "in").mkdir()
    for number in range(5):
        (tmp_path / "in" / str(number)).write_text("x" * 100)
    with pytest.raises(LimitError, match="limit: entries"):
        import_directory(store.objects, str(tmp_path / "in"), limits=Limits(entries=3))
    with pytest.raises(LimitError, match="limit: size"):
        import_directory(store.objects, str(tmp_path / "in"), limits=Limits(size=300))


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=50), max_size=6))
def test_any_files(store, tmp_path, files):
    """Whatever is imported comes out the same."""
    for folder in ("in", "out"):
        remove_tree(str(tmp_path / folder))
    (tmp_path / "in").mkdir()
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    export_tree(store.objects, import_directory(store.objects, str(tmp_path / "in")), str(tmp_path / "out"), mtime=1)
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "in")


def test_large_files_are_stored_once(store, tmp_path):
    """A file that is streamed is not stored again either."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/large").write_bytes(os.urandom(17 << 20))
    packs = os.path.join(store.git, "objects/pack")
    import_directory(store.objects, str(tmp_path / "in"))
    before = set(os.listdir(packs))
    import_directory(store.objects, str(tmp_path / "in"))
    assert set(os.listdir(packs)) == before


def test_a_full_disk_leaves_no_pack(store, tmp_path):
    """An import that cannot write to its end leaves nothing."""
    import resource
    import signal

    (tmp_path / "in").mkdir()
    (tmp_path / "in/large").write_bytes(os.urandom(18 << 20))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            import_directory(store.objects, str(tmp_path / "in"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(os.path.join(store.git, "objects/pack")) == []


def test_no_descriptor_is_lost(store, tmp_path):
    """Writing out a tree that is not whole leaves no file open."""
    from hashdist.errors import NotFoundError
    from hashdist.objects.ids import TreeId
    from hashdist.objects.tree import Entry, Mode

    broken = store.objects.add_tree([Entry(b"absent", Mode.DIRECTORY, TreeId("0" * 39 + "1"))])
    before = len(os.listdir("/proc/self/fd"))
    for number in range(5):
        with pytest.raises(NotFoundError):
            export_tree(store.objects, broken, str(tmp_path / str(number)), mtime=1)
    assert len(os.listdir("/proc/self/fd")) == before
