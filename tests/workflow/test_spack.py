"""Spack's environments as profiles, and host software as its externals.

The lockfiles have the forms that Spack wrote from version to version; the install tree has real programs, at paths of
Spack's own.
"""

import json
import os
import shutil
import subprocess

import pytest
import yaml
from spack_environments import CMAKE, LIBRARY, TOOL, environment, install_tree, lockfile, nodes

from hashdist.errors import ConflictError, InvalidError, NotFoundError
from hashdist.objects.spec import read_spec
from hashdist.refs import names
from hashdist.stack.packages import HostEntry
from hashdist.workflow.checkout import ready
from hashdist.workflow.export.archive import export_tar
from hashdist.workflow.hosts import scan_host
from hashdist.workflow.profile import find, read_profile
from hashdist.workflow.recording import NothingChangedError
from hashdist.workflow.spack.environments import commit_environment
from hashdist.workflow.spack.externals import as_yaml, externals
from hashdist.workflow.spack.lockfile import read_lockfile


@pytest.fixture
def tree(tmp_path):
    """An install tree that grows."""
    return install_tree(tmp_path)


@pytest.mark.parametrize("version", range(1, 7))
def test_lockfiles_of_all_versions_are_read_alike(tmp_path, version):
    found = read_lockfile(environment(tmp_path, nodes(), version) + "/spack.lock")
    assert {(one.name, one.version, one.target) for one in found.values()} == {
        ("tool", "2.0", "icelake"),
        ("answer", "1.0", "icelake"),
        ("zlib", "1.3", "icelake"),
    }, "what only builds need is not needed"
    assert set(found[TOOL].needs) == {LIBRARY, "z" * 32}
    assert found["z" * 32].external == "/usr"


def test_what_environments_include_counts(tmp_path):
    first, *others = nodes()
    document = lockfile(6, [first])
    document["include_concrete"] = {"/other": {**lockfile(6, others), "roots": [{"hash": CMAKE}]}}
    (tmp_path / "spack.lock").write_text(json.dumps(document))
    assert {one.name for one in read_lockfile(str(tmp_path / "spack.lock")).values()} >= {"tool", "answer", "cmake"}


def test_an_environment_becomes_a_profile_whose_programs_run(session, tree, tmp_path):
    tree(nodes())
    place = environment(tmp_path, nodes())
    recorded = commit_environment(session, place, [tree.root], message="m", profile="spack")
    lock = read_profile(session.store.objects, recorded.commit).lock
    assert lock.packages.keys() == {"tool", "answer"}
    prefix = ready(session, find(session.store, "spack"))
    assert subprocess.run([f"{prefix}/bin/tool"]).returncode == 42
    assert os.path.exists(f"{prefix}/lib/libanswer.so")
    assert not os.path.lexists(f"{prefix}/.spack")
    with pytest.raises(NothingChangedError):
        commit_environment(session, place, [tree.root], message="m", profile="spack")


def test_a_variant_that_changed_is_explained_and_both_stay(session, tree, tmp_path, hdist):
    tree(nodes())
    commit_environment(session, environment(tmp_path, nodes()), [tree.root], message="one")
    later = nodes(shared=False, digits="d" * 32, tool="e" * 32)
    tree(later, answer=43)
    commit_environment(session, environment(tmp_path, later), [tree.root], message="two")
    assert subprocess.run([f"{ready(session, find(session.store, 'main'))}/bin/tool"]).returncode == 43
    assert subprocess.run([f"{ready(session, find(session.store, 'main~1'))}/bin/tool"]).returncode == 42
    said = hdist("explain", "main~1", "main").stdout
    assert "shared" in said
    assert "true" in said
    assert "false" in said


def test_what_spack_installed_is_found_through_a_view(session, tree, tmp_path):
    lib, place = tree(nodes())
    view = tmp_path / "env/.spack-env/view"
    for install in (lib, place):
        for folder in ("bin", "lib"):
            if (install / folder).is_dir():
                (view / folder).mkdir(parents=True)
                for one in (install / folder).iterdir():
                    (view / folder / one.name).symlink_to(one)
    commit_environment(session, str(view), message="m", profile="view")
    commit_environment(session, environment(tmp_path, nodes()), message="m", profile="env")
    view_lock, env_lock = (
        read_profile(session.store.objects, find(session.store, name)).lock.specs for name in ("view", "env")
    )
    assert view_lock.keys() == env_lock.keys() == {"tool", "answer"}
    assert subprocess.run([f"{ready(session, find(session.store, 'view'))}/bin/tool"]).returncode == 42


def test_spack_root_says_where_the_installs_are(session, tree, tmp_path):
    import dataclasses

    tree(nodes())
    here = dataclasses.replace(session, env={**session.env, "SPACK_ROOT": str(tmp_path / "spack")})
    commit_environment(here, environment(tmp_path, nodes()) + "/spack.lock", message="m")


def test_what_is_not_installed_is_named(session, tree, tmp_path):
    tree(nodes())
    _, place = tree(nodes(digits="d" * 32, tool="e" * 32))
    shutil.rmtree(place)
    with pytest.raises(NotFoundError, match="tool/eeeeeee") as caught:
        commit_environment(
            session, environment(tmp_path, nodes(digits="d" * 32, tool="e" * 32)), [tree.root], message="m"
        )
    assert "spack -e" in caught.value.hint
    assert os.listdir(session.store.inside("artifacts")) == ["base"], "nothing is made"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "not a lockfile"),
        ("[]", "not what Spack writes"),
        ("no", "not JSON"),
        ('{"_meta": {"lockfile-version": 7}, "roots": [], "concrete_specs": {}}', "version 7"),
        ('{"_meta": {"lockfile-version": 6}, "roots": [{"hash": "x"}], "concrete_specs": {}}', "no spec x"),
        ('{"_meta": {"lockfile-version": 6}, "roots": [], "concrete_specs": {"x": {}}}', "not a lockfile"),
        (
            """{"_meta": {"lockfile-version": 6}, "roots": [],
            "concrete_specs": {"x": {"name": "x", "version": "1", "external": {"path": "/a\\u0000b"}}}}""",
            "external path",
        ),
    ],
)
def test_files_that_are_no_lockfiles_are_refused(session, tmp_path, text, words):
    (tmp_path / "spack.lock").write_text(text)
    with pytest.raises(InvalidError, match=words):
        commit_environment(session, str(tmp_path), message="m")
    with pytest.raises(NotFoundError):
        commit_environment(session, str(tmp_path / "nowhere"), message="m")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidError, match="neither an environment nor a view"):
        commit_environment(session, str(tmp_path / "empty"), message="m")


def test_links_are_collected_when_no_profile_names_them(session, tree, tmp_path, hdist):
    lib, _ = tree(nodes())
    commit_environment(session, environment(tmp_path, nodes()), [tree.root], message="m", profile="other")
    hdist("branch", "-D", "other")
    hdist("gc", "--now")
    assert not session.store.reopened().artifacts.find("answer")
    assert os.path.exists(lib / "lib/libanswer.so.1"), "what is Spack's stays"


def test_captured_host_software_stays_with_what_was_built_with_it(session, tree, tmp_path, hdist):
    """Also where Spack installed something of that name as well, and where there are two of them."""
    scan_host(session, [HostEntry("gcc", ("path:gcc",)), HostEntry("zlib", ("path:sh",))])
    places = {name: externals(session, [name])["packages"][name]["externals"][0]["prefix"] for name in ("gcc", "zlib")}
    found = nodes()
    for node in found:
        if node["name"] in places:
            node["external"] = {"path": places[node["name"]]}
    # built with another one that has the name of what Spack installed
    scan_host(session, [HostEntry("answer", ("path:cat",))])
    places["answer"] = externals(session, ["answer"])["packages"]["answer"]["externals"][0]["prefix"]
    found.append({**found[-1], "name": "answer", "hash": "h" * 32, "external": {"path": places["answer"]}})
    other = {**found[2], "version": "1.2", "hash": "y" * 32, "external": {"path": "/opt/zlib"}}
    found.append(other)
    kinds = {"deptypes": ["build"], "virtuals": []}
    found[0]["dependencies"] += [{"name": one["name"], "hash": one["hash"], "parameters": kinds} for one in found[-2:]]
    tree(found)
    commit_environment(session, environment(tmp_path, found), [tree.root], message="one", profile="other")
    with session.store.refs.transaction("nothing else names them") as transaction:
        for name, commit in session.store.refs.all(names.HOSTS).items():
            transaction.delete(name, old=commit)
    hdist("gc", "--now", "--drop-build-inputs")
    assert all(map(os.path.isdir, places.values()))
    lock = read_profile(session.store.objects, find(session.store, "other")).lock
    host = json.loads(read_spec(session.store.objects, lock.specs["tool"]).files["host.json"])
    assert [(one["name"], one["version"]) for one in host] == [("answer", "12"), ("zlib", "1.2"), ("zlib", "1.3")]
    hdist("branch", "-D", "other")
    hdist("gc", "--now")
    assert not any(map(os.path.isdir, places.values()))


def test_another_compiler_is_explained(session, tree, tmp_path, hdist):
    first, later = nodes(), nodes(digits="d" * 32, tool="e" * 32)
    later[-1] = {**later[-1], "version": "13", "external": {"path": "/opt/gcc13"}}
    for found in (first, later):
        tree(found)
        commit_environment(session, environment(tmp_path, found), [tree.root], message="m")
    said = hdist("explain", "main~1", "main").stdout
    assert "13" in said
    assert "/opt/gcc13" in hdist("diff", "main~1", "main").stdout + said


def test_what_lies_with_spack_is_not_exported(session, tree, tmp_path):
    tree(nodes())
    commit_environment(session, environment(tmp_path, nodes()), [tree.root], message="m")
    with pytest.raises(ConflictError, match="answer"):
        export_tar(session, "main", str(tmp_path / "x.tar"), host="none")
    assert not (tmp_path / "x.tar").exists()


def test_host_software_becomes_externals(session):
    with pytest.raises(NotFoundError, match="never captured"):
        externals(session)
    scan_host(session, [HostEntry("gcc", ("path:gcc",)), HostEntry("sh", ("path:sh",))])
    document = yaml.safe_load(as_yaml(externals(session, ["gcc", "sh=dash"])))
    assert document["packages"].keys() == {"gcc", "dash"}
    (gcc,) = document["packages"]["gcc"]["externals"]
    assert gcc["spec"].startswith("gcc@")
    assert "languages='c" in gcc["spec"]
    assert gcc["prefix"].startswith(session.store.path)
    compiler = gcc["extra_attributes"]["compilers"]["c"]
    assert subprocess.run([compiler, "--version"], capture_output=True).returncode == 0
    assert document["packages"]["gcc"]["buildable"] is False
    with pytest.raises(NotFoundError, match="mpi"):
        externals(session, ["mpi"])


def test_the_commands(hdist, tree, tmp_path, session):
    tree(nodes())
    hdist("commit", "--from-spack", environment(tmp_path, nodes()), "--tree", tree.root, "-m", "m", "-b", "s")
    assert "tool" in hdist("list", "s").stdout
    assert "--from-spack" in hdist("commit", "--tree", "x", "-m", "m", expect=2).stderr
    hdist("host", "scan", "sh=path:sh")
    assert yaml.safe_load(hdist("spack", "config", "sh").stdout)["packages"]["sh"]["buildable"] is False
