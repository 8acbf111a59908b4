"""Downloads from servers that misbehave in every way: resume, rates, limits, redirects, repacked archives."""

import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time

import pytest
from sources.servers import serving

from hashdist.errors import NetworkError
from hashdist.objects.importing import LimitError, Limits
from hashdist.sources.archives import RepackedError
from hashdist.sources.declaration import UrlSource
from hashdist.sources.download import HashMismatchError, download
from hashdist.sources.fetching import Fetcher
from hashdist.sources.network import Network, RedirectError, TooSlowError, TruncatedError
from hashdist.sources.obtaining import HashRequiredError
from hashdist.sources.request import Request
from hashdist.sources.settings import FetchSettings

DATA = os.urandom(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


def quick(**settings):
    return FetchSettings(**{"first_wait": 0.01, "patience": 5.0, **settings})


def network(**settings):
    return Network(quick(**settings))


class Ranged:
    """Serves data with ranges; breaks the connection after so many bytes, for each number in `breaks`."""

    def __init__(self, data, *, etag='"one"', breaks=(), honest=True, modified=None):
        self.data, self.etag, self.breaks = data, etag, list(breaks)
        self.honest, self.modified, self.ranges = honest, modified, []

    def __call__(self, handler):
        wanted = handler.headers.get("Range")
        condition = handler.headers.get("If-Range")
        self.ranges.append(wanted)
        start = 0
        if wanted and self.honest and condition in {self.etag, self.modified}:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        else:
            handler.send_response(200)
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.modified:
            handler.send_header("Last-Modified", self.modified)
        handler.send_header("Content-Length", str(len(self.data) - start))
        handler.end_headers()
        if self.breaks:
            handler.wfile.write(self.data[start : start + self.breaks.pop(0)])
            handler.wfile.flush()
            handler.connection.close()
        else:
            handler.wfile.write(self.data[start:])


def test_a_broken_connection_is_taken_up_again(store):
    """Within one command the download goes on where it broke off, as long as it makes headway."""
    page = Ranged(DATA, breaks=[100_000, 100_000])
    with serving({"/x": page}) as (url, _):
        found = download(store, [f"{url}/x"], sha256=None, network=network())
    assert found.sha256 == SHA256
    assert page.ranges == [None, "bytes=100000-", "bytes=200000-"]
    assert found.etag == '"one"'


def test_the_next_command_goes_on(store):
    """What one command could not finish the next one does, without fetching again what came."""
    page = Ranged(DATA, breaks=[100_000, 0])
    with serving({"/x": page}) as (url, _):
        with pytest.raises(NetworkError):
            download(store, [f"{url}/x"], sha256=SHA256, network=network(tries=1))
        assert not os.path.exists(store.inside("downloads", SHA256))
        found = download(store, [f"{url}/x"], sha256=SHA256, network=network())
    assert page.ranges[2] == "bytes=100000-"
    assert found.sha256 == SHA256
    assert all(name.endswith(".lock") for name in os.listdir(store.inside("downloads/partial")))


@pytest.mark.parametrize("pinned", [True, False])
def test_two_versions_never_mix(store, pinned):
    """When the file has changed since, the download begins anew; also when the server says that it has not."""
    new = os.urandom(300_000)
    sha256 = hashlib.sha256(new).hexdigest() if pinned else None
    page = Ranged(DATA, breaks=[100_000, 0])
    with serving({"/x": page}) as (url, _):
        with pytest.raises(NetworkError):
            download(store, [f"{url}/x"], sha256=sha256, network=network(tries=1))
        page.data, page.etag = new, '"two"'
        assert download(store, [f"{url}/x"], sha256=sha256, network=network()).sha256 == hashlib.sha256(new).hexdigest()
    if pinned:
        page = Ranged(DATA, breaks=[100_000, 0])
        with serving({"/y": page}) as (url, _):
            wanted = hashlib.sha256(new[::-1]).hexdigest()
            with pytest.raises(NetworkError):
                download(store, [f"{url}/y"], sha256=wanted, network=network(tries=1))
            page.data = new[::-1]
            assert download(store, [f"{url}/y"], sha256=wanted, network=network()).sha256 == wanted


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_no_resume_without_a_validator(store, etag):
    """A server that cannot tell its versions apart is asked for the whole file again."""
    page = Ranged(DATA, etag=etag, breaks=[100_000])
    with serving({"/x": page}) as (url, _):
        assert download(store, [f"{url}/x"], sha256=None, network=network()).sha256 == SHA256
    assert page.ranges == [None, None]


def test_last_modified_serves_when_it_is_old(store):
    """A file that was changed long ago can be told by its date."""
    page = Ranged(DATA, etag=None, modified="Tue, 14 Nov 2000 22:13:20 GMT", breaks=[100_000])
    with serving({"/x": page}) as (url, _):
        assert download(store, [f"{url}/x"], sha256=None, network=network()).sha256 == SHA256
    assert page.ranges == [None, "bytes=100000-"]


def test_a_server_that_ignores_ranges(store):
    """Then all of it comes again, once."""
    page = Ranged(DATA, breaks=[100_000], honest=False)
    with serving({"/x": page}) as (url, _):
        assert download(store, [f"{url}/x"], sha256=SHA256, network=network()).size == len(DATA)


def test_another_boot_begins_anew(store):
    """After the machine was started anew what came before is not trusted."""
    page = Ranged(DATA, breaks=[100_000, 0])
    with serving({"/x": page}) as (url, _):
        with pytest.raises(NetworkError):
            download(store, [f"{url}/x"], sha256=None, network=network(tries=1))
        (meta,) = (name for name in os.listdir(store.inside("downloads/partial")) if name.endswith(".json"))
        with open(store.inside("downloads/partial", meta), "r+") as file:
            text = file.read().replace('"boot": "', '"boot": "other')
            file.seek(0)
            file.write(text)
        download(store, [f"{url}/x"], sha256=None, network=network())
    assert page.ranges == [None, "bytes=100000-", None]


def test_too_slow(store):
    """A server that drips is given up after the time for which it was watched, although it never is silent."""

    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        for _ in range(100):
            try:
                handler.wfile.write(b"x")
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    started = time.monotonic()
    with (
        serving({"/x": drip}) as (url, _),
        pytest.raises(TooSlowError, match="too slow: less than 1024 bytes a second"),
    ):
        download(store, [f"{url}/x"], sha256=None, network=network(patience=0.5))
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("told", [True, False])
def test_too_big(store, told):
    """A file beyond the limit is refused, by what the server says or by what it sends."""

    def page(handler):
        handler.send_response(200)
        if told:
            handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA)

    with serving({"/x": page}) as (url, _), pytest.raises(LimitError, match=r"limit: download"):
        download(store, [f"{url}/x"], sha256=None, network=network(limits=Limits(download=1000)))
    assert os.listdir(store.inside("downloads")) == ["partial"]


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://h/"])
def test_redirects(store, target):
    """Out of http and https no redirect is followed; within them it is."""

    def away(handler):
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.end_headers()

    def on(handler):
        handler.send_response(301)
        handler.send_header("Location", "/there")
        handler.end_headers()

    with serving({"/away": away, "/on": on, "/there": DATA}) as (url, _):
        with pytest.raises(RedirectError, match="refused"):
            download(store, [f"{url}/away"], sha256=None, network=network())
        assert download(store, [f"{url}/on"], sha256=None, network=network()).sha256 == SHA256


def test_retry_after_a_busy_server(store):
    """A server that is busy is asked again."""
    answers = [503, 429]

    def page(handler):
        if answers:
            handler.send_response(answers.pop(0))
            handler.send_header("Retry-After", "0")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA)

    with serving({"/x": page}) as (url, seen):
        assert download(store, [f"{url}/x"], sha256=None, network=network()).sha256 == SHA256
    assert len(seen) == 3


def test_chunked_and_cut(store):
    """A body of unknown length that ends in the middle of a chunk is not taken for the whole."""

    def page(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"1000\r\n" + b"x" * 100)
        handler.wfile.flush()
        handler.close_connection = True

    with serving({"/x": page}) as (url, _), pytest.raises(TruncatedError):
        download(store, [f"{url}/x"], sha256=None, network=network(tries=2))


def test_bytes_are_taken_as_they_are_sent(store):
    """An archive that a server calls 'Content-Encoding: gzip' is stored as other programs store it."""
    data = gzip.compress(b"tar", mtime=0)

    def page(handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    with serving({"/x.tar.gz": page}) as (url, _):
        found = download(store, [f"{url}/x.tar.gz"], sha256=None, network=network())
    assert found.sha256 == hashlib.sha256(data).hexdigest()


def test_netrc(store, tmp_path, monkeypatch):
    """Passwords come from the user's netrc, and do not go to another host that a redirect names."""
    (tmp_path / "home/.netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    (tmp_path / "home/.netrc").chmod(0o600)

    def page(handler):
        if not handler.headers.get("Authorization"):
            handler.send_error(401)
            return
        handler.send_response(200)
        handler.send_header("Content-Length", "1")
        handler.end_headers()
        handler.wfile.write(b"x")

    with serving({"/x": page}) as (url, _):
        assert download(store, [f"{url}/x"], sha256=None, network=network()).size == 1
    with serving({"/y": DATA}) as (other, seen):

        def away(handler):
            handler.send_response(302)
            handler.send_header("Location", other.replace("127.0.0.1", "localhost") + "/y")
            handler.end_headers()

        with serving({"/x": away}) as (url, _):
            download(store, [f"{url}/x"], sha256=None, network=network())
    assert "Authorization" not in seen[0][1]


def test_proxy(store, monkeypatch):
    """A proxy that the environment names is asked, and with its own words for the URL."""
    with serving({"http://example.invalid/x": DATA}) as (url, seen):
        monkeypatch.setenv("http_proxy", url)
        assert download(store, ["http://example.invalid/x"], sha256=SHA256, network=network()).sha256 == SHA256
    assert seen[0][0] == "http://example.invalid/x"


def test_all_places_are_named_when_all_fail(store):
    """The error tells of each place that was tried."""
    with serving({}) as (url, _), pytest.raises(NetworkError) as caught:
        download(store, [f"{url}/one", f"{url}/two"], sha256=None, network=network())
    assert "/one" in caught.value.message
    assert "/two" in caught.value.message


def test_a_shared_cache(store, tmp_path):
    """Several stores can share a directory of downloads; one that cannot be written to is read."""
    shared = tmp_path / "shared"
    settings = {"downloads": str(shared)}
    with serving({"/x": DATA}) as (url, seen):
        download(store, [f"{url}/x"], sha256=SHA256, network=network(**settings))
        assert sorted(os.listdir(shared)) == sorted([SHA256, f"partial-{os.getuid()}"])
        download(store, [f"{url}/x"], sha256=SHA256, network=network(**settings))
    assert len(seen) == 1


def archive(level, **files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"pkg-1/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), level, mtime=0)


def test_repacked(store, tmp_path):
    """Other bytes with the very same files are a case of their own: refused, until they are accepted."""
    place = tmp_path / "x.tar.gz"
    old, new, other = archive(1, a="hello" * 100), archive(9, a="hello" * 100), archive(9, a="changed")
    place.write_bytes(old)
    fetcher = Fetcher(store, settings=quick())
    source = UrlSource(f"file://{place}", sha256=hashlib.sha256(old).hexdigest())
    pin = fetcher.pin(source)
    os.unlink(store.inside("downloads", pin.sha256))
    name = f"refs/sources/{pin.tree}"
    with store.refs.transaction("test") as transaction:
        transaction.delete(name, old=store.refs.get(name))
    place.write_bytes(new)
    for again in (lambda one: one.pin(source), lambda one: one.bring(pin)):
        with pytest.raises(RepackedError, match="was repacked"):
            again(fetcher)
    assert store.sources.all() == []
    assert os.listdir(store.inside("downloads")) == ["partial"]
    place.write_bytes(other)
    with pytest.raises(HashMismatchError, match="another hash"):
        fetcher.pin(source)
    place.write_bytes(new)
    taken = Fetcher(store, settings=quick(accept_repacked=True)).pin(source)
    assert (taken.tree, taken.sha256) == (pin.tree, hashlib.sha256(new).hexdigest())


def test_require_hash(store, tmp_path):
    """What would be pinned on first use is refused where that is not wanted, before anything is fetched."""
    (tmp_path / "x.tar.gz").write_bytes(archive(1, a="1"))
    fetcher = Fetcher(store, settings=quick(require_hash=True))
    with serving({}) as (url, seen), pytest.raises(HashRequiredError, match="pinned on first use"):
        fetcher.pin(UrlSource(f"{url}/x.tar.gz"))
    assert seen == []
    sha256 = hashlib.sha256(archive(1, a="1")).hexdigest()
    assert fetcher.pin(UrlSource(f"file://{tmp_path}/x.tar.gz", sha256=sha256)).sha256 == sha256


def test_what_is_here_is_not_fetched_again(store, tmp_path):
    """A source whose archive was verified before serves without the archive, offline too."""
    place = tmp_path / "x.tar.gz"
    place.write_bytes(archive(1, a="1"))
    pin = Fetcher(store).pin(UrlSource(f"file://{place}"))
    place.unlink()
    os.unlink(store.inside("downloads", pin.sha256))
    again = Fetcher(store, settings=quick(offline=True)).pin(UrlSource(f"file://{place}", sha256=pin.sha256))
    assert (again.tree, again.size, again.stripped) == (pin.tree, pin.size, "pkg-1")


def test_many_at_a_time(store):
    """Several downloads are under way at once, and each failure is told of its own source."""
    at_once, most, lock = [0], [0], threading.Lock()

    def page(data):
        def serve(handler):
            with lock:
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
            time.sleep(0.2)
            with lock:
                at_once[0] -= 1
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)

        return serve

    with serving({f"/{number}.tar.gz": page(archive(1, a=str(number))) for number in range(4)}) as (url, _):
        requests = {number: Request(UrlSource(f"{url}/{number}.tar.gz")) for number in range(5)}
        found = Fetcher(store, settings=quick()).pin_all(requests)
    assert most[0] > 1
    assert len({found[number].tree for number in range(4)}) == 4
    assert isinstance(found[4], NetworkError)


def test_killed_in_the_middle(store):
    """A download that is killed leaves what it had, and the next command finishes it."""
    page = Ranged(DATA)
    page_slow = threading.Event()

    def serve(handler):
        if not page_slow.is_set():
            page_slow.set()
            handler.send_response(200)
            handler.send_header("ETag", '"one"')
            handler.send_header("Content-Length", str(len(DATA)))
            handler.end_headers()
            handler.wfile.write(DATA[:150_000])
            handler.wfile.flush()
            time.sleep(1)
            return
        page(handler)

    with serving({"/x": serve}) as (url, _):
        command = [sys.executable, "-m", "hashdist.cli", "--store", store.path, "source", "add", f"{url}/x"]
        program = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        partial = store.inside("downloads/partial")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            sizes = (
                [os.lstat(os.path.join(partial, name)).st_size for name in os.listdir(partial) if ".lock" not in name]
                if os.path.isdir(partial)
                else []
            )
            if 150_000 in sizes:
                break
            time.sleep(0.02)
        program.send_signal(signal.SIGKILL)
        program.wait()
        found = download(store, [f"{url}/x"], sha256=None, network=network())
    assert found.sha256 == SHA256
    assert page.ranges == ["bytes=150000-"]


def test_two_processes_fetch_it_once(store):
    """The second of two that want the same file waits for the first, and has it."""

    def slow(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:1000])
        handler.wfile.flush()
        time.sleep(1)
        handler.wfile.write(DATA[1000:])

    with serving({"/x": slow}) as (url, seen):
        command = [
            sys.executable,
            "-m",
            "hashdist.cli",
            "--store",
            store.path,
            "source",
            "add",
            f"{url}/x",
            "--sha256",
            SHA256,
        ]
        programs = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
        ]
        ids = {program.communicate()[0].strip() for program in programs}
    assert [program.returncode for program in programs] == [0, 0, 0]
    assert len(ids) == 1
    assert len(seen) == 1
