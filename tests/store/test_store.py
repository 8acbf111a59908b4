"""Stores are made whole, and only stores of a known format are opened."""

import json
import os

import pytest

from hashdist import Store
from hashdist.errors import ConflictError, DamagedError, InvalidError
from hashdist.fsutil import holders
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import SpecId
from hashdist.store.making import init_store
from hashdist.store.roots import Running, assume_dead, in_use, running
from hashdist.store.store import NotAStoreError, UnsupportedFormatError


def test_init_twice(tmp_path):
    """A second init leaves the store as it is."""
    assert init_store(str(tmp_path / "s"), pattern="{name}-{hash:16}")
    assert not init_store(str(tmp_path / "s"))
    store = Store.open(str(tmp_path / "s"))
    path = store.artifacts.path(ArtifactId("a", "1", SpecId("ab" * 20)))
    assert path == f"{tmp_path}/s/artifacts/a-abababababababab"


def test_what_is_not_a_store(tmp_path):
    """Nothing, a file, another directory, and a store from the future are refused, and left alone."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("mine")
    for path in ("nothing", "other", "other/file"):
        with pytest.raises(NotAStoreError):
            Store.open(str(tmp_path / path))
    with pytest.raises(ConflictError):
        init_store(str(tmp_path / "other"))
    init_store(str(tmp_path / "s"))
    (tmp_path / "s/format").write_text("99\n")
    with pytest.raises(UnsupportedFormatError, match="99"):
        Store.open(str(tmp_path / "s"))
    assert os.listdir(tmp_path / "other") == ["file"]


@pytest.mark.parametrize("options", [{"pattern": "{name}"}, {"pattern": "{hash:4}"}, {"durability": "some"}])
def test_bad_settings(tmp_path, options):
    """A pattern that cannot tell artifacts apart makes no store."""
    with pytest.raises(InvalidError):
        init_store(str(tmp_path / "s"), **options)
    assert not os.path.exists(tmp_path / "s")


def test_spaces_in_the_path(tmp_path):
    """A store below a directory with a space would break every configure script: refused at once."""
    with pytest.raises(InvalidError, match="spaces"):
        init_store(str(tmp_path / "my store"))


def test_damaged_config(tmp_path):
    """A config.toml that cannot be read is named."""
    init_store(str(tmp_path / "s"))
    (tmp_path / "s/config.toml").write_text("path = ")
    with pytest.raises(DamagedError, match=r"config\.toml"):
        Store.open(str(tmp_path / "s")).config  # noqa: B018 - read when asked for


def test_sources_have_the_same_ref_everywhere(tmp_path):
    """Two stores give a source the same commit."""
    commits = []
    for name in ("one", "two"):
        init_store(str(tmp_path / name))
        store = Store.open(str(tmp_path / name))
        source = store.sources.keep(store.objects.add_files({"a": b"x"}), reason="x")
        commits.append(store.refs[f"refs/sources/{source}"])
        assert store.sources.all() == [source]
    assert commits[0] == commits[1]


def test_roots_of_running_commands(store, clock):
    """What a command uses is a root while it runs, and not after it; a file left by a crash does not count."""
    spec = SpecId("ab" * 20)
    nothing = Running(frozenset(), None)
    with in_use(store, [spec], purpose="one"):
        clock.now += 5
        with in_use(store, purpose="two"):
            found = running(store)
            assert (found.specs, found.since) == ({spec}, int(clock.now) - 5)
            assert sorted(holder.purpose for holder in found.holders) == ["one", "two"]
    assert running(store) == nothing

    def leave(name, **fields):
        holder = holders.me("x", since=7, lease=100)._replace(**fields)
        with open(store.inside("roots", name), "w") as file:
            json.dump({"holder": holder.line(), "specs": [spec]}, file)
        os.utime(store.inside("roots", name), (clock.now - 50, clock.now - 50))

    leave("dead", started="12")
    leave("other-start-of-this-machine", boot="x")
    leave("half.tmp-x", host="h")
    assert running(store, drop_stale=True) == nothing
    assert not os.listdir(store.inside("roots"))
    leave("elsewhere", host="another-host", boot="x")
    leave("container-here", space="pid:[1]")
    assert running(store, drop_stale=True).specs == {spec}
    assert len(running(store).holders) == 2
    clock.now += 100  # both leases are over
    assert running(store, drop_stale=True) == nothing
    leave("elsewhere", host="another-host", boot="x")
    assert len(assume_dead(store, "another-host")) == 1
    assert running(store) == nothing


def test_a_root_that_cannot_be_read(store):
    """A root that nobody can read stops gc: it could name anything."""
    with in_use(store):
        (name,) = os.listdir(store.inside("roots"))
        with open(store.inside("roots", name), "w") as file:
            file.write("{")
        with pytest.raises(DamagedError, match="roots"):
            running(store)
