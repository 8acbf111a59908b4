"""Objects are found and read without libgit2, and by it where that cannot be: in files of their own, in packs, as deltas."""

import itertools
import os
import random
import resource
import subprocess
import tempfile

import pytest
from hypothesis import given, strategies as st

from hashdist.errors import DamagedError
from hashdist.gc.policy import Policy
from hashdist.gc.sweeping import collect
from hashdist.objects import libgit2
from hashdist.objects.commits import NOBODY
from hashdist.objects.database import ObjectDatabase, object_id
from hashdist.objects.deltas import apply_delta
from hashdist.objects.directory import import_directory
from hashdist.objects.exporting import export_tree
from hashdist.objects.ids import ObjectId
from hashdist.objects.loose import LooseObjects
from hashdist.objects.pack import PackWriter, pack_objects
from hashdist.objects.packed import PackedReader
from hashdist.objects.snapshot import snapshot


def git(store, *arguments, stdin=None):
    return subprocess.run(
        ["git", "--git-dir", store.git, *arguments], input=stdin, check=True, capture_output=True
    ).stdout.decode()


def write_pack(store, contents):
    writer = PackWriter(os.path.join(store.git, "objects/pack"))
    batch = pack_objects(b"blob", contents, lambda _: False)
    writer.write(batch)
    writer.publish()
    return [ObjectId.of(id) for id, _, _ in batch.objects]


def test_loose_objects_are_what_git_reads_and_writes(store):
    """What we write git reads, what git writes we read, of every type."""
    loose = LooseObjects(os.path.join(store.git, "objects"))
    for data in (b"", b"x", b"y" * 100_000):
        id = loose.write("blob", data)
        assert id == object_id("blob", data)
        assert git(store, "cat-file", "blob", id).encode() == data
        assert loose.read(id) == ("blob", data)
    blob = git(store, "hash-object", "-w", "--stdin", stdin=b"from git").strip()
    assert loose.read(ObjectId(blob)) == ("blob", b"from git")
    tree = store.objects.add_files({"a": b"1"})
    commit = store.objects.add_commit(tree, identity=NOBODY, time=1, message="m")
    assert git(store, "cat-file", "-t", commit) == "commit\n"
    assert store.objects.commit(commit).tree == tree
    git(store, "fsck", "--full", "--strict")


def test_writing_a_damaged_object_again_heals_it(store):
    """An object that a power loss left empty is written anew, which libgit2 would not do."""
    loose = LooseObjects(os.path.join(store.git, "objects"))
    id = loose.write("blob", b"data")
    path = os.path.join(store.git, "objects", id[:2], id[2:])
    os.chmod(path, 0o644)
    with open(path, "wb"):
        pass
    with pytest.raises(DamagedError):
        ObjectDatabase(store.git).blob(id)
    assert loose.write("blob", b"data") == id
    assert ObjectDatabase(store.git).blob(id) == b"data"


def test_writing_an_object_again_makes_it_young(store):
    """What is written again is as young as what is new: git prune goes by it."""
    loose = LooseObjects(os.path.join(store.git, "objects"))
    id = loose.write("blob", b"data")
    path = os.path.join(store.git, "objects", id[:2], id[2:])
    os.utime(path, (1, 1))
    loose.write("blob", b"data")
    assert os.stat(path).st_mtime > 1


@pytest.mark.parametrize("count", [1, 3, 20_000])
def test_every_object_of_a_pack_is_found(store, count):
    """Each name is found at its place, and no other; also where an index has many names of one first byte."""
    ids = write_pack(store, [b"%d" % number for number in range(count)])
    packs = PackedReader(os.path.join(store.git, "objects/pack"))
    chance = random.Random(1)
    for id in chance.sample(ids, min(count, 500)):
        assert packs.has(id.raw)
        found = packs.find(id)
        assert found.kind == "blob"
        assert object_id("blob", found.read()) == id
    for _ in range(500):
        assert not packs.has(chance.randbytes(20))


def test_a_name_across_two_others_is_no_name(store):
    """The end of one name and the beginning of the next are not taken for an object."""
    ids = sorted(id.raw for id in write_pack(store, [b"%d" % number for number in range(5000)]))
    packs = PackedReader(os.path.join(store.git, "objects/pack"))
    for one, two in itertools.pairwise(ids):
        for cut in range(1, 20):
            across = one[cut:] + two[:cut]
            assert packs.has(across) == (across in ids)


def test_deltas_are_known_and_read(store):
    """After git has repacked, all is known still, and what became a delta is read by libgit2."""
    lines = [b"line %d\n" % number for number in range(2000)]
    ids = write_pack(store, [b"".join(lines[:-number] if number else lines) for number in range(20)])
    tree = store.objects.add_nested({f"f{number}": _entry(id) for number, id in enumerate(ids)})
    commit = store.objects.add_commit(tree, identity=NOBODY, time=1, message="m")
    with store.refs.transaction("test") as transaction:
        transaction.set("refs/tags/x", commit)
    git(store, "repack", "-a", "-d", "-f", "-q")
    packs = PackedReader(os.path.join(store.git, "objects/pack"))
    assert any(packs.find(id) is None for id in ids), "git made no delta"
    known = snapshot(os.path.join(store.git, "objects"))
    objects = ObjectDatabase(store.git)
    for id in ids:
        assert known(id.raw)
        assert object_id("blob", objects.blob(id)) == id


def _entry(id):
    from hashdist.objects.tree import Entry, Mode

    return Entry(b"x", Mode.FILE, id)


def test_many_packs(store, monkeypatch):
    """With many packs libgit2 is asked, and says the same."""
    asked = []
    real = libgit2.tester
    monkeypatch.setattr(libgit2, "tester", lambda objects: asked.append(objects) or real(objects))
    ids = [write_pack(store, [b"%d" % number])[0] for number in range(20)]
    loose = store.objects.add_blob(b"loose")
    known = snapshot(os.path.join(store.git, "objects"))
    assert asked
    assert all(known(id.raw) for id in [*ids, loose])
    assert not known(b"\1" * 20)
    assert not known(loose.raw[:1] + b"\1" * 19)


def test_a_damaged_pack_is_seen(store):
    """A flipped bit in a pack is an error, and not other bytes."""
    (id,) = write_pack(store, [b"some text " * 100])
    (pack,) = (name for name in os.listdir(os.path.join(store.git, "objects/pack")) if name.endswith(".pack"))
    path = os.path.join(store.git, "objects/pack", pack)
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(30)
        byte = file.read(1)
        file.seek(30)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(DamagedError):
        ObjectDatabase(store.git).blob(id)


def only_pack(store, ending):
    folder = os.path.join(store.git, "objects/pack")
    (name,) = (name for name in os.listdir(folder) if name.endswith(ending))
    path = os.path.join(folder, name)
    os.chmod(path, 0o644)
    return path


@pytest.mark.parametrize("spoil", [os.unlink, lambda path: os.truncate(path, os.path.getsize(path) - 5)])
def test_an_index_without_its_pack_says_nothing(store, tmp_path, spoil):
    """When a pack has gone, or was cut short, what it had is stored again, and is there then."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_text("x" * 1000)
    tree = import_directory(store.objects, str(tmp_path / "in"))
    spoil(only_pack(store, ".pack"))
    objects = ObjectDatabase(store.git)
    assert import_directory(objects, str(tmp_path / "in")) == tree
    export_tree(ObjectDatabase(store.git), tree, str(tmp_path / "out"), mtime=1)
    assert (tmp_path / "out/file").read_text() == "x" * 1000


def test_an_emptied_loose_object_is_stored_again(store, tmp_path):
    """What a power loss left empty does not count as here when a directory with that file is imported."""
    id = store.objects.add_blob(b"data")
    path = os.path.join(store.git, "objects", id[:2], id[2:])
    os.chmod(path, 0o644)
    os.truncate(path, 0)
    os.mkdir(os.path.join(store.git, "objects/zz"))  # not of git, and in nobody's way
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_bytes(b"data")
    tree = import_directory(ObjectDatabase(store.git), str(tmp_path / "in"))
    export_tree(ObjectDatabase(store.git), tree, str(tmp_path / "out"), mtime=1)
    assert (tmp_path / "out/file").read_bytes() == b"data"


@pytest.mark.parametrize("header", [b"\xb5" + b"\xff" * 8 + b"\x7f", b"\xb5" + b"\xff" * 5 + b"\x7f"])
def test_a_damaged_size_is_seen(store, header):
    """A size that no memory holds is damage, whatever it makes the libraries raise."""
    (id,) = write_pack(store, [os.urandom(1000)])
    with open(only_pack(store, ".pack"), "r+b") as file:
        file.seek(12)
        file.write(header)
    with pytest.raises(DamagedError):
        ObjectDatabase(store.git).blob(id)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two people")
def test_another_persons_object_is_made_young(store):
    """In a store of several people an old object of somebody else's is as young as a new one, for git prune."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        loose = LooseObjects(folder)
        id = loose.write("blob", b"data")
        path = os.path.join(folder, id[:2], id[2:])
        os.utime(path, (1, 1))
        os.chmod(os.path.dirname(path), 0o777)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.setuid(65534)
                status = int(LooseObjects(folder).write("blob", b"data") != id)
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        assert os.stat(path).st_mtime > 1
        assert loose.read(id) == ("blob", b"data")


def test_more_packs_than_files_may_be_open(store, tmp_path):
    """A store of very many packs is read with few descriptors, its oldest pack included, and gc makes one of them."""
    (tmp_path / "in").mkdir()
    for number in range(30):
        (tmp_path / f"in/{number}").write_text(str(number) * 100)
    tree = import_directory(store.objects, str(tmp_path / "in"))
    for number in range(300):
        write_pack(store, [b"pack %d" % number])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200 + len(os.listdir("/proc/self/fd")), hard))
    try:
        objects = ObjectDatabase(store.git)
        export_tree(objects, tree, str(tmp_path / "out"), mtime=1)
        assert objects.packed.find(ObjectId(tree)) is not None, "the pack of what is exported is looked into"
        assert import_directory(objects, str(tmp_path / "in")) == tree
        id = store.sources.keep(tree, reason="test")
        collect(store, Policy(grace=14 * 24 * 3600))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sum(name.endswith(".pack") for name in os.listdir(os.path.join(store.git, "objects/pack"))) == 1
    assert store.objects.tree(id)


def test_a_damaged_index_is_passed_over(store):
    """An index that is no index is left to libgit2; what it had is stored again."""
    write_pack(store, [b"data"])
    folder = os.path.join(store.git, "objects/pack")
    (index,) = (name for name in os.listdir(folder) if name.endswith(".idx"))
    os.chmod(os.path.join(folder, index), 0o644)
    with open(os.path.join(folder, index), "wb") as file:
        file.write(b"nonsense")
    assert len(PackedReader(folder)) == 0
    assert not snapshot(os.path.join(store.git, "objects"))(object_id("blob", b"data").raw)


@pytest.mark.parametrize("way", [[], ["--delta-base-offset"]], ids=["by id", "by distance"])
def test_deltas_are_read_without_libgit2(store, way):
    """Chains of deltas as git makes them are read as git reads them, in both of their forms."""
    chance = random.Random(1)
    text = [f"line {number} {chance.random()}\n" for number in range(3000)]
    blobs = []
    for number in range(40):
        text[chance.randrange(len(text))] = f"changed {number}\n"
        blobs.append(store.objects.add_blob("".join(text).encode()))
    folder = os.path.join(store.git, "objects", "pack")
    names = "".join(f"{blob}\n" for blob in blobs).encode()
    git(store, "pack-objects", "--depth=60", "--window=50", *way, os.path.join(folder, "pack"), stdin=names)
    reader = PackedReader(folder)
    whole = [blob for blob in blobs if reader.find(blob) is not None]
    assert len(whole) < len(blobs) / 2
    for blob in blobs:
        assert reader.read(blob) == store.objects.find_raw(blob)


def test_damage_in_a_chain_of_deltas_is_never_read(store):
    """With any byte of a pack changed, what is read is right, or is not read."""
    text = bytes(random.Random(2).randbytes(2000))
    blobs = [store.objects.add_blob(text[:place] + b"changed" + text[place:]) for place in range(0, 500, 100)]
    folder = os.path.join(store.git, "objects", "pack")
    names = "".join(f"{blob}\n" for blob in blobs).encode()
    git(store, "pack-objects", os.path.join(folder, "pack"), stdin=names)
    right = {blob: ("blob", store.objects.blob(blob)) for blob in blobs}
    (pack,) = (os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".pack"))
    with open(pack, "rb") as file:
        data = file.read()
    os.chmod(pack, 0o644)
    missed = 0
    for place in range(12, len(data) - 20, 7):
        with open(pack, "wb") as file:
            file.write(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        reader = PackedReader(folder)
        found = {blob: reader.read(blob) for blob in blobs}
        assert all(one is None or one == right[blob] for blob, one in found.items())
        missed += any(one is None for one in found.values())
    assert missed > 100


def test_sizes_that_nothing_has():
    """A size that goes on for ever is refused at once, though git takes it."""
    with pytest.raises(ValueError, match="size that nothing has"):
        apply_delta(b"x", b"\x81" + b"\x80" * 1_000_000 + b"\x00\x01", limit=10)


@given(base=st.binary(max_size=200), delta=st.binary(max_size=60))
def test_any_delta_makes_what_it_says_or_is_refused(base, delta):
    """Bytes that are no delta are told as such, and nothing makes more than is allowed."""
    try:
        made = apply_delta(base, delta, limit=1000)
    except ValueError:
        return
    assert len(made) <= 1000
