"""Servers with a certificate: trusted only by whom their authority is trusted, and never left for plain http."""

import os
import shutil
import ssl
import subprocess

import pytest
import trustme
from sources.servers import serving

from hashdist.errors import NetworkError
from hashdist.sources.declaration import GitSource, PypiSource, UrlSource
from hashdist.sources.fetching import Fetcher
from hashdist.sources.network import RedirectError
from hashdist.sources.settings import FetchSettings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    """No authority is known from outside."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"):
        monkeypatch.delenv(name, raising=False)


QUICK = FetchSettings(first_wait=0.01, tries=1)


@pytest.fixture(scope="module")
def authority():
    """An authority that nobody knows."""
    return trustme.CA()


@pytest.fixture
def bundle(authority, tmp_path):
    """Its certificate, in a file."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def context(authority):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(made)
    return made


def test_an_unknown_authority_is_refused(store, context):
    """A server that nobody vouches for gives nothing, and the message says why."""
    with serving({"/a.patch": b"patch"}, context) as (url, seen), pytest.raises(NetworkError, match=r"(?i)certificate"):
        Fetcher(store, settings=QUICK).pin(UrlSource(f"{url}/a.patch"))
    assert seen == []
    assert store.sources.all() == []


def test_an_authority_of_the_users(store, context, bundle, monkeypatch):
    """The variable that requests and curl know names an authority."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with serving({"/a.patch": b"patch"}, context) as (url, _):
        pin = Fetcher(store, settings=QUICK).pin(UrlSource(f"{url}/a.patch"))
    assert pin.url == f"{url}/a.patch"


def test_pips_authority(store, context, bundle, tmp_path, monkeypatch):
    """So does pip's setting, for the index and what it leads to; as with pip, variables come before it."""
    page = b'{"meta": {"api-version": "1.0"}, "name": "a", "files": [{"filename": "a-1.tar.gz", "url": "a-1.tar.gz", "hashes": {}}]}'
    tarball = tmp_path / "a-1.tar.gz"
    (tmp_path / "a-1").mkdir()
    (tmp_path / "a-1/file").write_text("x")
    shutil.make_archive(str(tmp_path / "a-1"), "gztar", tmp_path, "a-1")
    with serving({"/simple/a/": page, "/simple/a/a-1.tar.gz": tarball.read_bytes()}, context) as (url, _):
        env = {"PIP_INDEX_URL": f"{url}/simple", "PIP_CERT": bundle, "PIP_CONFIG_FILE": os.devnull}
        pin = Fetcher(store, env=env, settings=QUICK).pin(PypiSource("a", "1", wheel=False))
    assert pin.stripped == "a-1"


def redirect(url):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def test_redirects_keep_the_encryption(store, context, bundle, monkeypatch):
    """From https to http nobody is led; from http to https is an upgrade."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with serving({"/a.patch": b"patch"}) as (plain, asked):
        pages = {"/down": redirect(f"{plain}/a.patch"), "/a.patch": b"patch"}
        with serving(pages, context) as (url, _):
            with pytest.raises(RedirectError, match="from https to http"):
                Fetcher(store, settings=QUICK).pin(UrlSource(f"{url}/down"))
            assert asked == []
            with serving({"/up": redirect(f"{url}/a.patch")}) as (other, _):
                assert Fetcher(store, settings=QUICK).pin(UrlSource(f"{other}/up")).sha256


def test_git_over_https(store, context, bundle, tmp_path):
    """Git repositories are fetched with the authorities that git knows, and refused without."""
    work = tmp_path / "work"
    subprocess.run(["git", "init", "-q", "-b", "main", work], check=True)
    (work / "file").write_text("x")
    subprocess.run("git add -A && git commit -qm one", shell=True, cwd=work, check=True)
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "-q", "--bare", work, bare], check=True)
    subprocess.run(["git", "--git-dir", bare, "update-server-info"], check=True)
    pages = {f"/bare.git/{path.relative_to(bare)}": path.read_bytes() for path in bare.rglob("*") if path.is_file()}
    with serving(Unlisted(pages), context) as (url, _):
        source = GitSource(f"{url}/bare.git", "main")
        with pytest.raises(NetworkError, match=r"(?i)certificate"):
            Fetcher(store, env=dict(os.environ), settings=QUICK).pin(source)
        pin = Fetcher(store, env={**os.environ, "GIT_SSL_CAINFO": bundle}, settings=QUICK).pin(source)
    tree = subprocess.run(["git", "rev-parse", "HEAD^{tree}"], cwd=work, check=True, capture_output=True, text=True)
    assert pin.tree == tree.stdout.strip()


class Unlisted(dict):
    """Pages by their paths, whatever follows a question mark."""

    def get(self, path, default=None):
        return super().get(path.partition("?")[0], default)
