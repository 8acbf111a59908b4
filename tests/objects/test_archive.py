"""Archives become trees, hostile ones nothing."""

import io
import os
import tarfile
import zipfile

import pytest
import zstandard

from hashdist.errors import InvalidError
from hashdist.objects.archive import BadArchiveError, import_archive, is_archive
from hashdist.objects.directory import import_directory

FILES = {"a": b"one", "sub/b": b"two", "sub/run": b"#!/bin/sh\n"}


def make_tar(path, *, mode="w:gz", prefix="pkg-1.0/", extra=()):
    with tarfile.open(path, mode) as archive:
        for name, data in FILES.items():
            info = tarfile.TarInfo(prefix + name)
            info.size, info.mode = len(data), 0o755 if name.endswith("run") else 0o644
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo(prefix + "link")
        link.type, link.linkname = tarfile.SYMTYPE, "a"
        archive.addfile(link)
        for info, data in extra:
            archive.addfile(info, io.BytesIO(data))
    return str(path)


def make_zip(path, *, prefix="pkg-1.0/"):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in FILES.items():
            info = zipfile.ZipInfo(prefix + name)
            info.create_system, info.external_attr = 3, (0o100755 if name.endswith("run") else 0o100644) << 16
            archive.writestr(info, data)
        link = zipfile.ZipInfo(prefix + "link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "a")
    return str(path)


@pytest.fixture
def expected(store, tmp_path):
    """The id of the same files as a directory."""
    folder = tmp_path / "plain"
    (folder / "sub").mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    (folder / "sub/run").chmod(0o755)
    (folder / "link").symlink_to("a")
    return import_directory(store.objects, str(folder))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "", "zst", "zip"])
def test_one_id_whatever_the_packing(store, tmp_path, expected, kind):
    """The same files have one id from any archive; the common leading directory is stripped and told."""
    path = tmp_path / "archive"
    if kind == "zip":
        make_zip(path)
    elif kind == "zst":
        make_tar(tmp_path / "plain.tar", mode="w")
        path.write_bytes(zstandard.compress((tmp_path / "plain.tar").read_bytes()))
    else:
        make_tar(path, mode=f"w:{kind}")
    imported = import_archive(store.objects, str(path))
    assert (imported.tree, imported.stripped) == (expected, "pkg-1.0")
    assert is_archive(str(path))


def test_nothing_to_strip(store, tmp_path, expected):
    """Without one common directory nothing is stripped; with it only when asked."""
    assert import_archive(store.objects, make_tar(tmp_path / "a", prefix="")).stripped is None
    assert import_archive(store.objects, make_tar(tmp_path / "b"), strip=False).tree != expected


def entry(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b""


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ([entry("/etc/passwd")], "absolute"),
        ([entry("pkg-1.0/../../x")], "leads out"),
        ([entry("pkg-1.0/link/x")], "not a directory"),
        ([entry("pkg-1.0/a")], "two entries"),
        ([entry("pkg-1.0/sub")], "two entries"),
        ([entry("pkg-1.0/a/b")], "not a directory"),
        ([entry("hard", tarfile.LNKTYPE, "/etc/passwd")], "absolute"),
        ([entry("hard", tarfile.LNKTYPE, "nowhere")], "hard link"),
        ([entry("null", tarfile.CHRTYPE)], "device"),
        ([entry("pipe", tarfile.FIFOTYPE)], "pipe"),
        ([entry("pkg-1.0/.git/config")], "git keeps"),
        ([entry("pkg-1.0/.GIT")], "git keeps"),
        ([entry("x/" * 2000 + "y")], "depth"),
    ],
)
def test_hostile_tars(store, tmp_path, extra, words):
    """What would write outside, through links, twice, or as a device is refused; nothing is stored."""
    with pytest.raises(InvalidError, match=words):
        import_archive(store.objects, make_tar(tmp_path / "bad", extra=extra))
    assert not os.listdir(os.path.join(store.git, "objects/pack"))


def test_hard_links_inside_are_copies(store, tmp_path):
    """A hard link to an earlier file is the same file again."""
    path = make_tar(tmp_path / "x", extra=[entry("pkg-1.0/again", tarfile.LNKTYPE, "pkg-1.0/sub/run")])
    tree = import_archive(store.objects, path).tree
    assert store.objects.find(tree, "again").id == store.objects.find(tree, "sub/run").id


def test_submodule_leftover(store, tmp_path, expected):
    """The .git file that a packager's submodule leaves is passed over; any other .git file is refused."""
    info = tarfile.TarInfo("pkg-1.0/.git")
    for data in (b"gitdir: ../../.git/modules/x\n", b"exec me\n"):
        info.size = len(data)
        path = make_tar(tmp_path / "x", extra=[(info, data)])
        if data.startswith(b"gitdir"):
            assert import_archive(store.objects, path).tree == expected
        else:
            with pytest.raises(InvalidError, match="git keeps"):
                import_archive(store.objects, path)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.97])
def test_truncated(store, tmp_path, cut):
    """An archive that ends too early is broken, at whatever point it ends."""
    path = tmp_path / "x"
    make_tar(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(BadArchiveError):
        import_archive(store.objects, str(path))


def test_not_an_archive(store, tmp_path):
    """A text file is not taken for an archive."""
    path = tmp_path / "x.tar.gz"
    path.write_text("<html>")
    with pytest.raises(BadArchiveError, match="not an archive"):
        import_archive(store.objects, str(path))


def test_ambiguous_zip(store, tmp_path):
    """A zip whose local and central names differ is read by nobody the same way, so it is refused."""
    path = tmp_path / "x.zip"
    make_zip(path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"pkg-1.0/a", b"pkg-1.0/z", 1))
    with pytest.raises(BadArchiveError):
        import_archive(store.objects, str(path))


def test_header_bombs(store, tmp_path):
    """An extended header of megabytes is refused before it is read."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 5 << 20
    path = tmp_path / "bomb.tar"
    path.write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + b"\0" * (5 << 20) + b"\0" * 1024)
    with pytest.raises(BadArchiveError, match="limit: header"):
        import_archive(store.objects, str(path))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_bytes_flipped_in_the_middle(store, tmp_path, kind):
    """A compressed stream that is damaged is a broken archive, whatever the compressor calls it."""
    path = tmp_path / "x"
    make_tar(path, mode=f"w:{kind}", extra=[(tarfile.TarInfo(f"pkg-1.0/n{number}"), b"") for number in range(200)])
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data) // 3 + 40):
        data[place] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InvalidError):
        import_archive(store.objects, str(path))


def test_zip_names_outside_utf8(store, tmp_path):
    """A zip with a name in no encoding at all is stored or refused, in one line."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("aaaa", "x")
    path.write_bytes(path.read_bytes().replace(b"aaaa", b"a\xff\xfea"))
    assert [entry.name for entry in store.objects.tree(import_archive(store.objects, str(path)).tree)] == [
        b"a\xff\xfea"
    ]
