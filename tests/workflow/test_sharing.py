"""A store above another, a store of a group, names of things, and reasons: the library in one process."""

import dataclasses
import os
import pathlib
import shutil

import pytest
from support import package

from hashdist import Store
from hashdist.checkout.switch import Checkout
from hashdist.errors import ConflictError, InvalidError, NotFoundError
from hashdist.fsutil.removal import remove_tree
from hashdist.gc.marking import mark
from hashdist.gc.policy import Policy
from hashdist.gc.reasons import why, words
from hashdist.gc.sweeping import collect
from hashdist.objects.spec import read_spec
from hashdist.store.making import init_store
from hashdist.store.readers import drop_pin, pins
from hashdist.store.store import UpstreamError
from hashdist.workflow import branching, building, checkout as checkouts, hosts, keeping
from hashdist.workflow.commit import commit_file
from hashdist.workflow.naming import find_thing
from hashdist.workflow.prefixes import find_prefix, words_of_gone
from hashdist.workflow.profile import find, read_profile
from hashdist.workflow.verifying import verify_store


@pytest.fixture
def above(session, write):
    """A store with a profile that is built and checked out, and a source of its own."""
    write("src/file", "x\n")
    text = package("a", source='{ path = "src" }') + package("b", inputs='["a"]')
    recorded = commit_file(session, write("stack.toml", text), message="m")
    prefix = checkouts.ready(session, recorded.commit)
    Checkout(session.store).switch(recorded.commit, prefix, branch="refs/heads/main", reason="x")
    return session


@pytest.fixture
def below(above, tmp_path, clock):
    """A reader of it."""
    path = str(tmp_path / "reader")
    init_store(path, durability="fast", upstream=above.store.path)
    store = Store.open(path, identity=above.store.identity, clock=clock, search_path=os.environ["PATH"])
    yield dataclasses.replace(above, store=store)
    remove_tree(path)


def test_a_reader(above, below, write):
    """A reader finds profiles, objects, artifacts, sources and prefixes upstream, and adds what is new here."""
    store = below.store
    tip = find(store, "main")
    assert tip == find(above.store, "main")
    with pytest.raises(NotFoundError):
        find(store, "nothing")
    spec = read_profile(store.objects, tip).lock.specs["a"]
    artifact = read_spec(store.objects, spec).artifact
    assert artifact in store.artifacts
    assert store.artifacts.path(artifact).startswith(above.store.path)
    assert store.artifacts.record(spec) == above.store.artifacts.record(spec)
    assert store.artifacts.find("a") == [artifact]
    (source,) = above.store.sources.all()
    assert source in store.sources
    assert store.sources.find(source[:8]) == source
    assert store.sources.seen(source) == above.store.sources.seen(source)
    blob = store.objects.find(source, "file").id
    assert store.objects.blob(blob) == b"x\n"
    assert store.objects.size(blob) == 2
    assert store.objects.kind(blob) == "blob"
    assert b"".join(store.objects.blob_chunks(blob)) == b"x\n"
    assert store.objects.expand(blob[:12]) == blob
    assert not store.objects.has_own(blob)
    prefix = checkouts.ready(below, tip)
    assert prefix.startswith(above.store.path)
    checkout = Checkout(store)
    checkout.switch(tip, prefix, branch=None, reason="x")
    assert checkout.commit == tip
    assert store.objects.has_own(tip), "what a ref of ours names is here"
    text = package("a", source='{ path = "src" }') + package(
        "c", "mkdir -p $PREFIX; ln -s $A_DIR/share $PREFIX/link", inputs='["a"]'
    )
    mine = commit_file(below, write("mine.toml", text), message="m", profile="mine").commit
    assert building.build_commit(below, mine).report.built == ["c"]
    assert {read_spec(store.objects, one).name for one, _ in store.artifacts.all()} == {"c"}
    mixed = checkouts.ready(below, mine)
    assert mixed.startswith(store.path)
    assert verify_store(below).damage == []
    with pytest.raises(ConflictError, match="upstream"):
        keeping.pin(store, "a", None)
    assert find_thing(store, store.artifacts.path(artifact)) == spec


def test_what_is_gone(above, below, write, clock):
    """What a reader's pins name stays; without them what goes is named, and what refers to it is built again."""
    store = below.store
    text = package("a", source='{ path = "src" }') + package(
        "c", "mkdir -p $PREFIX; ln -s $A_DIR/share $PREFIX/link", inputs='["a"]'
    )
    mine = commit_file(below, write("mine.toml", text), message="m", profile="mine").commit
    prefix = checkouts.ready(below, mine)
    os.mkdir(above.store.inside("pins.d"))
    checkout = Checkout(store)
    checkout.switch(mine, prefix, branch="refs/heads/mine", reason="x")
    checkouts.keep_upstream(below, checkout, mine)
    (pin,) = pins(above.store)
    assert pin.store == store.path
    other = commit_file(above, write("other.toml", package("x")), message="m", profile="other").commit
    Checkout(above.store).switch(other, checkouts.ready(above, other), branch="refs/heads/other", reason="x")
    branching.delete_branch(above.store, "main", force=True)
    clock.now += 1
    collect(above.store, Policy(grace=0))
    assert verify_store(below).damage == []
    drop_pin(store, checkout.name)
    assert list(pins(above.store)) == []
    collect(above.store, Policy(grace=0))
    fresh = dataclasses.replace(below, store=store.reopened())
    assert {one.what for one in verify_store(fresh).damage} >= {"artifact"}
    assert above.store.path in words_of_gone(fresh.store, mine)
    assert sorted(building.build_commit(fresh, mine).report.built) == ["a", "c"]
    again = checkouts.ready(fresh, mine)
    assert again != prefix
    Checkout(fresh.store).switch(mine, again, branch="refs/heads/mine", reason="x")
    assert find_prefix(fresh, None).path == again
    assert verify_store(fresh).damage == []


def test_no_upstream_there(below, above):
    """An upstream that is not there, or leads back here, is said."""
    path = below.store.inside("config.toml")
    with open(path) as file:
        text = file.read()
    for wrong in ("/nowhere", below.store.path):
        with open(path, "w") as file:
            file.write(text.replace(above.store.path, wrong))
        with pytest.raises(UpstreamError):
            below.store.reopened().upstream  # noqa: B018 - it is asked for


def test_a_group(tmp_path, write, session):
    """In a store of a group all that is made can be changed by the group, but for the files of artifacts."""
    path = str(tmp_path / "group")
    before = os.umask(0o077)
    try:
        init_store(path, durability="fast", group=str(os.getgid()), shared=True)
        inside = dataclasses.replace(session, store=Store.open(path, search_path=os.environ["PATH"]))
        tip = commit_file(inside, write("stack.toml", package("a")), message="m").commit
        prefix = checkouts.ready(inside, tip)
        assert os.stat(prefix).st_mode & 0o7777 == 0o2775
        assert os.stat(f"{path}/git/refs/heads/main").st_mode & 0o777 == 0o664
        assert os.stat(os.path.realpath(f"{prefix}/share/a")).st_mode & 0o777 == 0o444
        assert verify_store(inside).damage == []
        collect(inside.store, Policy(grace=0))
        with pytest.raises(InvalidError, match="no group"):
            init_store(str(tmp_path / "no"), group="no-such-group", shared=True)
    finally:
        os.umask(before)
        remove_tree(path)


def test_names_and_reasons(above, tmp_path):
    """Things are found by path, name, digits or revision, and why they stay is told in words."""
    store = above.store
    tip = find(store, "main")
    spec = read_profile(store.objects, tip).lock.specs["b"]
    path = store.artifacts.path(read_spec(store.objects, spec).artifact)
    prefix = os.path.basename(os.path.realpath(store.inside("current")))
    (source,) = store.sources.all()
    assert find_thing(store, f"{path}/share/b") == spec
    assert find_thing(store, "b") == find_thing(store, spec[:10]) == spec
    assert find_thing(store, prefix) == find_thing(store, store.inside("prefixes", prefix)) == prefix
    assert find_thing(store, source) == source
    assert find_thing(store, "main") == tip
    with pytest.raises(NotFoundError, match="no artifact, source"):
        find_thing(store, "nothing")
    alive = mark(store, Policy())
    for thing, last in ((spec, "artifact b/1/"), (tip, "commit "), (source, "source "), (prefix, "prefix ")):
        chain = why(alive, thing)
        said = [words(store, link) for link in chain]
        assert said[-1].startswith(last)
    assert keeping.pin(store, source, None)[0] == f"source-{source[:12]}"
    with pytest.raises(InvalidError, match="prefix"):
        keeping.pin(store, prefix, None)
    with pytest.raises(ConflictError, match="something else"):
        keeping.pin(store, "main", f"source-{source[:12]}")


def test_history_of_a_name_upstream(above, below):
    """Who goes too far back from a name upstream is told so, and not that there is no such name."""
    assert find(below.store, "main") == find(above.store, "main")
    with pytest.raises(NotFoundError, match="history does not go back as far as 'main~9'"):
        find(below.store, "main~9")
    with pytest.raises(NotFoundError, match="no profile, tag or commit named 'other'"):
        find(below.store, "other~1")


def test_a_host_scan_upstream(above, below, write, tmp_path):
    """What a profile upstream takes from the host is compared with the scan upstream."""
    tool = pathlib.Path(write("tool", "#!/bin/sh\necho 1\n"))
    tool.chmod(0o755)
    head = f'[host]\ntool = "path:{tool}"\n'
    tip = commit_file(above, write("host.toml", head + package("c", inputs='["tool"]')), message="m").commit
    checked = hosts.check(below, tip)
    assert (checked.drifts, checked.unknown) == ((), ())
    tool.write_text("#!/bin/sh\necho 2\n")
    checked = hosts.check(dataclasses.replace(below, store=below.store.reopened()), tip)
    assert [drift.name for drift in checked.drifts] == ["tool"]
    assert checked.unknown == ()


def test_a_prefix_with_gaps(above):
    """What a prefix would hold and does not is missed; one that cannot be read is told by itself."""
    prefix = os.path.realpath(above.store.inside("current"))
    os.chmod(prefix, 0o755)
    os.unlink(f"{prefix}/bin/activate")
    remove_tree(f"{prefix}/share")
    missing = {one.path for one in verify_store(above).damage}
    assert f"{prefix}/share" in missing
    shutil.rmtree(above.store.inside("trash"), ignore_errors=True)
    os.mkdir(above.store.inside("trash"))
    os.chmod(f"{prefix}/.hashdist.json", 0o644)
    with open(f"{prefix}/.hashdist.json", "w") as file:
        file.write("{")
    assert "does not say" in " ".join(one.words for one in verify_store(above).damage)
