"""Sources are fetched, verified, imported and pinned."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import zipfile

import pytest
from sources.servers import serving

from hashdist.errors import InvalidError, NetworkError, NotFoundError
from hashdist.objects.archive import BadArchiveError
from hashdist.sources.declaration import PathSource, PypiSource, UrlSource
from hashdist.sources.download import HashMismatchError
from hashdist.sources.fetching import Fetcher
from hashdist.sources.network import OfflineError, UrlNotFoundError
from hashdist.sources.pip_settings import read_pip_settings
from hashdist.sources.pypi import PythonTarget, ReleaseNotFoundError
from hashdist.sources.settings import FetchSettings


def archive(**files):
    """The bytes of a tar.gz with one leading directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"pkg-1/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def fetcher(store, tmp_path):
    return Fetcher(store, str(tmp_path), {**os.environ}, FetchSettings(first_wait=0.01))


def test_http(fetcher, store):
    """An archive is fetched once; again by hash it comes from the downloads, even from a dead server."""
    data = archive(a="hello")
    with serving({"/x.tar.gz": data}) as (url, seen):
        pin = fetcher.pin(UrlSource(f"{url}/x.tar.gz"))
    assert (pin.sha256, pin.size, pin.stripped, pin.url) == (sha256(data), len(data), "pkg-1", f"{url}/x.tar.gz")
    assert pin.tree in store.sources
    again = fetcher.pin(UrlSource(f"{url}/x.tar.gz", sha256=sha256(data)))
    assert again.tree == pin.tree
    assert len(seen) == 1


def test_mirrors(fetcher):
    """A mirror that has nothing, and one that is dead, are passed over."""
    with serving({"/x.tar.gz": archive(a="1")}) as (url, seen):
        pin = fetcher.pin(UrlSource(f"{url}/x.tar.gz", (f"{url}/missing", "file:///nonexistent")))
    assert [path for path, _ in seen] == ["/missing", "/x.tar.gz"]
    assert pin.url.endswith("/x.tar.gz")


def cut_short(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 10)


def redirect(handler):
    handler.send_response(302)
    handler.send_header("Location", "ftp://127.0.0.1/x")
    handler.end_headers()


@pytest.mark.parametrize(
    ("page", "wanted", "error", "words"),
    [
        (archive(a="1"), "0" * 64, HashMismatchError, "another hash"),
        (b"<!DOCTYPE html><p>sorry", "0" * 64, HashMismatchError, "web page"),
        (b"<!DOCTYPE html><p>sorry", None, BadArchiveError, "web page"),
        (b"not an archive", None, BadArchiveError, "its name promises"),
        (None, None, UrlNotFoundError, "404"),
        (cut_short, None, NetworkError, "cut short|broke off"),
        (redirect, None, NetworkError, "redirects from http to ftp"),
    ],
    ids=["wrong hash", "html for a hash", "html", "text", "missing", "cut short", "redirect"],
)
def test_bad_answers(fetcher, store, page, wanted, error, words):
    """Each way to fail has its own words, and nothing is kept as if it were good."""
    with serving({"/x.tar.gz": page}) as (url, _), pytest.raises(error, match=words):
        fetcher.pin(UrlSource(f"{url}/x.tar.gz", sha256=wanted))
    assert store.sources.all() == []
    assert all(len(name) == 64 or name == "partial" for name in os.listdir(store.inside("downloads")))
    assert not [name for name in os.listdir(store.inside("downloads/partial")) if not name.endswith(".lock")]


def test_offline(store, tmp_path):
    """Offline a file URL works and a server is not asked."""
    (tmp_path / "x.tar.gz").write_bytes(archive(a="1"))
    fetcher = Fetcher(store, str(tmp_path), dict(os.environ), FetchSettings(offline=True))
    assert fetcher.pin(UrlSource(f"file://{tmp_path}/x.tar.gz")).stripped == "pkg-1"
    with serving({}) as (url, seen), pytest.raises(OfflineError):
        fetcher.pin(UrlSource(f"{url}/x"))
    assert seen == []


def test_bring_again(fetcher, store, tmp_path):
    """A pin brings the very same source back, and refuses anything else that has its place since."""
    place = tmp_path / "x.tar.gz"
    place.write_bytes(archive(a="1"))
    pin = fetcher.pin(UrlSource(f"file://{place}"))
    os.unlink(store.inside("downloads", pin.sha256))
    os.unlink(os.path.join(store.git, f"refs/sources/{pin.tree}"))
    assert fetcher.bring(pin) == pin.tree
    os.unlink(os.path.join(store.git, f"refs/sources/{pin.tree}"))
    os.unlink(store.inside("downloads", pin.sha256))
    place.write_bytes(archive(a="2"))
    with pytest.raises(HashMismatchError):
        fetcher.bring(pin)


def test_a_damaged_download_is_fetched_again(fetcher, store, tmp_path):
    """A file in downloads that is not what its name says is not used."""
    (tmp_path / "x.tar.gz").write_bytes(archive(a="1"))
    source = UrlSource(f"file://{tmp_path}/x.tar.gz", sha256=sha256(archive(a="1")))
    pin = fetcher.pin(source)
    with open(store.inside("downloads", pin.sha256), "wb") as file:
        file.write(b"rubbish")
    assert fetcher.pin(source).tree == pin.tree


def test_subdir(fetcher, store, tmp_path):
    """A directory inside a source is a source of its own."""
    (tmp_path / "src/lib").mkdir(parents=True)
    (tmp_path / "src/lib/a").write_text("x")
    pin = fetcher.pin(PathSource("src", subdir="lib"))
    assert [entry.name for entry in store.objects.tree(pin.tree)] == [b"a"]
    with pytest.raises(NotFoundError, match="nowhere"):
        fetcher.pin(PathSource("src", subdir="nowhere"))


def test_a_git_checkout(fetcher, store, tmp_path):
    """Of a git checkout the files git would list are taken, as they are now; a copy of them has the same id."""
    work = tmp_path / "repo"
    work.mkdir()
    subprocess.run(["git", "init", "-q", work], check=True)
    (work / ".gitignore").write_text("*.o\n")
    for name in ("tracked", "gone", "untracked", "x.o"):
        (work / name).write_text(name)
    subprocess.run(["git", "-C", work, "add", "tracked", "gone", ".gitignore"], check=True)
    (work / "tracked").write_text("changed since")
    (work / "gone").unlink()
    pin = fetcher.pin(PathSource("repo"))
    assert {entry.name for entry in store.objects.tree(pin.tree)} == {b".gitignore", b"tracked", b"untracked"}
    (tmp_path / "copy").mkdir()
    for name in (".gitignore", "tracked", "untracked"):
        (tmp_path / "copy" / name).write_bytes((work / name).read_bytes())
    assert fetcher.pin(PathSource("copy")).tree == pin.tree


def test_single_files(fetcher, store, tmp_path):
    """A file that is no archive is a source with that file in it."""
    (tmp_path / "fix.patch").write_text("--- a\n")
    for source in (PathSource("fix.patch"), UrlSource(f"file://{tmp_path}/fix.patch")):
        assert [entry.name for entry in store.objects.tree(fetcher.pin(source).tree)] == [b"fix.patch"]


def wheel(name, version, tag="py3-none-any"):
    """The bytes of a small wheel."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr(f"{name}.py", f"version = {version!r}\n")
        made.writestr(
            f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    return f"{name}-{version}-{tag}.whl", out.getvalue()


@pytest.fixture
def index(tmp_path):
    """A simple index on disk, as pip reads them: two wheels of one release, and its source."""
    folder = tmp_path / "index/simple/my-pkg"
    folder.mkdir(parents=True)
    lines = []
    for name, data in (
        wheel("my_pkg", "1.0"),
        wheel("my_pkg", "1.0", "cp311-cp311-linux_x86_64"),
        ("my_pkg-1.0.tar.gz", archive(a="1")),
    ):
        (folder / name).write_bytes(data)
        lines.append(f'<a href="{name}#sha256={sha256(data)}">{name}</a>')
    (folder / "index.html").write_text("\n".join(lines))
    return f"file://{tmp_path}/index/simple"


TARGET = PythonTarget((3, 11), "cp311")


def test_pypi(store, tmp_path, index):
    """From an index of files the wheel that fits best, or the source, is taken, by the index's own hash."""
    env = {"PIP_INDEX_URL": index, "PIP_CONFIG_FILE": os.devnull}
    fetcher = Fetcher(store, str(tmp_path), env, FetchSettings(offline=True))
    best = fetcher.pin(PypiSource("My.Pkg", "1.0", wheel=True), target=TARGET)
    assert best.url.endswith("cp311-cp311-linux_x86_64.whl")
    pure = fetcher.pin(PypiSource("my-pkg", "1.0", wheel=True), target=PythonTarget((3, 12), "cp312"))
    assert pure.url.endswith("py3-none-any.whl")
    assert fetcher.pin(PypiSource("my-pkg", "1", wheel=False)).url.endswith(".tar.gz")
    with pytest.raises(ReleaseNotFoundError, match="it has 1.0"):
        fetcher.pin(PypiSource("my-pkg", "2.0", wheel=False))


def test_pypi_json_over_http(store, tmp_path):
    """An index that answers in JSON is read; its wrong hash is not believed."""
    name, data = wheel("p", "1.0")
    file = {"filename": name, "url": f"../../{name}", "hashes": {"sha256": sha256(data)}}
    page = {"meta": {"api-version": "1.0"}, "name": "p", "files": [file]}
    pages = {"/simple/p/": json.dumps(page).encode(), f"/{name}": data}
    with serving(pages) as (url, seen):
        env = {"PIP_INDEX_URL": f"{url}/simple".replace("http://", "http://me:secret@"), "PIP_CONFIG_FILE": os.devnull}
        fetcher = Fetcher(store, str(tmp_path), env)
        pin = fetcher.pin(PypiSource("p", "1.0", wheel=True), target=TARGET)
        assert pin.sha256 == sha256(data)
        assert "secret" not in json.dumps(pin.to_json())
        assert all("Authorization" in headers for _, headers in seen)
        file["hashes"]["sha256"] = "0" * 64
        pages["/simple/p/"] = json.dumps(page).encode()
        with pytest.raises(HashMismatchError):
            fetcher.pin(PypiSource("p", "1.0", wheel=True), target=TARGET)


def test_find_links(store, tmp_path):
    """A directory of files serves as pip's find-links; a release found there is pinned as it comes."""
    (tmp_path / "wheels").mkdir()
    name, data = wheel("p", "1.0")
    (tmp_path / "wheels" / name).write_bytes(data)
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels"), "PIP_CONFIG_FILE": os.devnull}
    pin = Fetcher(store, str(tmp_path), env, FetchSettings(offline=True)).pin(
        PypiSource("p", "1.0", wheel=True), target=TARGET
    )
    assert pin.sha256 == sha256(data)


def test_pip_settings(tmp_path):
    """Files are read in pip's order, variables last; credentials are kept by host."""
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text(
        "[global]\nindex-url = https://me:pw@one/simple\nextra-index-url =\n  https://two/simple\n  file:///three\ncert = /c.pem\n"
    )
    found = read_pip_settings({"HOME": str(tmp_path)})
    assert found.indexes == ("https://me:pw@one/simple", "https://two/simple", "file:///three")
    assert (found.certificates, found.credentials) == ("/c.pem", {"one": "me:pw"})
    assert read_pip_settings({"HOME": str(tmp_path), "PIP_INDEX_URL": "https://x"}).indexes[0] == "https://x"
    assert not found.default
    assert read_pip_settings({"PIP_CONFIG_FILE": os.devnull}).default
    assert read_pip_settings({"HOME": str(tmp_path), "PIP_NO_INDEX": "1"}).indexes == ()


def test_what_is_not_there(fetcher):
    """A path to nothing, and a stray kind of file, are told."""
    with pytest.raises(NotFoundError):
        fetcher.pin(PathSource("nowhere"))
    with pytest.raises((InvalidError, NotFoundError)):
        fetcher.pin(PathSource("/dev/null"))


def test_queries_count_and_secrets_do_not(fetcher, store):
    """Two URLs that differ in their query are two sources; what looks like a secret in one is not recorded."""
    pages = {"/dl?file=one&token=x": archive(a="1"), "/dl?file=two": archive(a="2")}
    with serving(pages) as (url, _):
        one = fetcher.pin(UrlSource(f"{url}/dl?file=one&token=x"))
        two = fetcher.pin(UrlSource(f"{url}/dl?file=two"))
    assert one.tree != two.tree
    assert one.declaration != two.declaration
    assert (one.url, two.url) == (f"{url}/dl?file=one", f"{url}/dl?file=two")


def test_passwords_in_urls_are_refused():
    """A stack file is committed, so it must hold no password."""
    from hashdist.sources.declaration import parse

    with pytest.raises(InvalidError, match="netrc"):
        parse({"url": "https://me:pw@h/x"}, version="1", wheel=False)


def test_wheels_are_picked_again_for_another_python(store, tmp_path, index):
    """A pin of a wheel says for which Python it was picked."""
    from hashdist.sources.request import wanted

    fetcher = Fetcher(
        store, str(tmp_path), {"PIP_INDEX_URL": index, "PIP_CONFIG_FILE": os.devnull}, FetchSettings(offline=True)
    )
    source = PypiSource("my-pkg", "1.0", wheel=True)
    pin = fetcher.pin(source, target=TARGET)
    assert pin.declaration == wanted(source, TARGET)
    assert pin.declaration != wanted(source, PythonTarget((3, 12), "cp312"))


def test_repositories_inside(fetcher, store, tmp_path):
    """Submodules and repositories inside a checkout are gone into; whose checkout it is does not matter."""
    for name in ("outer", "outer/sub", "outer/nested"):
        subprocess.run(["git", "init", "-q", tmp_path / name], check=True)
        (tmp_path / name / "f").write_text(name)
        if name == "outer/sub":
            git = ["git", "-C", tmp_path / name, "-c", "user.name=a", "-c", "user.email=a"]
            subprocess.run([*git, "add", "f"], check=True)
            subprocess.run([*git, "commit", "-qm", "x"], check=True)
    subprocess.run(["git", "-C", tmp_path / "outer", "add", "f", "sub"], check=True, stderr=subprocess.DEVNULL)
    if os.getuid() == 0:
        os.chown(tmp_path / "outer", 12345, 12345)
    tree = fetcher.pin(PathSource("outer")).tree
    assert {entry.name for entry in store.objects.tree(tree)} == {b"f", b"sub", b"nested"}
    assert store.objects.find(tree, "sub/f") and store.objects.find(tree, "nested/f")


def test_index_pages_that_cannot_be_read(store, tmp_path):
    """An index that answers rubbish is told as that."""
    for page in (b"{", b"[1]", b'{"meta": {"api-version": "9.0"}, "name": "p", "files": []}'):
        with serving({"/simple/p/": page if page.startswith(b"{") else b"{" + page}) as (url, _):
            fetcher = Fetcher(store, str(tmp_path), {"PIP_INDEX_URL": f"{url}/simple", "PIP_CONFIG_FILE": os.devnull})
            with pytest.raises(NetworkError, match="no page that can be read"):
                fetcher.pin(PypiSource("p", "1.0", wheel=True), target=TARGET)
