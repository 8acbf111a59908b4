"""What a store tells of its sources, writes out, mirrors, and lets go."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import types

import pytest
from sources.servers import serving
from sources.test_download import archive, quick

from hashdist.errors import ConflictError, NotFoundError
from hashdist.gc.policy import Policy
from hashdist.gc.sweeping import collect
from hashdist.objects.directory import import_directory
from hashdist.progress import SILENT
from hashdist.sources.declaration import GitSource, PathSource, UrlSource
from hashdist.sources.fetching import Fetcher
from hashdist.sources.getting import ArchiveAbsentError, get_archive, get_source
from hashdist.sources.mirror import write_mirror
from hashdist.sources.settings import FetchSettings
from hashdist.store.making import init_store
from hashdist.store.store import Store


@pytest.fixture
def folder(tmp_path):
    """A directory with an executable, a link, an empty directory and a name outside UTF-8."""
    made = tmp_path / "folder"
    (made / "sub/empty").mkdir(parents=True)
    (made / "sub/run").write_text("#!/bin/sh\n")
    (made / "sub/run").chmod(0o755)
    (made / "link").symlink_to("sub/run")
    with open(os.path.join(os.fsencode(made), b"caf\xe9"), "wb") as file:
        file.write(b"\0latin")
    return made


def test_provenance(store, clock, tmp_path):
    """Each new place is remembered with its date; the same place again is not told twice; secrets are left out."""
    data = archive(1, a="1")

    def page(handler):
        handler.send_response(200)
        handler.send_header("ETag", '"tag"')
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    fetcher = Fetcher(store, settings=quick())
    with serving({"/x.tar.gz?token=secret": page, "/y.tar.gz": page}) as (url, _):
        pin = fetcher.pin(UrlSource(f"{url}/x.tar.gz?token=secret"))
        fetcher.pin(UrlSource(f"{url}/x.tar.gz?token=secret"))
        clock.now += 60
        fetcher.pin(UrlSource(f"{url}/y.tar.gz"))
    latest, first = store.sources.seen(pin.tree)
    assert latest.provenance.url == f"{url}/y.tar.gz"
    assert first.provenance.url == f"{url}/x.tar.gz"
    assert (first.provenance.sha256, first.provenance.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (first.provenance.etag, first.provenance.stripped) == ('"tag"', "pkg-1")
    assert latest.time - first.time == 60
    commit = store.refs.get(f"refs/sources/{pin.tree}")
    assert store.objects.commit(commit).message == f"source {pin.tree}\n"


def test_the_ref_is_the_same_in_every_store(store, folder, tmp_path, clock):
    """Two stores make the same commit for a source, whoever and whenever."""
    first = Fetcher(store).pin(PathSource(str(folder))).tree
    init_store(str(tmp_path / "other"), durability="fast")
    other = Store.open(str(tmp_path / "other"), identity="Bob <b@example.org>")
    second = Fetcher(other).pin(PathSource(str(folder))).tree
    assert store.refs.get(f"refs/sources/{first}") == other.refs.get(f"refs/sources/{second}")


@pytest.mark.parametrize("link", [False, True])
def test_get(store, folder, tmp_path, link):
    """The files come out as they went in; linked ones are read-only and take no room."""
    id = Fetcher(store).pin(PathSource(str(folder))).tree
    get_source(store, id, str(tmp_path / "out"), link=link)
    assert import_directory(store.objects, str(tmp_path / "out")) == id
    status = os.stat(tmp_path / "out/sub/run")
    assert (status.st_nlink == 2, status.st_mode & 0o777) == (link, 0o555 if link else 0o755)
    with pytest.raises(ConflictError):
        get_source(store, id, str(tmp_path / "out"))
    with pytest.raises(NotFoundError):
        get_source(store, type(id)("0" * 40), str(tmp_path / "none"))


def notes(said):
    """Progress that keeps what is said."""
    return types.SimpleNamespace(note=said.append, task=SILENT.task)


def write_through(path):
    path.chmod(0o644)
    path.write_text("spoilt")


def remove(path):
    path.parent.chmod(0o755)
    path.unlink()


@pytest.mark.parametrize("spoil", [write_through, remove])
def test_a_changed_unpacked_copy_is_made_anew(store, folder, tmp_path, spoil):
    """Whoever writes to a linked file as root, or removes one, spoils no other's: the copy is made anew."""
    id = Fetcher(store).pin(PathSource(str(folder))).tree
    get_source(store, id, str(tmp_path / "one"), link=True)
    spoil(pathlib.Path(store.inside("unpacked", id)) / "sub/run")
    said = []
    get_source(store, id, str(tmp_path / "two"), link=True, progress=notes(said))
    assert (tmp_path / "two/sub/run").read_text() == "#!/bin/sh\n"
    assert (tmp_path / "two/sub/run").stat().st_nlink == 2, "it is linked to"
    assert ["made anew" in words for words in said] == [True]
    assert os.listdir(store.inside("trash")) == []
    get_source(store, id, str(tmp_path / "three"), link=True, progress=notes(said))
    assert len(said) == 1


def test_get_the_archive(store, tmp_path):
    """The archive comes out with the bytes it had; a source that came without one says so."""
    (tmp_path / "x.tar.gz").write_bytes(archive(1, a="1"))
    fetcher = Fetcher(store)
    id = fetcher.pin(UrlSource(f"file://{tmp_path}/x.tar.gz")).tree
    get_archive(store, id, str(tmp_path / "again.tar.gz"), FetchSettings())
    assert (tmp_path / "again.tar.gz").read_bytes() == archive(1, a="1")
    os.unlink(store.inside("downloads", hashlib.sha256(archive(1, a="1")).hexdigest()))
    with pytest.raises(ArchiveAbsentError):
        get_archive(store, id, str(tmp_path / "third.tar.gz"), FetchSettings())


@pytest.mark.parametrize("served", [True, False])
def test_a_mirror_serves_everything(store, folder, tmp_path, clock, served):
    """From a mirror another store gets archives, trees of git and of directories, with all origins gone."""
    place = tmp_path / "x.tar.gz"
    place.write_bytes(archive(1, a="1"))
    project = tmp_path / "project"
    subprocess.run(["git", "init", "-q", "-b", "main", project], check=True)
    (project / "file").write_text("x" * 100_000)
    subprocess.run("git add -A && git commit -qm one", shell=True, cwd=project, check=True)
    fetcher = Fetcher(store)
    sources = [UrlSource(f"file://{place}"), PathSource(str(folder)), GitSource(f"file://{project}", "main")]
    pins = [fetcher.pin(source) for source in sources]
    made = list(write_mirror(store, str(tmp_path / "mirror"), [pin.tree for pin in pins], FetchSettings()))
    assert [one.new for one in made] == [True, True, True]
    again = write_mirror(store, str(tmp_path / "mirror"), [pin.tree for pin in pins], FetchSettings())
    assert [one.new for one in again] == [False, False, False]
    for gone in (place, folder, project):
        gone.rename(f"{gone}.gone")
    init_store(str(tmp_path / "other"), durability="fast")
    other = Store.open(str(tmp_path / "other"), clock=clock, search_path=os.environ["PATH"])
    pages = {
        f"/m/{os.path.relpath(os.path.join(at, name), tmp_path / 'mirror')}": pathlib.Path(at, name).read_bytes()
        for at, _, names in os.walk(tmp_path / "mirror")
        for name in names
    }
    with serving(pages) as (url, _):
        mirror = f"{url}/m" if served else f"file://{tmp_path}/mirror"
        assert Fetcher(other, settings=quick(mirrors=(mirror,))).bring_all(pins) == [pin.tree for pin in pins]
    with pytest.raises(NotFoundError):
        Fetcher(other).pin(PathSource(str(folder)))


def test_a_mirror_that_lies(store, folder, tmp_path, clock):
    """Other files under the name of a tree are not taken, and nothing of them is stored."""
    pin = Fetcher(store).pin(PathSource(str(folder)))
    (folder / "more").write_text("more")
    other_pin = Fetcher(store).pin(PathSource(str(folder)))
    mirror = tmp_path / "mirror"
    list(write_mirror(store, str(mirror), [other_pin.tree], FetchSettings()))
    (source,) = mirror.glob("trees/*/*")
    target = mirror / f"trees/{pin.tree[:2]}/{pin.tree}.tar.zst"
    target.parent.mkdir(exist_ok=True)
    source.rename(target)
    folder.rename(tmp_path / "gone")
    init_store(str(tmp_path / "other"), durability="fast")
    other = Store.open(str(tmp_path / "other"), clock=clock, search_path=os.environ["PATH"])
    with pytest.raises(NotFoundError):
        Fetcher(other, settings=quick(mirrors=(f"file://{mirror}",))).bring(pin)
    assert other.sources.all() == []
    assert not [name for name in os.listdir(os.path.join(other.git, "objects/pack")) if name.endswith(".pack")]


def test_a_mirror_is_not_written_over_something_else(store, tmp_path):
    """A directory that holds other things is left alone."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    with pytest.raises(ConflictError, match="not a mirror"):
        list(write_mirror(store, str(tmp_path / "full"), [], FetchSettings()))


def test_gc_takes_all_of_a_source(store, folder, tmp_path, clock):
    """With a source go its provenance, its unpacked copy, partial downloads and origins; none while they are young."""
    (tmp_path / "x.tar.gz").write_bytes(archive(1, a="1"))
    id = Fetcher(store).pin(UrlSource(f"file://{tmp_path}/x.tar.gz")).tree
    Fetcher(store).pin(PathSource(str(folder)))
    get_source(store, id, str(tmp_path / "out"), link=True)
    os.makedirs(store.inside("origins", "abc"))
    with open(store.inside("downloads/partial", "abc"), "w"):
        pass
    collect(store, Policy(grace=14 * 24 * 3600))
    assert id in store.sources
    assert store.sources.seen(id)
    clock.now += 60 * 24 * 3600
    collect(store, Policy(grace=0))
    assert store.sources.all() == []
    assert store.refs.all("refs/provenance/") == {}
    for place in ("unpacked", "origins", "downloads/partial", "index/archive", "index/states"):
        path = store.inside(place)
        assert not os.path.isdir(path) or os.listdir(path) == [], place
    assert (tmp_path / "out").is_dir()
    assert Fetcher(store).pin(UrlSource(f"file://{tmp_path}/x.tar.gz")).tree == id


def test_find_by_the_beginning(store, folder):
    """An id may be shortened, and may be a SWHID."""
    id = Fetcher(store).pin(PathSource(str(folder))).tree
    assert store.sources.find(id[:8]) == id
    assert store.sources.find(f"swh:1:dir:{id}") == id
    with pytest.raises(NotFoundError, match="no source begins"):
        store.sources.find("0000")


def test_a_checkout_that_would_run_something(store, tmp_path):
    """Nothing that somebody's checkout sets as a hook of git is run when its files are listed."""
    project = tmp_path / "project"
    subprocess.run(["git", "init", "-q", project], check=True)
    (project / "file").write_text("x")
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "diff.external"):
        subprocess.run(["git", "-C", project, "config", name, str(hook)], check=True)
    Fetcher(store, env=dict(os.environ)).pin(PathSource(str(project)))
    assert not (tmp_path / "ran").exists()


def test_a_readme_makes_no_mirror(store, tmp_path):
    """A project that has a README is not a mirror, and its README stays what it is."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project/README").write_text("mine\n")
    with pytest.raises(ConflictError, match="not a mirror"):
        list(write_mirror(store, str(tmp_path / "project"), [], FetchSettings()))
    assert (tmp_path / "project/README").read_text() == "mine\n"


def test_a_mirror_has_every_way_to_a_source(store, folder, tmp_path, clock):
    """Of a source that came as two archives and as a directory, all three are mirrored: pins of each find it."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/a").write_text("1")
    for level in (1, 9):
        (tmp_path / f"{level}.tar.gz").write_bytes(archive(level, a="1"))
    fetcher = Fetcher(store)
    pins = [fetcher.pin(UrlSource(f"file://{tmp_path}/{level}.tar.gz")) for level in (1, 9)]
    pins.append(fetcher.pin(PathSource(str(tmp_path / "plain"))))
    assert len({pin.tree for pin in pins}) == 1
    made = list(write_mirror(store, str(tmp_path / "mirror"), [pins[0].tree], FetchSettings()))
    assert sorted(one.path.partition("/")[0] for one in made) == ["archives", "archives", "trees"]
    for gone in ("1.tar.gz", "9.tar.gz", "plain"):
        (tmp_path / gone).rename(tmp_path / f"{gone}.gone")
    for number, pin in enumerate(pins):
        init_store(str(tmp_path / f"other{number}"), durability="fast")
        other = Store.open(str(tmp_path / f"other{number}"), clock=clock, search_path=os.environ["PATH"])
        assert Fetcher(other, settings=quick(mirrors=(f"file://{tmp_path}/mirror",))).bring(pin) == pin.tree


def test_an_emptied_file_of_a_mirror_is_written_again(store, folder, tmp_path):
    """What a power loss left empty in a mirror is seen the next time."""
    (tmp_path / "x.tar.gz").write_bytes(archive(1, a="1"))
    pins = [
        Fetcher(store).pin(source) for source in (UrlSource(f"file://{tmp_path}/x.tar.gz"), PathSource(str(folder)))
    ]
    mirror = tmp_path / "mirror"
    made = list(write_mirror(store, str(mirror), [pin.tree for pin in pins], FetchSettings()))
    contents = [(mirror / one.path).read_bytes() for one in made]
    for one in made:
        os.truncate(mirror / one.path, 0)
    again = list(write_mirror(store, str(mirror), [pin.tree for pin in pins], FetchSettings()))
    assert [one.new for one in again] == [True, True]
    assert [(mirror / one.path).read_bytes() for one in again] == contents


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two people")
def test_readers_get_copies_of_a_changed_copy(store, folder, tmp_path):
    """Who may not make the unpacked copy anew gets copies, and no error."""
    id = Fetcher(store).pin(PathSource(str(folder))).tree
    get_source(store, id, str(tmp_path / "one"), link=True)
    write_through(pathlib.Path(store.inside("unpacked", id)) / "sub/run")
    for above in [tmp_path, *tmp_path.parents]:
        if above != pathlib.Path("/"):
            above.chmod(above.stat().st_mode | 0o011)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs").chmod(0o777)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setuid(65534)
            get_source(store, id, str(tmp_path / "theirs/two"), link=True)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert (tmp_path / "theirs/two/sub/run").read_text() == "#!/bin/sh\n"
    assert (tmp_path / "theirs/two/sub/run").stat().st_nlink == 1


def test_what_a_mirror_gave_others_can_have(store, tmp_path, clock):
    """A pin names the origin, also when a mirror served it; what was here already adds no place that was not asked."""
    place = tmp_path / "x.tar.gz"
    place.write_bytes(archive(1, a="1"))
    fetcher = Fetcher(store)
    pin = fetcher.pin(UrlSource(f"file://{place}"))
    list(write_mirror(store, str(tmp_path / "mirror"), [pin.tree], FetchSettings()))
    init_store(str(tmp_path / "other"), durability="fast")
    other = Store.open(str(tmp_path / "other"), clock=clock, search_path=os.environ["PATH"])
    served = Fetcher(other, settings=quick(mirrors=(f"file://{tmp_path}/mirror",)))
    again = served.pin(UrlSource(f"file://{place}", sha256=pin.sha256))
    assert again.url == f"file://{place}"
    Fetcher(other).pin(UrlSource("https://example.invalid/x.tar.gz", sha256=pin.sha256))
    assert ["mirror" in one.provenance.url for one in other.sources.seen(pin.tree)] == [True]


def test_odd_words(hdist, write, tmp_path):
    """Empty words, hashes that cannot be checked and URLs that are none are refused, and no password is repeated."""
    write("d/file", "x")
    assert "names no source" in hdist("source", "add", "", expect=1).stderr
    assert "cannot be checked" in hdist("source", "add", "d", "--sha256", "0" * 64, expect=1).stderr
    assert (
        "names no place"
        in hdist("source", "get", hdist("source", "add", "d").stdout.strip(), "--to", "", expect=1).stderr
    )
    hdist("source", "mirror", "", expect=2)
    for url in (
        "http://127.0.0.1:1/x?token=SECRET",
        "http://[::1/x",
        "http://a..b/x",
        "ftp://me:SECRET@h/x",
        "http://h:99999/",
    ):
        done = hdist("source", "add", url, expect=1 if url[:3] == "ftp" or "[" in url else 7)
        assert "SECRET" not in done.stderr
        assert "should not have happened" not in done.stderr
    os.mkfifo(tmp_path / "work/fifo")
    assert "is not a file" in hdist("source", "add", f"file://{tmp_path / 'work' / 'fifo'}", expect=7).stderr


def test_swhid(store, folder):
    """The id of a source is the SWHID that Software Heritage's own program computes for the directory."""
    from_disk = pytest.importorskip("swh.model.from_disk")
    id = Fetcher(store).pin(PathSource(str(folder))).tree
    assert (
        str(from_disk.Directory.from_disk(path=os.fsencode(folder), max_content_length=None).swhid())
        == f"swh:1:dir:{id}"
    )


def test_parallel_adds_from_the_command_line(hdist, tmp_path, store):
    """Things that are named together are fetched together; their ids come in order, and one failure is told."""
    with serving({f"/{number}.tar.gz": archive(1, a=str(number)) for number in range(3)}) as (url, _):
        urls = [f"{url}/{number}.tar.gz" for number in (2, 0, 1)]
        ids = hdist("source", "add", *urls).stdout.split()
        assert len(ids) == 3
        assert hdist("source", "add", "-z", urls[0]).stdout == ids[0] + "\0"
        document = json.loads(hdist("source", "add", "--json", urls[1]).stdout)
        assert document["sources"][0]["id"] == ids[1]
        assert document["sources"][0]["swhid"] == f"swh:1:dir:{ids[1]}"
        done = hdist("source", "add", urls[0], f"{url}/missing", expect=7)
        assert done.stdout.split() == [ids[0]]
    shown = json.loads(hdist("source", "show", ids[0], "--json").stdout)
    assert (shown["url"], shown["stripped"], shown["files"]) == (urls[0], "pkg-1", 1)
    assert urls[0] in hdist("source", "show", ids[0][:8]).stdout
    assert hdist("source", "log", ids[0]).stdout.count("\n") == 1
    assert len(json.loads(hdist("source", "list", "--json").stdout)["sources"]) == 3
    assert hdist("source", "list", "-z").stdout.count("\0") == 3
    hdist("source", "get", ids[0], "--to", "out", "--link")
    hdist("source", "get", ids[0], "--archive", "--to", "again.tar.gz")
    assert (tmp_path / "work/again.tar.gz").read_bytes() == archive(1, a="2")
    assert hdist("source", "mirror", "mirror").stdout.count("archives/") == 3
    assert "first use" in hdist("source", "add", "--require-hash", f"{url}/new", expect=1).stderr
    assert "no limit" in hdist("source", "add", "--limit", "x=1", "again.tar.gz", expect=1).stderr
    assert "limit: entries" in hdist("source", "add", "--limit", "entries=1", "again.tar.gz", expect=1).stderr


def test_fetch_everything_of_a_profile(hdist, write, tmp_path, store):
    """After ``source fetch`` a profile can be built without a network."""
    with serving({"/x.tar.gz": archive(1, a="1")}) as (url, _):
        write(
            "stack.toml",
            f"""
[packages.x]
version = "1"
source = {{ url = "{url}/x.tar.gz" }}
builder = "copy"
""",
        )
        hdist("commit", "-m", "one")
        (id,) = store.sources.all()
        name = f"refs/sources/{id}"
        with store.refs.transaction("test") as transaction:
            transaction.delete(name, old=store.refs.get(name))
        assert "1 of 1" in hdist("source", "fetch", "main").stderr
    hdist("build", "--offline")


def test_settings_in_a_file(hdist, tmp_path, store):
    """A site names its mirrors once, in a file; what is wrong there is told with the file's name."""
    (tmp_path / "x.tar.gz").write_bytes(archive(1, a="1"))
    sha256 = hashlib.sha256(archive(1, a="1")).hexdigest()
    hdist("source", "add", f"file://{tmp_path}/x.tar.gz")
    hdist("source", "mirror", str(tmp_path / "mirror#%41"))
    (tmp_path / "x.tar.gz").unlink()
    settings = tmp_path / "home/.config/hashdist/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[sources]\nmirrors = ["{tmp_path}/mirror#%41"]\nlimits = {{ size = "1G" }}\n')
    init_store(str(tmp_path / "other"), durability="fast")
    command = [sys.executable, "-m", "hashdist.cli", "--store", str(tmp_path / "other"), "source", "add"]
    place = f"file://{tmp_path}/x.tar.gz"
    subprocess.run([*command, place, "--sha256", sha256], check=True, capture_output=True)
    settings.write_text("[sources]\nrequire-hash = true\n")
    assert subprocess.run([*command, f"file://{settings}"], check=False, capture_output=True).returncode == 1
    relaxed = {**os.environ, "HDIST_REQUIRE_HASH": "0"}
    subprocess.run([*command, f"file://{settings}"], check=True, capture_output=True, env=relaxed)
    settings.write_text("[sources]\nmirors = []\n")
    done = subprocess.run([*command, place], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "config.toml: sources.mirors: unknown key" in done.stderr
