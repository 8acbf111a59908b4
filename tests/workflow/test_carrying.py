"""Artifacts and bundles as files: what a colleague or a machine without a network takes."""

import dataclasses
import hashlib
import io
import os
import shutil
import subprocess
import tarfile

import pytest
import zstandard
from sources.servers import serving
from support import package

from hashdist import Store
from hashdist.build.artifact_file import ArtifactFileError, file_name
from hashdist.build.importing import OtherStoreError
from hashdist.errors import ConflictError, NotFoundError
from hashdist.fsutil.removal import remove_tree
from hashdist.progress import SILENT
from hashdist.store.artifacts import NotBuiltError
from hashdist.store.making import init_store
from hashdist.verify.verifying import verify
from hashdist.workflow import building, bundling, carrying, remoting
from hashdist.workflow.commit import commit_file
from hashdist.workflow.profile import find, read_profile
from hashdist.workflow.session import Session

STACK = (
    package(
        "a",
        "mkdir -p $PREFIX/bin $PREFIX/empty 'PREFIX/x' && printf '#!/bin/sh\\necho hi\\n' > $PREFIX/bin/hi && "
        "chmod 755 $PREFIX/bin/hi && ln -s hi $PREFIX/bin/link && head -c 3000000 /dev/zero > $PREFIX/zeros",
    ).replace("'PREFIX/x'", "")
    + package("b", "mkdir -p $PREFIX/share && echo $A_DIR > $PREFIX/share/a", inputs='["a"]')
    + package("c")
)


@pytest.fixture
def built(session, write):
    commit = commit_file(session, write("stack.toml", STACK), message="first").commit
    building.build_commit(session, commit)
    return commit


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    return str(tmp_path / "files")


def emptied(session):
    """A store at the same path with the same profile, in which nothing is built."""
    store = session.store
    path = store.path
    bundled = f"{path}.bundle"
    bundling.bundle(session, bundled, ["main"])
    remove_tree(path)
    init_store(path, durability="fast")
    fresh = Store.open(path, identity=store.identity, clock=store.clock, search_path=os.environ["PATH"])
    there = dataclasses.replace(session, store=fresh)
    remoting.clone(there, bundled, "main")
    os.unlink(bundled)
    return there


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def content(root):
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            data = os.readlink(path) if os.path.islink(path) else bytes_of(path) if name in files else b""
            found[os.path.relpath(path, root)] = (status.st_mode, int(status.st_mtime), data)
    return found


def artifacts_of(session, commit):
    lock = read_profile(session.store.objects, commit).lock
    return [session.store.artifacts.find(str(pin.spec)[:20])[0] for pin in lock.packages.values()]


def test_there_and_back(session, built, folder):
    """What is exported is the same file each time, and imported it is the same artifact, without a build."""
    done = carrying.export(session, "main", folder)
    assert sorted(os.listdir(folder)) == sorted(file_name(artifact) for artifact, _ in done)
    digests = {path: hashlib.sha256(bytes_of(path)).hexdigest() for _, path in done}
    before = {artifact: content(session.store.artifacts.path(artifact)) for artifact, _ in done}
    for _, path in done:
        os.unlink(path)
    assert {
        path: hashlib.sha256(bytes_of(path)).hexdigest() for _, path in carrying.export(session, "main", folder)
    } == digests
    there = emptied(session)
    commit = find(there.store, "main")
    assert commit == built
    taken = building.build_lock(there, read_profile(there.store.objects, commit).lock, text=STACK, places=[folder])
    assert (len(taken.taken), taken.report.built) == (3, [])
    assert {artifact: content(there.store.artifacts.path(artifact)) for artifact in before} == before
    record = there.store.artifacts.record(next(one for one in before if one.name == "b").spec)
    assert len(record.references) == 1
    assert verify(there.store).findings == []
    assert "error" not in subprocess.check_output(
        ["git", "-C", there.store.git, "fsck", "--full", "--strict"], text=True, stderr=subprocess.STDOUT
    )
    assert carrying.take_files(there, list(digests)) == [(artifact, False) for artifact, _ in done]


def test_by_import(session, built, folder):
    """Files are taken one by one too, in any order, also before the profile is there; a part of them helps a build."""
    done = carrying.export(session, "b", folder)
    assert [artifact.name for artifact, _ in done] == ["b", "a"]
    there = emptied(session)
    assert [new for _, new in carrying.take_files(there, [done[0][1]])] == [True]
    report = building.build_commit(there, find(there.store, "main")).report
    assert sorted(report.built) == ["a", "c"]


def test_from_a_web_server(session, built, folder):
    """A plain web server of such files is a place; what it has not is built."""
    carrying.export(session, "a", folder)
    pages = {f"/{name}": bytes_of(os.path.join(folder, name)) for name in os.listdir(folder)}
    there = emptied(session)
    lock = read_profile(there.store.objects, find(there.store, "main")).lock
    with serving(pages) as (url, _):
        done = building.build_lock(there, lock, text=STACK, places=[f"{url}/"])
    assert ([one.split("/")[0] for one in done.taken], sorted(done.report.built)) == (["a"], ["b", "c"])


def test_places_that_give_nothing(session, built, folder):
    """A damaged file and a server that does not answer are noted, and what they do not give is built."""
    ((_, path),) = carrying.export(session, "a", folder)
    data = bytes_of(path)
    os.chmod(path, 0o644)
    with open(path, "wb") as file:
        file.write(data[: len(data) // 2])
    there = emptied(session)
    said = []

    class Notes(type(SILENT)):
        def note(self, message):
            said.append(message)

    there = dataclasses.replace(there, progress=Notes())
    lock = read_profile(there.store.objects, find(there.store, "main")).lock
    places = [folder, "http://127.0.0.1:9/artifacts"]
    done = building.build_lock(there, lock, text=STACK, places=places)
    assert (done.taken, sorted(done.report.built)) == ([], ["a", "b", "c"])
    assert any("nothing is taken from there" in line for line in said)
    assert any(os.path.basename(path) in line for line in said)


def test_another_path(session, built, folder, tmp_path):
    """A store at another path refuses, in one line that names both."""
    (_, path), *_ = carrying.export(session, "c", folder)
    other = str(tmp_path / "other")
    init_store(other, durability="fast")
    there = dataclasses.replace(session, store=Store.open(other, search_path=os.environ["PATH"]))
    with pytest.raises(OtherStoreError, match=f"{session.store.path}.*{other}"):
        carrying.take_files(there, [path])
    assert there.store.artifacts.all() == []
    remove_tree(other)


def test_not_built(session, write, folder):
    """What is not built, and software of the host, cannot be exported."""
    commit_file(session, write("stack.toml", STACK), message="first")
    with pytest.raises(NotBuiltError, match="a, b, c"):
        carrying.export(session, "main", folder)
    with pytest.raises(NotFoundError):
        carrying.export(session, "main", f"{folder}/nothing")


def unpacked(path):
    with open(path, "rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(member, tar.extractfile(member).read() if member.isreg() else b"") for member in tar]


def packed(path, members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    with open(path, "wb") as file:
        file.write(zstandard.ZstdCompressor().compress(out.getvalue()))


def renamed(member, name):
    member.name = name
    return member


def escaping(members):
    """A link to a directory outside, and a file through it."""
    return [
        (member, data.replace(b"040000\t-\t-\tempty", b"120000\t-\t-\tempty\t/tmp"))
        if member.name == "manifest"
        else (member, data)
        for member, data in members
    ] + [(tarfile.TarInfo("files/empty/evil"), b"x")]


def absolute(members):
    """A manifest with a path that begins at the root, and a file for it."""
    line = b"040000\t-\t-\t/tmp\n100644\t" + hashlib.sha256(b"x").hexdigest().encode() + b"\t1\t/tmp/evil\n"
    found = [(member, data + line) if member.name == "manifest" else (member, data) for member, data in members]
    return [*found, (tarfile.TarInfo("files//tmp/evil"), b"x")]


DAMAGE = {
    "cut short": lambda data: data[: len(data) // 2],
    "a flipped bit": lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
    "nothing": lambda data: data[:0],
    "no archive": lambda data: b"hello" + data,
}
FORGERIES = {
    "other bytes": lambda members: [(m, d.replace(b"echo hi", b"echo ho")) for m, d in members],
    "another spec": lambda members: [(m, d.replace(b'"-j"', b"x").replace(b"echo hi", b"echo hu")) for m, d in members],
    "one more": lambda members: [*members, (tarfile.TarInfo("files/more"), b"x")],
    "one less": lambda members: members[:-1],
    "a parent": lambda members: [*members, (tarfile.TarInfo("files/../../evil"), b"x")],
    "through a link": escaping,
    "absolute": absolute,
    "another order": lambda members: [*members[:-6], *reversed(members[-6:])],
    "another reference": lambda members: [
        (m, d.replace(b'"references":[', b'"references":["' + b"1" * 40 + b'"'))
        if m.name == "hashdist.json"
        else (m, d)
        for m, d in members
    ],
    "no header": lambda members: members[1:],
    "another header": lambda members: [(members[0][0], b"{}\n"), *members[1:]],
    "twice": lambda members: [*members, members[-1]],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(session, built, folder, damage):
    """A damaged file is refused, and nothing of it stays."""
    (_, path), *_ = carrying.export(session, "a", folder)
    data = bytes_of(path)
    there = emptied(session)
    with open(path, "wb") as file:
        file.write(DAMAGE[damage](data))
    refused(there, path)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_files(session, built, folder, forgery):
    """So is one that is not what it says, or that leads out of its place."""
    (_, path), *_ = carrying.export(session, "a", folder)
    members = unpacked(path)
    there = emptied(session)
    packed(path, FORGERIES[forgery](members))
    refused(there, path)
    assert not os.path.exists("/tmp/evil")


def refused(there, path):
    with pytest.raises(ArtifactFileError):
        carrying.take_files(there, [path])
    assert there.store.artifacts.all() == []
    left = [name for _, folders, files in os.walk(there.store.inside("artifacts")) for name in files]
    assert left == []
    assert os.listdir(there.store.inside("roots")) == []


def test_bundles(session, write, tmp_path):
    """A bundle has all that a build needs: on a machine without a network it is cloned, built and fetched from again."""
    write("src/hello", "hello")
    text = package("a", "mkdir -p $PREFIX/share && cp hello $PREFIX/share", source='{ path = "src" }')
    path = write("stack.toml", text)
    commit_file(session, path, message="first")
    bundle = str(tmp_path / "stack.bundle")
    made = bundling.bundle(session, bundle)
    assert [name.split("/")[1] for name, _ in made.refs] == ["heads", "sources"]
    assert (
        subprocess.run(["git", "bundle", "verify", bundle], cwd=session.store.git, capture_output=True).returncode == 0
    )
    with pytest.raises(ConflictError, match="already"):
        bundling.bundle(session, bundle)
    shutil.rmtree(tmp_path / "work" / "src")
    other = str(tmp_path / "other")
    init_store(other, durability="fast")
    store = Store.open(other, search_path=os.environ["PATH"])
    there = Session(
        store, dict(os.environ), str(tmp_path), fetching=dataclasses.replace(session.fetching, offline=True)
    )
    cloned = remoting.clone(there, bundle, "mine")
    assert building.build_commit(there, cloned.commit).total == 1
    write("src/hello", "more")
    commit_file(session, write("stack.toml", text.replace('"1"', '"2"')), message="second")
    os.unlink(bundle)
    bundling.bundle(session, bundle)
    assert remoting.pull(there, profile="mine").merged.how == "fast-forward"
    remove_tree(other)


def test_commands(hdist, write, tmp_path):
    """As people type it."""
    write("stack.toml", package("a"))
    hdist("commit", "-m", "first")
    hdist("artifact", "export", "main", expect=3)
    hdist("build")
    (path,) = hdist("artifact", "export", "main").stdout.splitlines()
    assert path.endswith(".tar.zst")
    assert "all were here" in hdist("artifact", "import", path).stderr
    assert '"new": false' in hdist("artifact", "import", path, "--json").stdout
    hdist("artifact", "import", "stack.toml", expect=1)
    assert "nothing to do" in hdist("build", "--from", str(tmp_path / "work")).stderr
    assert "on the other side: hdist clone all.bundle" in hdist("bundle", "all.bundle").stderr
    hdist("bundle", "all.bundle", expect=4)
    hdist("clone", "--trust", "all.bundle", "copy")
    assert hdist("branch").stdout.splitlines()[0].endswith(hdist("rev-parse", "main").stdout[:12])
