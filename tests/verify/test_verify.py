"""Each damage is found and named with what it hits; repair mends what can be proved and says what it cannot."""

import dataclasses
import os
import stat
import tarfile

import pytest
from support import package
from sweeps import FULL

from hashdist.checkout.switch import Checkout
from hashdist.errors import HashdistError
from hashdist.fsutil.atomic import write_file
from hashdist.gc.policy import Policy
from hashdist.gc.sweeping import collect
from hashdist.objects import manifest
from hashdist.objects.packed import Pack, pack_indexes
from hashdist.refs import names
from hashdist.sources.declaration import PathSource
from hashdist.verify.verifying import verify
from hashdist.workflow import branching, building, checkout as checkouts, keeping
from hashdist.workflow.commit import commit_file
from hashdist.workflow.profile import find, read_profile
from hashdist.workflow.repair.repairing import repair

STACK = package("a", source='{ path = "src" }') + package("b", inputs='["a"]')


@pytest.fixture
def whole(session, write):
    """A store with a source, two artifacts, a prefix, packs and loose objects; all is well in it."""
    write("src/file", "content\n" * 100)
    write("src/sub/other", "other")
    session.fetcher.pin(PathSource(os.path.dirname(write("src/file", "content\n" * 100))))
    recorded = commit_file(session, write("stack.toml", STACK), message="m")
    prefix = checkouts.ready(session, recorded.commit)
    Checkout(session.store).switch(recorded.commit, prefix, branch="refs/heads/main", reason="x")
    assert verify(session.store).findings == []
    return session


def artifact(session, name):
    store = session.store
    spec = read_profile(store.objects, find(store, "main")).lock.specs[name]
    return store.artifacts.path(store.artifacts.record(spec).spec.artifact)


def flip(path, where=None):
    """Flip one bit of a file, whatever its mode."""
    mode = stat.S_IMODE(os.stat(path).st_mode)
    times = os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        place = len(data) // 2 if where is None else where % len(data)
        data[place] ^= 1
        file.seek(0)
        file.write(data)
    os.chmod(path, mode)
    os.utime(path, ns=times)


def files(folder):
    return sorted(os.path.join(here, name) for here, _, names_ in os.walk(folder) for name in names_)


def test_every_bit_of_artifacts(whole):
    """A flipped bit in any file of an artifact is found, with its path and the profiles; repair builds it again."""
    for name in "ab":
        for path in files(artifact(whole, name)):
            flip(path)
            (found,) = verify(whole.store).findings
            assert (found.kind, found.what, found.path) == ("damaged", "artifact", path)
            assert {"main", "HEAD"} <= set(found.hits)
            assert found.artifact.name == name
            assert verify(whole.store, quick=True).findings == []
            assert verify(whole.store, only=[found.spec]).damage
            (mended,) = repair(whole, verify(whole.store))
            assert mended.done
            assert "the same bytes" in mended.words
            assert verify(whole.store.reopened()).findings == []


@pytest.mark.no_cover
@pytest.mark.parametrize("packed", [False, True])
def test_every_bit_of_objects(whole, packed):
    """A flipped bit anywhere in a loose object, a pack or an index is found, and never silently passed over."""
    store = whole.store
    if packed:
        collect(store, Policy(grace=0))
    folder = os.path.join(store.git, "objects")
    paths = [path for path in files(folder) if "/info/" not in path]
    assert any(path.endswith(".pack") for path in paths) >= packed
    for number, path in enumerate(paths):
        size = os.path.getsize(path)
        places = [0, 5, size // 3, size // 2, size - 25, size - 1]
        # of the many small ones each has its turn at one of them
        turns = places if FULL or packed else [places[number % len(places)]]
        for where in turns:
            flip(path, where)
            found = verify(store.reopened()).damage
            assert found, (path, where)
            assert any(one.path.startswith(folder) for one in found)
            flip(path, where)
    assert verify(store.reopened()).findings == []


def test_lost_files(whole):
    """What is cut short, deleted, replaced by a link or written beside is found."""
    path = artifact(whole, "a")
    store = whole.store
    os.chmod(f"{path}/share", 0o755)
    os.rename(f"{path}/share/a", f"{path}/share/c")
    found = [one for one in verify(store, quick=True).damage if one.what == "artifact"]
    kinds = {(one.kind, os.path.basename(one.path)) for one in found}
    assert kinds == {("missing", "a"), ("extra", "c"), ("mode", "share")}
    os.rename(f"{path}/share/c", f"{path}/share/a")
    os.chmod(f"{path}/share/a", 0o644)
    os.symlink("/etc/passwd", f"{path}/share/link")
    assert {one.kind for one in verify(store).damage} == {"mode", "extra"}
    assert all(one.done for one in repair(whole, verify(store)))
    assert verify(store).findings == []
    os.chmod(f"{path}/share", 0o755)
    os.unlink(f"{path}/share/a")
    os.symlink("/etc/passwd", f"{path}/share/a")
    assert ("damaged", "is no file any more") in {(one.kind, one.words) for one in verify(store).damage}
    assert all(one.done for one in repair(whole, verify(store)))
    assert verify(whole.store.reopened()).findings == []


def test_a_lost_artifact(whole):
    """An artifact whose directory was removed by hand is missed, and built again."""
    from hashdist.fsutil.removal import remove_tree

    path = artifact(whole, "a")
    remove_tree(path)
    found = verify(whole.store).damage
    assert ("missing", "artifact", path) in {(one.kind, one.what, one.path) for one in found}
    repair(whole, verify(whole.store))
    assert verify(whole.store.reopened()).damage == []


def damage(store, id):
    """Flip a bit in the middle of an object, wherever it lies; the next ones begin after it."""
    for index in pack_indexes(os.path.join(store.git, "objects/pack")):
        entries = Pack(index).entries()
        ends = [offset for offset, _ in entries[1:]] + [os.path.getsize(f"{index[:-4]}.pack") - 20]
        for (offset, one), end in zip(entries, ends, strict=True):
            if one == id:
                flip(f"{index[:-4]}.pack", (offset + end) // 2)
                return
    flip(os.path.join(store.git, "objects", id[:2], id[2:]))


@pytest.mark.parametrize("what", ["source", "capture"])
def test_objects_come_again(session, write, tmp_path, what):
    """A damaged object of a source is fetched again from where its pin says, one of a capture is scanned again."""
    write("x/data", os.urandom(3000))
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "work/x", "x")
    text = package("a", source=f'{{ url = "file://{tmp_path}/x.tar.gz" }}')
    tip = commit_file(session, write("stack.toml", text), message="m").commit
    checkouts.ready(session, tip)
    store = session.store
    collect(store, Policy(grace=0))
    (source,) = store.sources.all()
    if what == "source":
        id, hit = store.objects.find(source, "data").id, f"sources/{source}"
    else:
        spec = read_profile(store.objects, tip).lock.specs["base"]
        id, hit = (
            store.objects.find(store.objects.commit(store.refs[names.ARTIFACTS + spec]).tree, "manifest").id,
            "hosts",
        )
    damage(store, id)
    found = verify(store.reopened()).damage
    assert {one.object for one in found} <= {id, None}
    assert any(hit in " ".join(one.hits) for one in found)
    mended = repair(session, verify(store.reopened()))
    assert all(one.done for one in mended), [one.words for one in mended]
    assert verify(store.reopened()).damage == []
    assert len(os.listdir(store.inside("damaged"))) >= 2


def test_what_nothing_has(whole):
    """A lost commit of a profile is found, cannot be mended, and says so; nothing else is touched."""
    store = whole.store
    tip = find(store, "main")
    path = os.path.join(store.git, "objects", tip[:2], tip[2:])
    if not os.path.exists(path):
        pytest.skip("it is packed")
    os.chmod(path, 0o644)
    write_file(path, b"rubbish", mode=0o444, durable=False)
    damage = verify(store.reopened()).damage
    assert {one.object for one in damage} == {tip}
    assert "main" in damage[0].hits
    (mended,) = repair(whole, verify(store.reopened()))
    assert not mended.done
    assert "nothing has it" in mended.words
    assert verify(store.reopened()).damage
    with pytest.raises(HashdistError, match="nothing was deleted"):
        collect(store.reopened(), Policy(grace=0))


@pytest.mark.parametrize("text", ["", "12345", "0" * 40 + "\n", "not an id\n", "\xff\n"])
def test_refs(whole, text):
    """A ref that cannot be read, or leads nowhere, is named; its reflog puts it back."""
    store = whole.store
    tip = find(store, "main")
    with open(os.path.join(store.git, "refs/heads/main"), "w", encoding="latin-1") as file:
        file.write(text)
    damage = verify(store.reopened()).damage
    assert damage
    assert "refs/heads/main" in {one.path for one in damage} or "main" in {hit for one in damage for hit in one.hits}
    with pytest.raises(HashdistError):
        collect(store.reopened(), Policy(grace=0))
    if text.startswith("0"):
        return
    assert all(one.done for one in repair(whole, verify(store.reopened())))
    assert find(store.reopened(), "main") == tip
    assert verify(store.reopened()).damage == []


def test_reflogs_and_settings(whole):
    """A line of a reflog that is none, and git's own configuration, are seen and mended."""
    store = whole.store
    log = os.path.join(store.git, "logs/refs/heads/main")
    with open(log, "a") as file:
        file.write("rubbish\n")
    with open(os.path.join(store.git, "config"), "w"):
        pass
    found = verify(store).damage
    assert {one.what for one in found} == {"reflog", "settings"}
    assert all(one.done for one in repair(whole, verify(store)))
    assert verify(store).findings == []
    assert len(store.refs.reflog("refs/heads/main")) == 1


def test_prefixes_and_records(whole):
    """A prefix that was changed is made again; an artifact whose record is damaged is built again."""
    store = whole.store
    prefix = os.path.realpath(store.inside("current"))
    os.chmod(prefix, 0o755)
    os.symlink("/nonexistent", f"{prefix}/extra")
    found = verify(store).damage
    assert {one.what for one in found} == {"prefix"}
    assert all(one.done for one in repair(whole, verify(store)))
    assert verify(store).findings == []
    assert not os.path.lexists(f"{prefix}/extra")
    spec = read_profile(store.objects, find(store, "main")).lock.specs["a"]
    wrong = store.refs["refs/heads/main"]
    store.refs.update(names.ARTIFACTS + spec, wrong, old=store.refs[names.ARTIFACTS + spec], reason="x")
    found = verify(store).damage
    assert ("record", spec) in {(one.what, one.spec) for one in found}
    assert all(one.done for one in repair(whole, verify(store)))
    assert verify(store.reopened()).damage == []


def test_downloads(whole, write, tmp_path):
    """An archive that is not what its name says is moved aside."""
    (tmp_path / "x").write_bytes(b"x" * 1000)
    path = whole.store.inside("downloads", manifest.file_sha256(tmp_path / "x"))
    os.rename(tmp_path / "x", path)
    assert verify(whole.store).findings == []
    flip(path)
    (one,) = verify(whole.store).damage
    assert one.what == "download"
    repair(whole, verify(whole.store))
    assert verify(whole.store).findings == []


def test_host_software_drifts(session, write, tmp_path):
    """A file of the host that has changed is drift, not damage; a link of ours that was changed is damage, and mended."""
    tool = tmp_path / "tools/mytool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 1\n")
    tool.chmod(0o755)
    text = f'[host]\nmytool = "path:{tool}"\n' + package("a", inputs='["mytool"]')
    recorded = commit_file(session, write("stack.toml", text), message="m")
    checkouts.ready(session, recorded.commit)
    store = session.store
    assert verify(store).findings == []
    tool.write_text("#!/bin/sh\necho 2\n")
    report = verify(store)
    assert report.damage == []
    assert {one.kind for one in report.findings} == {"drifted"}
    lock = read_profile(store.objects, recorded.commit).lock
    path = store.artifacts.path(store.artifacts.record(lock.specs["mytool"]).spec.artifact)
    link = f"{path}/bin/mytool"
    os.chmod(os.path.dirname(link), 0o755)
    os.unlink(link)
    os.symlink("/bin/true", link)
    assert ("damaged", link) in {(one.kind, one.path) for one in verify(store).damage}
    assert all(one.done for one in repair(session, verify(store)))
    assert verify(store).damage == []
    assert os.readlink(link) == str(tool)


def test_commands(hdist, write, tmp_path):
    """verify prints what is damaged and exits 8; with --repair it mends and exits 0."""
    write("stack.toml", package("a"))
    hdist("commit", "-m", "m")
    hdist("checkout", "--build")
    assert "all is well" in hdist("verify").stdout
    path = (tmp_path / "store/current/share/a").resolve()
    flip(path)
    done = hdist("verify", expect=8)
    assert f"damaged  artifact {path}: its bytes are others [HEAD, checkouts/current/at, main]" in done.stdout
    assert "--repair" in done.stderr
    assert hdist("verify", "-q", "a", expect=8).stdout.startswith("damaged")
    assert "built again, the same bytes" in hdist("verify", "--repair").stderr
    assert hdist("verify", "-q").stdout == ""
    assert '"damaged": 0' in hdist("verify", "--json").stdout
    hdist("verify", "nothing", expect=3)
    assert "reproducible: 2 files" in hdist("verify", "--rebuild", "a").stdout


def test_a_repair_that_fails(session, write, tmp_path):
    """An artifact that cannot be built again is as it was, damaged; it is never half of a build."""
    (tmp_path / "once").write_text("x")
    text = package(
        "a", f"mkdir -p $PREFIX && echo new > $PREFIX/a && cat {tmp_path}/once > $PREFIX/once && echo z > $PREFIX/z"
    )
    tip = commit_file(session, write("stack.toml", text), message="m").commit
    checkouts.ready(session, tip)
    path = artifact(session, "a")
    os.unlink(tmp_path / "once")
    flip(f"{path}/z")
    (mended,) = repair(session, verify(session.store))
    assert not mended.done
    assert "it is as it was" in mended.words
    assert sorted(os.listdir(path)) == ["a", "once", "z"]
    assert [one.path for one in verify(session.store.reopened()).damage] == [f"{path}/z"]
    (tmp_path / "once").write_text("x")
    assert all(one.done for one in repair(session, verify(session.store.reopened())))
    assert verify(session.store.reopened()).damage == []


@pytest.mark.parametrize("what", ["cut", "gone"])
def test_an_index_of_a_pack(whole, write, what):
    """A pack whose index is damaged or gone gets a new one; no artifact whose record was in it is built again."""
    store = whole.store
    tip = commit_file(whole, write("pinned.toml", package("pinned")), message="m", profile="o").commit
    building.build_commit(whole, tip)
    keeping.pin(store, "pinned", "keep")
    branching.delete_branch(store, "o", force=True)
    collect(store, Policy(grace=0))
    index = max(pack_indexes(os.path.join(store.git, "objects", "pack")), key=os.path.getsize)
    if what == "cut":
        os.chmod(index, 0o644)
        os.truncate(index, 500)
    else:
        os.unlink(index)
    before = {path: os.stat(path).st_ino for path in files(store.inside("artifacts"))}
    session = dataclasses.replace(whole, store=store.reopened())
    mended = repair(session, verify(session.store))
    assert mended
    assert all(one.done for one in mended), [one.words for one in mended if not one.done]
    assert verify(store.reopened()).damage == []
    assert {path: os.stat(path).st_ino for path in files(store.inside("artifacts"))} == before
    assert store.reopened().refs.all(names.PINS)


def test_a_pin_is_a_reason(whole, write):
    """What only a pin keeps is not given up because it cannot be built again."""
    store = whole.store
    tip = commit_file(whole, write("pinned.toml", package("pinned")), message="m", profile="o").commit
    building.build_commit(whole, tip)
    keeping.pin(store, "pinned", "keep")
    path = store.artifacts.path(store.artifacts.find("pinned")[0])
    branching.delete_branch(store, "o", force=True)
    collect(store, Policy(grace=0))
    flip(f"{path}/share/pinned")
    (mended,) = repair(whole, verify(store))
    assert not mended.done
    assert "pins/keep keeps it" in mended.words, mended.words
    assert os.path.exists(f"{path}/share/pinned")


def test_a_ref_that_cannot_be_mended_stays(whole):
    """A ref of which nothing tells where it was stays damaged, so that gc goes on refusing."""
    store = whole.store
    commit_file(whole, os.path.join(whole.directory, "stack.toml"), message="m", profile="work")
    for path in ("refs/heads/work", "logs/refs/heads/work"):
        with open(os.path.join(store.git, path), "w"):
            pass
    assert [one.done for one in repair(whole, verify(store))] == [False]
    assert os.path.exists(os.path.join(store.git, "refs/heads/work"))
    assert verify(store.reopened()).damage
    with pytest.raises(HashdistError, match="work"):
        collect(store.reopened(), Policy(grace=0))


def test_heads_and_packed_refs(whole, git):
    """HEAD follows its profile again; digits that flipped, and a packed-refs that was cut, are put right by reflogs."""
    store = whole.store
    tip = find(store, "main")
    with open(os.path.join(store.git, "HEAD"), "w"):
        pass
    mended = repair(whole, verify(store))
    assert all(one.done for one in mended), mended
    assert git("symbolic-ref", "HEAD") == "refs/heads/main"
    wrong = ("1" if tip[0] != "1" else "2") + tip[1:]
    with open(os.path.join(store.git, "refs/heads/main"), "w") as file:
        file.write(f"{wrong}\n")
    mended = repair(whole, verify(store.reopened()))
    assert all(one.done for one in mended), mended
    assert find(store.reopened(), "main") == tip
    collect(store.reopened(), Policy(grace=0))
    packed = os.path.join(store.git, "packed-refs")
    os.truncate(packed, os.path.getsize(packed) - 5)
    (found,) = [one for one in verify(store.reopened()).damage if one.what == "ref"]
    assert found.path == "packed-refs"
    before = {name for name in store.refs.reflog_names() if name.startswith("refs/")}
    mended = repair(whole, verify(store.reopened()))
    assert all(one.done for one in mended), mended
    assert before <= set(store.reopened().refs.all())
    assert verify(store.reopened()).damage == []


def test_what_plain_git_makes(whole, git, tmp_path):
    """A tag object, a repository with a submodule, and a remote's HEAD that leads nowhere are no damage, and stop no gc."""
    store = whole.store
    git("-c", "user.name=a", "-c", "user.email=a@b", "tag", "-a", "v1", "-m", "words", "main")
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone")
    git("config", "core.bare", "yes")
    tree = git("mktree", "--missing", stdin=f"160000 commit {'1' * 40}\tsub\n")
    foreign = git("-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", "-m", "x", tree)
    git("update-ref", "refs/heads/foreign", foreign)
    assert verify(store.reopened()).damage == []
    collect(store.reopened(), Policy(grace=0))
    assert verify(store.reopened()).damage == []
    assert git("rev-parse", "v1^{commit}") == find(store, "main")


class Meanwhile:
    """Shows no progress; does something when a task of some name begins."""

    def __init__(self, label, action):
        self.label, self.action = label, action

    def task(self, label, *_):
        from hashdist.progress import SILENT

        if label == self.label:
            self.action()
        return SILENT.task(label, None, "x")

    def note(self, _):
        """Say nothing."""


@pytest.mark.parametrize("label", ["objects", "refs", "artifacts", "prefixes", "downloads"])
def test_gc_meanwhile(whole, write, label):
    """What gc takes away while verify looks is no damage."""
    from hashdist.workflow import branching

    store = whole.store
    tip = commit_file(whole, write("dead.toml", package("dead")), message="m", profile="dead").commit
    prefix = checkouts.ready(whole, tip)
    branching.delete_branch(store, "dead", force=True)

    def gc():
        collect(store.reopened(), Policy(grace=0))

    assert verify(store.reopened(), progress=Meanwhile(label, gc)).damage == []
    assert not os.path.exists(prefix)


def test_files_that_a_prefix_lacks(hdist, write, tmp_path):
    """What was removed from a prefix is missed, and made again."""
    from hashdist.fsutil.removal import remove_tree

    write("stack.toml", package("a") + package("b"))
    hdist("commit", "-m", "m")
    hdist("checkout", "--build")
    prefix = (tmp_path / "store/current").resolve()
    prefix.chmod(0o755)
    remove_tree(str(prefix / "share"))
    prefix.chmod(0o555)
    assert f"missing  prefix {prefix}/share" in hdist("verify", expect=8).stdout
    hdist("verify", "--repair")
    assert (prefix / "share/a").read_text() == "a\n"
