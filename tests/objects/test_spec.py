"""Specs, ids, layouts and manifests."""

import os

import pytest
from hypothesis import given, strategies as st

from hashdist.errors import InvalidError
from hashdist.objects import manifest
from hashdist.objects.artifact_id import ArtifactId, check_name
from hashdist.objects.ids import CommitId, SourceId, SpecId
from hashdist.objects.layout import Layout
from hashdist.objects.manifest import ManifestEntry
from hashdist.objects.spec import HostPart, InvalidSpecError, Platform, Spec, from_json, read_sources, read_spec
from hashdist.objects.tree import Entry, Mode

LINUX = Platform("linux", "x86_64", "x86-64")
ID = "0123456789abcdef0123456789abcdef01234567"


def lz4(**changes):
    fields = {
        "commands": ("make",),
        "env": {"CFLAGS": "-O2"},
        "sources": {".": SourceId(ID)},
        "inputs": {"gcc": SpecId(ID)},
    }
    return Spec("lz4", "1.9", LINUX, runner=1, **{**fields, **changes})


def test_golden_id():
    """The id of a spec never changes."""
    assert lz4(files={"a.patch": b"x"}).id == "4521673b80890394d6fd0188bea01b4d1411aea5"


def test_written_id_is_computed_id(store):
    """The id computed without a database is the tree's, and what is read back is equal."""
    for spec in (
        lz4(files={"a.patch": b"x"}),
        Spec("gcc", "12", LINUX, host=HostPart("toolchain", "content", {}), manifest=b"m\n"),
    ):
        assert spec.write(store.objects) == spec.id
        assert read_spec(store.objects, spec.id) == spec
        assert read_sources(store.objects, spec.id) == tuple(spec.sources.values())


def test_sources_of_what_is_no_spec(store):
    """Whoever only wants the sources is told, too, that there is no spec."""
    blob = store.objects.add_blob(b'["no document"]')
    for entries in ([], [Entry(b"build.json", Mode.FILE, blob)]):
        with pytest.raises(InvalidSpecError):
            read_sources(store.objects, store.objects.add_tree(entries))


@pytest.mark.parametrize(
    "changes",
    [
        {"commands": ("make ",)},
        {"env": {"CFLAGS": "-O3"}},
        {"inputs": {"gcc": SpecId(ID[::-1])}},
        {"sources": {"src": SourceId(ID)}},
        {"files": {"a": b""}},
        {"runner": 2},
        {"platform": Platform("linux", "x86_64", "x86-64-v3")},
    ],
)
def test_every_part_counts(changes):
    """Change any part of a spec and it is another one."""
    fields = {
        "commands": ("make",),
        "env": {"CFLAGS": "-O2"},
        "sources": {".": SourceId(ID)},
        "inputs": {"gcc": SpecId(ID)},
    }
    fields = {"name": "lz4", "version": "1.9", "platform": LINUX, "runner": 1, **fields, **changes}
    assert Spec(**fields).id != lz4().id


@pytest.mark.parametrize("name", ["", "../x", "-rf", "x" * 300, "a/b", "a b", ".x", "a..b", "x.lock", "é", "x."])
def test_bad_names(name):
    """Names that would be paths, options or broken refs do not exist."""
    with pytest.raises(InvalidError):
        check_name(name)
    with pytest.raises(InvalidError):
        lz4(inputs={name: SpecId(ID)})


def test_bad_documents():
    """Unknown keys, missing keys and wrong types in a build.json are refused."""
    good = lz4().to_json()
    assert from_json(good, files={}) == lz4()
    for bad in (
        {**good, "x": 1},
        {**good, "format": 2},
        {**good, "env": {"a": 1}},
        {**good, "commands": [1]},
        [],
        {"format": 1},
    ):
        with pytest.raises(InvalidSpecError):
            from_json(bad, files={})


def test_ids():
    """Ids are 40 hex digits; an artifact's text is its parser's."""
    for bad in ("", "xyz", ID[:39], ID.upper(), ID + "0"):
        with pytest.raises(InvalidError):
            CommitId(bad)
    assert ArtifactId.parse(f"numpy/1.7/{ID}") == ArtifactId("numpy", "1.7", SpecId(ID))
    for bad in ("numpy", f"numpy/{ID}", f"../1/{ID}", f"a/b/c/{ID}"):
        with pytest.raises(InvalidError):
            ArtifactId.parse(bad)


def test_layouts():
    """The pattern gives the path; ':' in versions is escaped; patterns that could clash or lead out do not exist."""
    artifact = ArtifactId("numpy", "1:1.7", SpecId(ID))
    assert Layout().path(artifact) == "numpy/1_1.7/0123456789ab"
    assert Layout("{hash:20}-{name}").path(artifact) == "0123456789abcdef0123-numpy"
    assert Layout("{hash}").depth == 1
    for bad in (
        "{name}",
        "{hash:8}",
        "../{hash}",
        "/{hash}",
        "{name}//{hash}",
        "{foo}{hash}",
        "{hash:41}",
        "a b{hash}",
    ):
        with pytest.raises(InvalidError):
            Layout(bad)


@given(st.lists(st.tuples(st.binary(min_size=1), st.none() | st.binary()), unique_by=lambda pair: pair[0]))
def test_manifest_round_trip(pairs):
    """Any name and any target survive a manifest, a line each."""
    entries = [
        ManifestEntry(path, Mode.SYMLINK if target is not None else Mode.FILE, 3, "0" * 64, target)
        for path, target in pairs
    ]
    data = manifest.encode(entries)
    assert sorted(manifest.decode(data), key=lambda entry: entry.path) == sorted(entries, key=lambda entry: entry.path)
    assert data.count(b"\n") == len(entries)


def test_manifest_of_a_directory(tmp_path):
    """A scan lists files with hash and size, directories and links."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("abc")
    (tmp_path / "l").symlink_to("d/f")
    assert manifest.encode(manifest.scan(str(tmp_path))).decode().splitlines() == [
        "040000\t-\t-\td",
        "100644\tba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\t3\td/f",
        "040000\t-\t-\thome",
        "120000\t-\t-\tl\td/f",
    ]
    os.mkfifo(tmp_path / "p")
    with pytest.raises(InvalidError):
        list(manifest.scan(str(tmp_path)))
