"""Prefixes by name, their modules, and what their Python packages lack; in process."""

import os
import sys

import pytest
from support import make_wheel, package

from hashdist.checkout.links import Member
from hashdist.checkout.switch import Checkout
from hashdist.errors import InvalidError, NotFoundError
from hashdist.objects.spec import read_spec
from hashdist.stack.linking import Rule
from hashdist.workflow import checkout as checkouts
from hashdist.workflow.adding import NothingToAddError, add_to
from hashdist.workflow.commit import commit_file, edit
from hashdist.workflow.modules import add_tree, after_checkout, artifact_module, forget_tree, prune_trees, write_module
from hashdist.workflow.prefixes import NotBuiltYetError, find_prefix
from hashdist.workflow.profile import find, read_profile
from hashdist.workflow.requirements import missing_requirements
from hashdist.workflow.resolving import UnresolvableError, parse_requirements


def switch(session, revision=None):
    target = checkouts.choose(session, Checkout(session.store), revision)
    path = checkouts.ready(session, target.commit)
    Checkout(session.store).switch(target.commit, path, branch=target.branch, reason="x")
    return path


def test_names(session, write, tmp_path):
    """A profile, a revision, a path, a link, or nothing for what is checked out; each names the immutable prefix."""
    with pytest.raises(NotFoundError, match="nothing is checked out"):
        find_prefix(session, None)
    commit_file(session, write("stack.toml", package("a")), message="1")
    first = switch(session)
    commit_file(session, write("stack.toml", package("a", version='"2"')), message="2")
    with pytest.raises(NotBuiltYetError, match="1 of 1 of 'main' are not built") as error:
        find_prefix(session, "main")
    assert error.value.hint == "hdist build main"
    second = switch(session)
    commit = find(session.store, "main")
    assert (found := find_prefix(session, "main")).path == second
    assert (found.name, found.commit) == ("main", commit)
    assert find_prefix(session, "main~1").path == first
    assert find_prefix(session, commit).name == commit
    assert find_prefix(session, "main^").name == find(session.store, "main~1")[:12], "no name may trip a shell up"
    (tmp_path / "link").symlink_to(second)
    for text in (second, str(tmp_path / "link"), session.store.inside("current")):
        assert find_prefix(session, text).path == second
    assert find_prefix(session, session.store.inside("current")).commit == commit
    assert find_prefix(session, "").path == second
    with pytest.raises(NotFoundError, match="neither a prefix nor a link"):
        find_prefix(session, str(tmp_path))
    os.rename(second, f"{second}-away")
    with pytest.raises(NotFoundError, match="leads nowhere"):
        find_prefix(session, None)


def test_module_trees(session, write, tmp_path):
    """Trees follow checkouts, forget what has gone, and are forgotten; one that is away is told of, not raised."""
    commit_file(session, write("stack.toml", package("a")), message="the first\n\nmore")
    path, tree = switch(session), str(tmp_path / "tree")
    (module,) = add_tree(session, tree)
    commit = find(session.store, "main")
    assert module == f"{tree}/main/{commit[:12]}"
    with open(module) as file:
        assert 'module-whatis "Commit: the first"' in file.read()
    artifact = read_spec(session.store.objects, read_profile(session.store.objects, commit).lock.specs["a"]).artifact
    hidden = write_module(tree, artifact_module(session, artifact), hidden=True)
    assert os.path.basename(hidden) == f".1-{artifact.spec[:12]}"
    edit(session, lambda text: text.replace('"1"', '"2"'), message="second")
    newer = switch(session)
    assert after_checkout(session, "main", find(session.store, "main"), newer) == []
    assert len(os.listdir(f"{tree}/main")) == 3
    os.rename(path, f"{path}-away")
    prune_trees(session.store)
    assert sorted(os.listdir(f"{tree}/main")) == [".version", find(session.store, "main")[:12]]
    os.rename(tree, f"{tree}-away")
    (failed,) = after_checkout(session, "main", commit, newer)
    assert failed.hint == f"hdist modulefile --forget {tree}"
    forget_tree(session, tree)
    assert after_checkout(session, "main", commit, newer) == []
    with pytest.raises(NotFoundError):
        forget_tree(session, tree)


@pytest.fixture
def index(session, tmp_path):
    """A session whose package index is a directory of wheels: top needs ground, and deep with an extra."""
    wheels = tmp_path / "wheels"
    make_wheel(
        wheels, "top", {"top.py": ""}, requires='Requires-Dist: ground[more]>=1\nRequires-Dist: no; extra == "x"\n'
    )
    more = 'Provides-Extra: more\nRequires-Dist: deep; extra == "more"\nRequires-Dist: top; extra == "more"\n'
    make_wheel(wheels, "ground", {"ground.py": ""}, requires=more)
    make_wheel(wheels, "deep", {"deep.py": ""}, requires='Requires-Dist: old; python_version < "3"\n')
    env = {**session.env, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    return type(session)(session.store, env, session.directory, jobs=2)


def members_of(session):
    lock = read_profile(session.store.objects, find(session.store, None)).lock
    ids = [read_spec(session.store.objects, lock.specs[name]).artifact for name in lock.prefix_names()]
    return [Member(one, session.store.artifacts.path(one)) for one in ids]


def test_what_is_missing(index, write):
    """Extras are followed, also in circles; markers of other Pythons and nonsense are passed over."""
    text = f'[host]\npython = "path:{sys.executable}"\n' + "".join(
        f'[packages.{name}]\nversion = "1.0"\nsource = {{ pypi = "{name}" }}\nbuilder = "wheel"\nrequires = ["python"]\n'
        for name in ("top", "ground")
    )
    commit_file(index, write("stack.toml", text), message="m")
    switch(index)
    members = members_of(index)
    (lack,) = missing_requirements(index, members)
    assert (lack.by, lack.requirement, lack.found) == ("ground 1.0", "deep", None)
    assert lack.line == "hdist add --pip deep"
    assert missing_requirements(index, members) == [lack], "what was read once is remembered"
    assert missing_requirements(index, [member for member in members if member.name != "python"]) == []
    assert missing_requirements(index, members, [Rule("exclude", "bin/python3", "python")]) == []


def test_resolving(index, write):
    """Requirements become packages beside what is there; what cannot be, or is there already, is told."""
    commit_file(index, write("stack.toml", f'[host]\npython = "path:{sys.executable}"\n'), message="m")
    profile = read_profile(index.store.objects, find(index.store, None))
    text, found = add_to(index, profile.text, profile.lock, parse_requirements(["top"]))
    assert [(one.name, one.version) for one in found] == [("top", "1.0"), ("deep", "1.0"), ("ground", "1.0")]
    assert 'requires = ["python", "ground"]' in text
    edit(index, lambda _: text, message="more")
    profile = read_profile(index.store.objects, find(index.store, None))
    with pytest.raises(NothingToAddError):
        add_to(index, profile.text, profile.lock, parse_requirements(["deep"]))
    with pytest.raises(UnresolvableError, match="no solution found"):
        add_to(index, profile.text, profile.lock, parse_requirements(["top>2"]))
    with pytest.raises(InvalidError) as error:
        parse_requirements(["a b", "x @ https://example.org/x.whl"])
    assert len(error.value.problems) == 2
