"""Revisions of real git repositories, with real submodules, over real transports."""

import os
import subprocess
import threading
import wsgiref.simple_server

import pytest

from hashdist.errors import InvalidError, NetworkError, NotFoundError
from hashdist.objects.archive import import_archive
from hashdist.objects.directory import import_directory
from hashdist.objects.exporting import export_tree
from hashdist.sources.declaration import GitSource, PathSource
from hashdist.sources.fetching import Fetcher
from hashdist.sources.git import Origins
from hashdist.sources.network import Network, OfflineError, UrlNotFoundError
from hashdist.sources.settings import FetchSettings
from hashdist.sources.submodules import resolve_url
from hashdist.sources.typed import declare


class Upstream:
    """A project with a git repository of its own."""

    def __init__(self, path):
        self.path = str(path)
        self.url = f"file://{path}"
        os.makedirs(path)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments):
        command = ["git", "-c", "protocol.file.allow=always", *arguments]
        return subprocess.run(
            command, cwd=self.path, check=True, capture_output=True, text=True, errors="replace"
        ).stdout.strip()

    def write(self, name, content):
        place = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return place

    def commit(self, message="more", **files):
        for name, content in files.items():
            self.write(name, content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def upstream(tmp_path):
    """A repository with a tag, a branch, an executable, a link and a name outside UTF-8."""
    made = Upstream(tmp_path / "upstream")
    os.chmod(made.write("run", "#!/bin/sh\n"), 0o755)
    os.symlink("run", os.path.join(made.path, "link"))
    with open(os.path.join(os.fsencode(made.path), b"caf\xe9"), "wb") as file:
        file.write(b"latin")
    made.commit(**{"src/a.c": "int a;\r\n"})
    made.git("tag", "-a", "v1", "-m", "one")
    made.git("checkout", "-q", "-b", "next")
    made.commit(**{"src/b.c": "int b;\n"})
    made.git("checkout", "-q", "main")
    return made


@pytest.fixture
def notes():
    return []


@pytest.fixture
def fetcher(store, notes):
    class Notes:
        def task(self, label, total, unit):
            from hashdist.progress import SILENT

            return SILENT.task(label, total, unit)

        def note(self, message):
            notes.append(message)

    return Fetcher(store, env=dict(os.environ), settings=FetchSettings(first_wait=0.01), progress=Notes())


@pytest.mark.parametrize("rev", ["v1", "next", "refs/heads/next", "HEAD"])
def test_revisions(fetcher, upstream, notes, rev):
    """A tag, a branch, a full name and HEAD become the commit that they name, whose tree is the source."""
    pin = fetcher.pin(GitSource(upstream.url, rev))
    assert pin.commit == upstream.git("rev-parse", f"{rev}^{{commit}}")
    assert pin.tree == upstream.git("rev-parse", f"{rev}^{{tree}}")
    assert any(pin.commit in note for note in notes)


def test_a_commit_that_no_ref_names(fetcher, upstream):
    """A full commit id is taken also when no branch or tag is at it."""
    first = upstream.git("rev-parse", "v1^{commit}")
    upstream.commit(x="1")
    middle = upstream.commit(x="2")
    upstream.commit(x="3")
    assert fetcher.pin(GitSource(upstream.url, middle)).tree == upstream.git("rev-parse", f"{middle}^{{tree}}")
    assert fetcher.pin(GitSource(upstream.url, first)).commit == first


def test_one_id_by_any_way(fetcher, store, upstream, tmp_path):
    """A tag, the archive that git makes of it, a clone, and a plain copy of the files have one id."""
    tag = fetcher.pin(GitSource(upstream.url, "v1")).tree
    for kind in ("tar", "zip"):
        upstream.git("archive", f"--format={kind}", "--prefix=pkg-1/", "-o", f"{tmp_path}/x.{kind}", "v1")
        assert import_archive(store.objects, f"{tmp_path}/x.{kind}").tree == tag
    subprocess.run(
        ["git", "clone", "-q", "-b", "v1", upstream.url, tmp_path / "clone"], check=True, capture_output=True
    )
    assert fetcher.pin(PathSource(str(tmp_path / "clone"))).tree == tag
    export_tree(store.objects, tag, str(tmp_path / "copy"), mtime=1)
    assert import_directory(store.objects, str(tmp_path / "copy")) == tag


def test_submodules_nested_and_relative(fetcher, store, upstream, tmp_path):
    """Submodules stand in their places, those of submodules too, also by relative URLs; or their directories are empty."""
    deep, middle = Upstream(tmp_path / "deep"), Upstream(tmp_path / "libs/middle")
    deep.commit(deep="deep")
    middle.git("submodule", "add", "-q", "../../deep", "below/deep")
    middle.commit(middle="middle")
    upstream.git("submodule", "add", "-q", middle.url, "sub/middle")
    upstream.git("submodule", "add", "-q", "../deep", "deep")
    upstream.commit()
    with_them = fetcher.pin(GitSource(upstream.url, "main"))
    export_tree(store.objects, with_them.tree, str(tmp_path / "out"), mtime=1)
    for name, text in {
        "deep/deep": "deep",
        "sub/middle/middle": "middle",
        "sub/middle/below/deep/deep": "deep",
    }.items():
        assert (tmp_path / "out" / name).read_text() == text
    command = [
        "git",
        "-c",
        "protocol.file.allow=always",
        "clone",
        "-q",
        "--recursive",
        upstream.url,
        tmp_path / "clone",
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert fetcher.pin(PathSource(str(tmp_path / "clone"))).tree == with_them.tree
    without = fetcher.pin(GitSource(upstream.url, "main", submodules=False))
    export_tree(store.objects, without.tree, str(tmp_path / "bare"), mtime=1)
    assert os.listdir(tmp_path / "bare/deep") == []


@pytest.mark.parametrize(
    ("url", "words"),
    [("ext::sh -c true", "is not of"), ("-u/x", "is not of"), ("https://me:secret@host/x", "credential helper")],
)
def test_hostile_submodules(fetcher, upstream, tmp_path, url, words):
    """A submodule whose URL runs programs, is an option or holds a password is refused, and nothing is fetched."""
    other = Upstream(tmp_path / "other")
    other.commit(a="a")
    upstream.git("submodule", "add", "-q", other.url, "sub")
    upstream.git("config", "-f", ".gitmodules", "submodule.sub.url", url)
    upstream.commit()
    with pytest.raises(InvalidError, match=words):
        fetcher.pin(GitSource(upstream.url, "main"))


def test_a_submodule_that_is_no_more(fetcher, upstream):
    """What .gitmodules tells of a submodule that is not there is not looked at."""
    upstream.write(".gitmodules", '[submodule "gone"]\n\tpath = gone\n\turl = https://me@example.invalid/x.git\n')
    commit = upstream.commit()
    assert fetcher.pin(GitSource(upstream.url, "main")).tree == upstream.git("rev-parse", f"{commit}^{{tree}}")


def test_settings_of_git_in_the_environment(store, upstream):
    """GIT_CONFIG_COUNT comes with its keys and values."""
    env = {**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{upstream.url}.insteadOf",
           "GIT_CONFIG_VALUE_0": "https://example.invalid/p"}  # fmt: skip
    assert Fetcher(store, env=env).pin(GitSource("https://example.invalid/p", "v1")).commit


def test_a_second_fetch_is_small(fetcher, store, upstream):
    """Only what is new comes over, and each origin has a repository of its own."""
    for number in range(50):
        upstream.write(f"many/{number}", os.urandom(2000))
    upstream.commit()
    fetcher.pin(GitSource(upstream.url, "main"))
    (origin,) = os.listdir(store.inside("origins"))
    packs = store.inside("origins", origin, "objects")

    def size():
        return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(packs) for name in names)

    before = size()
    upstream.commit(one="more")
    fetcher.pin(GitSource(upstream.url, "main"))
    assert before > 100_000
    assert size() - before < 10_000


def test_what_is_not_there(fetcher, store, upstream, tmp_path):
    """No repository, no such branch, and no such commit are told apart."""
    with pytest.raises(UrlNotFoundError):
        fetcher.pin(GitSource(f"file://{tmp_path}/nowhere", "main"))
    with pytest.raises(NotFoundError, match="no branch or tag 'v9'"):
        fetcher.pin(GitSource(upstream.url, "v9"))
    with pytest.raises((NetworkError, NotFoundError)):
        fetcher.pin(GitSource(upstream.url, "1" * 40))
    upstream.git("branch", "v1")
    upstream.git("checkout", "-q", "v1", "--")
    with pytest.raises(InvalidError, match="a tag and a branch"):
        upstream.git("update-ref", "refs/heads/v1", upstream.commit(z="z"))
        fetcher.pin(GitSource(upstream.url, "v1"))
    assert store.sources.all() == []


def test_offline(store, upstream):
    """Offline a server is not asked, but for what is here."""
    fetcher = Fetcher(store, env=dict(os.environ), settings=FetchSettings(offline=True))
    assert fetcher.pin(GitSource(upstream.url, "v1")).commit
    with pytest.raises(OfflineError):
        fetcher.pin(GitSource("https://example.invalid/x.git", "v1"))


def test_bring_again(fetcher, store, upstream):
    """What gc took comes again by its commit, even when the branch has moved and the origin's repository is broken."""
    pin = fetcher.pin(GitSource(upstream.url, "main", subdir="src"))
    upstream.commit(more="more")
    with store.refs.transaction("test") as transaction:
        name = f"refs/sources/{pin.tree}"
        transaction.delete(name, old=store.refs.get(name))
    (origin,) = os.listdir(store.inside("origins"))
    with open(store.inside("origins", origin, "HEAD"), "w") as file:
        file.write("broken")
    assert fetcher.bring(pin) == pin.tree
    assert pin.tree in store.sources


def test_crash_leftovers(fetcher, store, upstream):
    """A lock that a killed git left behind is in nobody's way, and what came half is fetched again."""
    fetcher.pin(GitSource(upstream.url, "v1"))
    (origin,) = os.listdir(store.inside("origins"))
    path = store.inside("origins", origin)
    for name in ("shallow.lock", "packed-refs.lock"):
        with open(os.path.join(path, name), "w"):
            pass
    commit = upstream.commit(x="x")
    assert fetcher.pin(GitSource(upstream.url, "main")).commit == commit


def test_old_modes(fetcher, store, upstream):
    """Modes that old versions of git wrote mean what they meant."""
    blob = upstream.git("rev-parse", "v1:run")
    command = ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"]
    raw = b"100664 a\0" + bytes.fromhex(blob) + b"100775 b\0" + bytes.fromhex(blob)
    made = (
        subprocess.run(command, cwd=upstream.path, input=raw, capture_output=True, check=True).stdout.decode().strip()
    )
    commit = upstream.git("commit-tree", made, "-m", "old")
    upstream.git("update-ref", "refs/heads/old", commit)
    pin = fetcher.pin(GitSource(upstream.url, "old"))
    assert [entry.mode.value for entry in store.objects.tree(pin.tree)] == [0o100644, 0o100755]


def test_exceptions_that_we_state(fetcher, store, upstream, notes, tmp_path):
    """export-subst and export-ignore make an archive differ from its tag; git-lfs pointers stay pointers, said aloud."""
    upstream.write(".gitattributes", "version export-subst\nhidden export-ignore\n")
    upstream.commit(version="$Format:%H$\n", hidden="x")
    upstream.git("tag", "v2")
    tag = fetcher.pin(GitSource(upstream.url, "v2")).tree
    upstream.git("archive", "--prefix=pkg-2/", "-o", f"{tmp_path}/x.tar", "v2")
    archived = import_archive(store.objects, f"{tmp_path}/x.tar").tree
    assert archived != tag
    assert store.objects.find(archived, "hidden") is None
    assert store.objects.find(tag, "hidden") is not None
    assert store.objects.blob(store.objects.find(tag, "version").id) == b"$Format:%H$\n"
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n"
    upstream.commit(big=pointer)
    tree = fetcher.pin(GitSource(upstream.url, "main")).tree
    assert store.objects.blob(store.objects.find(tree, "big").id) == pointer.encode()
    assert any("git-lfs" in note for note in notes)


def test_subdir_and_what_people_type(fetcher, upstream):
    """``git+URL@REV`` is what pip users type; a directory of it is a source by itself."""
    declared = declare(f"git+{upstream.url}@v1", subdir="src")
    assert declared == GitSource(upstream.url, "v1", subdir="src")
    assert fetcher.pin(declared).tree == upstream.git("rev-parse", "v1:src")
    assert declare("git+ssh://git@host/x.git") == GitSource("ssh://git@host/x.git", "HEAD")
    assert declare("git+git@host:x/y.git", rev="v1") == GitSource("git@host:x/y.git", "v1")


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("https://h/a/b", "../c", "https://h/a/c"),
        ("https://h/a/b/", "../../c/d.git", "https://h/c/d.git"),
        ("https://h/a/b", "./c", "https://h/a/b/c"),
        ("git@h:a/b", "../c", "git@h:a/c"),
        ("git@h:b", "../c", "git@h:c"),
        ("https://h/a/b", "https://x/y", "https://x/y"),
    ],
)
def test_relative_urls(base, url, expected):
    """Relative URLs of submodules mean what git says they mean."""
    assert resolve_url(base, url) == expected


def test_two_at_once(store, upstream):
    """Two that fetch the same origin wait for each other, and both get it."""
    results = []

    def fetch(rev):
        origins = Origins(store, dict(os.environ), Network())
        results.append(origins.fetch(GitSource(upstream.url, rev)).commit)

    threads = [threading.Thread(target=fetch, args=(rev,)) for rev in ("v1", "next", "v1", "main")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4


@pytest.fixture
def web(upstream, tmp_path):
    """The repository behind git's own server program for http."""
    program = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()

    def serve(environ, start):
        wanted = {name: str(value) for name, value in environ.items() if isinstance(value, str)}
        if environ["PATH_INFO"].startswith("/private") and "HTTP_AUTHORIZATION" not in environ:
            start("401 no", [("WWW-Authenticate", 'Basic realm="x"')])
            return [b""]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        env = {
            **wanted,
            "PATH": os.environ["PATH"],
            "PATH_INFO": environ["PATH_INFO"].removeprefix("/private"),
            "GIT_PROJECT_ROOT": str(tmp_path),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", ""),
        }
        data = environ["wsgi.input"].read(length)
        done = subprocess.run([f"{program}/git-http-backend"], env=env, input=data, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.decode().split(": ", 1)) for line in head.split(b"\r\n") if b": " in line]
        status = dict(headers).pop("Status", "200 OK")
        start(status, [pair for pair in headers if pair[0] != "Status"])
        return [content]

    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *arguments):
            pass

    server = wsgiref.simple_server.make_server("127.0.0.1", 0, serve, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_http(fetcher, upstream, web):
    """Over http, by tag and by commit."""
    commit = upstream.git("rev-parse", "main")
    assert fetcher.pin(GitSource(f"{web}/upstream/.git", "next")).commit == upstream.git("rev-parse", "next")
    assert fetcher.pin(GitSource(f"{web}/upstream/.git", commit)).commit == commit
    with pytest.raises(NotFoundError, match="no branch or tag"):
        fetcher.pin(GitSource(f"{web}/upstream/.git", "v77"))
    with pytest.raises(UrlNotFoundError):
        fetcher.pin(GitSource(f"{web}/nowhere/.git", "main"))


def test_credentials_come_from_gits_helper(store, upstream, web, tmp_path):
    """A server that wants a password gets it from the helper that the user has set for git; without one it is an error."""
    source = GitSource(f"{web}/private/upstream/.git", "v1")
    with pytest.raises(NetworkError):
        Fetcher(store, env=dict(os.environ)).pin(source)
    helper = tmp_path / "helper"
    helper.write_text("#!/bin/sh\necho username=ada\necho password=secret\n")
    helper.chmod(0o755)
    (tmp_path / "home/.gitconfig").write_text(f"[credential]\n\thelper = {helper}\n")
    assert Fetcher(store, env=dict(os.environ)).pin(source).tree == upstream.git("rev-parse", "v1^{tree}")


def test_file_submodules_of_servers(fetcher, upstream, web, tmp_path):
    """A project from a server cannot pull in files of this machine."""
    other = Upstream(tmp_path / "other")
    other.commit(secret="secret")
    upstream.git("submodule", "add", "-q", other.url, "sub")
    upstream.commit()
    with pytest.raises(InvalidError, match="a place of this machine"):
        fetcher.pin(GitSource(f"{web}/upstream/.git", "main"))
