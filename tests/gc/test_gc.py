"""gc takes nothing that anything reaches, and nothing at all when it cannot tell."""

import dataclasses
import os
import shutil

import pytest
from support import package

from hashdist.checkout.switch import Checkout
from hashdist.errors import DamagedError
from hashdist.gc import plan as gc_plan, sweeping
from hashdist.gc.marking import members
from hashdist.gc.policy import Policy
from hashdist.objects.packed import Pack, pack_indexes
from hashdist.objects.spec import read_spec
from hashdist.refs import names
from hashdist.stack.editing import set_key
from hashdist.store.roots import in_use
from hashdist.verify.verifying import verify
from hashdist.workflow import branching, building, checkout as checkouts
from hashdist.workflow.commit import commit_file, edit
from hashdist.workflow.profile import find, read_profile


@pytest.fixture
def built(session, write):
    """Two packages on main, built and checked out; the prefix's path."""
    recorded = commit_file(session, write("stack.toml", package("a") + package("b", inputs='["a"]')), message="m")
    prefix = checkouts.ready(session, recorded.commit)
    Checkout(session.store).switch(recorded.commit, prefix, branch="refs/heads/main", reason="x")
    return prefix


def loose(store, id):
    return os.path.join(store.git, "objects", id[:2], id[2:])


@pytest.mark.parametrize("what", ["spec", "tree", "commit", "text"])
def test_a_missing_object_stops_it(session, built, write, what):
    """Whatever is missing on the way from a root: nothing is deleted, and the error says so."""
    store = session.store
    recorded = commit_file(session, write("x.toml", package("dead")), message="m", profile="other")
    building.build_commit(session, recorded.commit)
    with store.refs.transaction("x") as transaction:
        transaction.delete("refs/heads/other", old=store.refs["refs/heads/other"])
    tip = find(store, "main")
    victim = {
        "spec": read_profile(store.objects, tip).lock.specs["a"],
        "tree": store.objects.commit(tip).tree,
        "commit": tip,
        "text": store.objects.find(store.objects.commit(tip).tree, "stack.toml").id,
    }[what]
    os.unlink(loose(store, victim))
    fresh = type(store).open(store.path, identity=store.identity, clock=store.clock, search_path=store.search_path)
    before = store.refs.all()
    with pytest.raises(DamagedError, match="nothing was deleted"):
        sweeping.collect(fresh, Policy(grace=0))
    assert store.refs.all() == before
    assert os.listdir(store.inside("artifacts/dead/1"))


@pytest.mark.parametrize("policy", [Policy(), Policy(grace=0)])
def test_the_only_good_copy_stays(session, built, write, policy):
    """What a pack has damaged and a file of its own has whole is taken from the file, and no pack is made of damage."""
    store = session.store
    tip = find(store, "main")
    blob = store.objects.find(store.objects.commit(tip).tree, "stack.toml").id
    data = store.objects.blob(blob)
    sweeping.collect(store, Policy(grace=0))
    (index,) = pack_indexes(os.path.join(store.git, "objects", "pack"))
    offset = next(offset for offset, id in Pack(index).entries() if id == blob)
    os.chmod(f"{index[:-4]}.pack", 0o644)
    with open(f"{index[:-4]}.pack", "r+b") as file:
        file.seek(offset + 12)
        file.write(b"\xff\xff")
    store = store.reopened()
    with pytest.raises(DamagedError):
        store.objects.blob(blob)
    assert store.objects.add_blob(data) == blob
    assert os.path.exists(loose(store, blob))
    session = dataclasses.replace(session, store=store)
    edit(session, lambda text: set_key(text, "packages.b.env.X", "1"), message="e")
    commit_file(session, write("x.toml", package("dead")), message="m", profile="o")
    branching.delete_branch(store, "o", force=True)
    sweeping.collect(store.reopened(), policy)
    assert store.reopened().objects.blob(blob) == data


def test_damage_is_left_for_verify(session, built, write):
    """A pack with a damaged object is not written anew, nor is a damaged file packed; the dead artifacts go."""
    store = session.store
    tip = find(store, "main")
    building.build_commit(
        session, commit_file(session, write("x.toml", package("dead")), message="m", profile="o").commit
    )
    branching.delete_branch(store, "o", force=True)
    text = store.objects.find(store.objects.commit(tip).tree, "stack.toml").id
    path = loose(store, text)
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(30)
        file.write(b"\xff\xff")
    sweeping.collect(store, Policy(grace=0))
    assert os.path.isfile(path)
    assert not os.path.exists(store.inside("artifacts/dead"))


def test_prefixes_of_thinned_history(session, built):
    """Where old commits lose their artifacts their prefixes go, too: none is left whose links lead nowhere."""
    recorded = edit(session, lambda text: set_key(text, "packages.b.env.X", "1"), message="e")
    prefix = checkouts.ready(session, recorded.commit)
    Checkout(session.store).switch(recorded.commit, prefix, branch="refs/heads/main", reason="x")
    sweeping.collect(session.store, Policy(grace=0, keep_last=1))
    assert not os.path.exists(built)
    assert os.path.isdir(prefix)
    assert not verify(session.store).damage


def test_strangers_are_left_alone(session, built):
    """What is not ours stops nothing, and stays."""
    store = session.store
    strays = [
        store.inside(*parts) for parts in (("prefixes", "stray"), ("index", "prefix", "d"), ("index", "archive", "d"))
    ]
    for path in strays:
        os.makedirs(path)
    os.mkfifo(store.inside("index/prefix/fifo"))
    with open(store.inside("prefixes/file"), "w") as file:
        file.write("x")
    found = sweeping.collect(store, Policy(grace=0))
    assert all(map(os.path.isdir, strays))
    assert not found.prefixes


def test_what_is_said_of_objects(session, built, write):
    """What gc says goes of git's objects is what it says without doing it, and nothing afterwards."""
    store = session.store
    write("src/file", "much\n" * 1000)
    commit_file(session, write("x.toml", package("d", source='{ path = "src" }')), message="m", profile="o")
    branching.delete_branch(store, "o", force=True)
    planned = gc_plan.plan(store, Policy(grace=0)).object_bytes
    assert sweeping.collect(store, Policy(grace=0)).object_bytes == planned > 0
    assert gc_plan.plan(store.reopened(), Policy(grace=0)).object_bytes == 0


def test_brought_back_meanwhile(session, built, write, monkeypatch):
    """A profile that comes back while gc is at work is no error."""
    store = session.store
    commit_file(session, write("x.toml", package("d")), message="m", profile="o")
    branching.delete_branch(store, "o", force=True)
    whole = sweeping.plan

    def late(*arguments):
        found = whole(*arguments)
        for name in store.refs.all(names.UNDO):
            with store.refs.transaction("as if another machine") as transaction:
                transaction.delete(name, old=store.refs[name])
        return found

    monkeypatch.setattr(sweeping, "plan", late)
    sweeping.collect(store, Policy(grace=0))
    assert not store.refs.all(names.UNDO)


def test_a_profile_by_any_name_is_seen(session, write):
    """No name hides a profile from gc."""
    for number, name in enumerate(("keep.tmp-9", "x.lockx", "é", "a/b/c")):
        path = write(f"{number}.toml", package(f"p{number}"))
        building.build_commit(session, commit_file(session, path, message="m", profile=name).commit)
    sweeping.collect(session.store, Policy(grace=0))
    assert {f"p{number}" for number in range(4)} <= set(os.listdir(session.store.inside("artifacts")))
    assert len(session.store.refs.all(names.HEADS)) == 4


def test_a_link_alone_keeps_what_it_shows(session, built, write):
    """When refs have moved on and the link has not (a crash between), what the link shows stays."""
    store = session.store
    edit(session, lambda text: set_key(text, "packages.a.env.X", "1"), message="e")
    tip = find(store, "main")
    with store.refs.transaction("as if killed") as transaction:
        transaction.set(names.at_ref("current"), tip)
        transaction.update("refs/heads/main", tip, old=tip)
    shutil.rmtree(os.path.join(store.git, "logs"))
    with store.refs.transaction("rewind") as transaction:
        orphan = store.objects.add_commit(
            store.objects.commit(tip).tree, identity=store.author, time=1, message="no parents\n"
        )
        transaction.set("refs/heads/main", orphan)
        transaction.set(names.at_ref("current"), orphan)
    sweeping.collect(store, Policy(grace=0))
    assert all(os.path.isdir(store.artifacts.path(read_spec(store.objects, spec).artifact)) for spec in members(built))
    with open(f"{store.inside('current')}/share/a") as file:
        assert file.read() == "a\n"


def test_young_artifacts_keep_their_inputs(session, write, clock):
    """An unrecorded artifact that is young keeps what it was built with, however old that is."""
    from hashdist.workflow.commit import resolve_file

    one, two = package("lib"), package("lib") + package("use", inputs='["lib"]')
    for text in (one, two):
        building.build_lock(session, resolve_file(session, write("x.toml", text), text, before=None).lock, text=text)
        clock.now += 100
    sweeping.collect(session.store, Policy(grace=150))
    assert {"base", "lib", "use"} <= set(os.listdir(session.store.inside("artifacts")))
    clock.now += 100
    sweeping.collect(session.store, Policy(grace=150))
    assert os.listdir(session.store.inside("artifacts")) == ["base"]  # its scan is a root


def test_a_source_that_is_wanted_again_is_young(session, write, clock):
    """A source that was pinned long ago, and is pinned again by a running commit, stays."""
    store = session.store
    write("src/f", "x")
    tree = session.fetcher.pin(checkouts_source(write)).tree
    clock.now += 1000
    with in_use(store):
        session.fetcher.pin(checkouts_source(write))
        sweeping.collect(store, Policy(grace=0))
        assert tree in store.sources
    sweeping.collect(store, Policy(grace=0))
    assert tree not in store.sources


def checkouts_source(write):
    from hashdist.sources.declaration import PathSource

    return PathSource(os.path.dirname(write("src/f", "x")))


def test_an_old_object_that_is_named_again(session, built, write, git):
    """An unreachable object in a pack, which a running commit is about to name, is left alone."""
    store = session.store
    sweeping.collect(store, Policy(grace=0))
    gone = commit_file(session, write("other.toml", package("c", version='"9"')), message="m", profile="other")
    sweeping.collect(store, Policy(grace=0))
    with store.refs.transaction("x") as transaction:
        transaction.delete("refs/heads/other", old=gone.commit)
    with in_use(store):
        from hashdist.workflow.commit import resolve_file

        resolved = resolve_file(
            session, write("other.toml", package("c", version='"9"')), package("c", version='"9"'), before=None
        )
        sweeping.collect(store, Policy(grace=0))
        assert all(spec in store.objects for spec in resolved.specs.values())
        commit_file(session, write("other.toml", package("c", version='"9"')), message="m", profile="other")
    sweeping.collect(store, Policy(grace=0))
    assert "missing" not in git("fsck", "--full", "--strict")


def test_damaged_answers_are_not_believed(session, built):
    """An index file that a crash left empty is no answer."""
    from hashdist.build.nothing import all_sealed
    from hashdist.checkout.switch import known_prefix

    tip = find(session.store, "main")
    assert known_prefix(session.store, tip) == built
    for kind in ("prefix", "sealed"):
        with open(session.store.inside("index", kind, tip), "w"):
            pass
    assert known_prefix(session.store, tip) is None
    assert all_sealed(session.store, tip, strict=False) is None
    assert checkouts.ready(session, tip) == built


def test_a_copied_store_is_refused(session, built, tmp_path):
    """A store that was copied elsewhere works on neither: its artifacts have the old path baked in."""
    from hashdist.store.store import StoreMovedError

    shutil.copytree(session.store.path, tmp_path / "copy", symlinks=True)
    copy = type(session.store).open(str(tmp_path / "copy"), search_path=session.store.search_path)
    for verb in (lambda: sweeping.collect(copy, Policy(grace=0)), lambda: copy.artifacts, lambda: copy.durable):
        with pytest.raises(StoreMovedError, match="is a copy of the store at"):
            verb()
    assert os.path.isdir(built)
    (tmp_path / "link").symlink_to(session.store.path)
    assert (
        gc_plan.plan(
            type(session.store).open(str(tmp_path / "link"), search_path=session.store.search_path), Policy(grace=0)
        ).artifacts
        == []
    )
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)


def test_a_torn_reflog_is_mended(session, built, git):
    """Half a line that a crash left at the end of a reflog does not stop anything."""
    store = session.store
    with open(os.path.join(store.git, "logs/refs/heads/main"), "a") as file:
        file.write("0123 half a li")
    edit(session, lambda text: set_key(text, "packages.a.env.X", "1"), message="e")
    sweeping.collect(store, Policy(grace=0))
    assert [entry.reason for entry in store.refs.reflog("refs/heads/main")] == ["commit: e", "commit: m"]


def test_a_stack_without_packages(session, write):
    """A profile that names nothing is a profile."""
    recorded = commit_file(session, write("stack.toml", "# nothing yet\n"), message="m")
    assert os.path.isdir(checkouts.ready(session, recorded.commit))
    sweeping.collect(session.store, Policy(grace=0))
    assert find(session.store, "main") == recorded.commit
