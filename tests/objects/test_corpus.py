"""Every archive of the corpus gets its verdict; none writes anywhere, and what is refused leaves nothing."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import tarfile

import pytest
from hypothesis import given, settings, strategies as st
from objects.corpus import END, corpus, entry, pax

from hashdist.errors import HashdistError
from hashdist.fsutil.removal import remove_tree
from hashdist.objects.archive import import_archive
from hashdist.objects.directory import import_directory
from hashdist.objects.exporting import export_tree
from hashdist.objects.tar import BadArchiveError, read_tar
from hashdist.objects.tree import Mode

CORPUS = corpus()


def contents(store, tree, path=b""):
    """The tree as a verdict tells it."""
    found = {}
    for one in store.objects.tree(tree):
        name = path + b"/" + one.name if path else one.name
        if one.mode is Mode.DIRECTORY:
            found |= contents(store, one.id, name) or {name: None}
        elif one.mode is Mode.SYMLINK:
            found[name] = ("link", store.objects.blob(one.id))
        else:
            data = store.objects.blob(one.id)
            found[name] = ("exec", data) if one.mode is Mode.EXECUTABLE else data
    return found


def test_there_are_many():
    """The corpus covers what the promises name."""
    assert len(CORPUS) >= 60


@pytest.mark.parametrize("name", list(CORPUS))
def test_verdict(store, tmp_path, name):
    """Refused with its words, or stored as plain data."""
    data, verdict = CORPUS[name]
    path = tmp_path / name
    path.write_bytes(data)
    if isinstance(verdict, str):
        with pytest.raises(HashdistError, match=verdict):
            import_archive(store.objects, str(path), strip=False)
        assert not [
            one for one in os.listdir(os.path.join(store.git, "objects/pack")) if one.startswith(("tmp", "pack"))
        ]
        return
    tree = import_archive(store.objects, str(path), strip=False).tree
    expected = {key: value for key, value in verdict.items() if key.count(b"/") < 900}
    if expected == verdict:
        assert contents(store, tree) == verdict
    export_tree(store.objects, tree, str(tmp_path / "out"), mtime=1)
    again = import_directory(store.objects, str(tmp_path / "out"))
    remove_tree(str(tmp_path / "out"))  # it can be deeper than the test runner's own removal likes
    assert again == tree
    assert sorted(os.listdir(tmp_path)) == sorted(["home", "store", name])


def test_golden_ids(store, tmp_path):
    """The id of each archive is what it was when the format was fixed: it names sources for ever."""
    golden = json.loads((pathlib.Path(__file__).parent.parent / "vectors/sources.json").read_text())
    found = {}
    for name, (data, verdict) in CORPUS.items():
        if isinstance(verdict, dict):
            (tmp_path / name).write_bytes(data)
            found[name] = import_archive(store.objects, str(tmp_path / name), strip=False, hash_only=True).tree
    assert found == golden


@pytest.mark.parametrize("name", [name for name, (_, verdict) in CORPUS.items() if isinstance(verdict, dict)])
def test_hash_only_stores_nothing(store, tmp_path, name):
    """Asked for the id alone, nothing enters the store, and the id is the same."""
    path = tmp_path / name
    path.write_bytes(CORPUS[name][0])
    before = sorted(at for at, _, _ in os.walk(store.git))
    tree = import_archive(store.objects, str(path), hash_only=True).tree
    assert sorted(at for at, _, _ in os.walk(store.git)) == before
    assert import_archive(store.objects, str(path)).tree == tree


@given(st.data())
@settings(max_examples=200)
def test_any_byte_changed(store, tmp_path, data):
    """Whatever is flipped in an archive, it is read or refused, and never anything else happens."""
    name = data.draw(st.sampled_from(["made-by-tarfile-pax.tar", "gnu-long-name.tar", "streamed.zip", "two-members.tar.gz",
                                      "plain.zip", "two-streams.tar.xz", "two-frames.tar.zst", "lzma.zip"]))  # fmt: skip
    raw = bytearray(CORPUS[name][0])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw
    path = tmp_path / "x"
    path.write_bytes(raw)
    with contextlib.suppress(HashdistError):
        import_archive(store.objects, str(path))


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."} and "git" not in name.lower()
)


@given(st.dictionaries(NAMES, st.binary(max_size=2000), min_size=1, max_size=8), st.sampled_from([0, 1, 2]))
@settings(max_examples=60)
def test_reads_what_the_standard_library_writes(files, format):
    """Whatever tarfile writes, in any format, comes out as it went in."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, errors="surrogateescape") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            try:
                archive.addfile(info, io.BytesIO(data))
            except ValueError:
                return  # too long for this format
    out.seek(0)
    found = {one.name: one.data.read() for one in read_tar(out, header_limit=1 << 20)}
    assert found == {name.encode(): data for name, data in files.items()}


@pytest.mark.parametrize("format", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_reads_what_gnu_tar_writes(store, tmp_path, format):
    """A directory that GNU tar packed in any of its formats has the id of the directory."""
    source = tmp_path / "pkg"
    (source / "sub/empty").mkdir(parents=True)
    (source / "run").write_text("#!/bin/sh\n")
    (source / "run").chmod(0o755)
    os.link(source / "run", source / "sub/again")
    (source / "link").symlink_to("sub/again")
    with open(os.path.join(os.fsencode(source), b"caf\xe9"), "wb") as file:
        file.write(b"latin")
    if format != "v7":
        (source / ("d" * 60) / ("e" * 60)).mkdir(parents=True)
        (source / ("d" * 60) / ("e" * 60) / "file").write_text("long")
    path = tmp_path / "x.tar"
    subprocess.run(["tar", f"--format={format}", "-cf", path, "-C", tmp_path, "pkg"], check=True)
    imported = import_archive(store.objects, str(path))
    assert (imported.tree, imported.stripped) == (import_directory(store.objects, str(source)), "pkg")


def test_endless_entries_take_no_memory():
    """Entries are given one by one, and nothing of them is kept."""
    import tracemalloc

    class Endless(io.RawIOBase):
        def __init__(self):
            self.block, self.left = entry(b"file", b"") + pax({b"comment": b"x" * 1000}, b"g"), 3000
            self.rest = b""

        def read(self, size=-1):
            while len(self.rest) < size and self.left:
                self.rest += self.block
                self.left -= 1
            part, self.rest = self.rest[:size], self.rest[size:]
            return part

    tracemalloc.start()
    count = sum(1 for _ in read_tar(Endless(), header_limit=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 3000
    assert peak < 3_000_000


def test_negative_directory_of_numbers():
    """A number field that is all spaces is zero, as old programs wrote it."""
    block = entry(b"file", b"", sizefield=b" " * 12)
    (one,) = read_tar(io.BytesIO(block + END), header_limit=1000)
    assert one.size == 0
    with pytest.raises(BadArchiveError):
        list(read_tar(io.BytesIO(entry(sizefield=b"9" * 11 + b"\0")), header_limit=1000))
