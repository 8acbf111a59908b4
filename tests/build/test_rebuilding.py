"""A second build tells whether a build is reproducible, and which files differ."""

import os

import pytest
from support import package

from hashdist.build.rebuilding import rebuild
from hashdist.errors import HashdistError
from hashdist.objects.spec import read_spec
from hashdist.verify.verifying import verify
from hashdist.workflow import building
from hashdist.workflow.commit import commit_file
from hashdist.workflow.profile import read_profile


def again(session, write, text, **words):
    """Build a package 'a' twice."""
    store = session.store
    recorded = commit_file(session, write("stack.toml", text), message="m")
    building.build_commit(session, recorded.commit)
    spec = read_spec(store.objects, read_profile(store.objects, recorded.commit).lock.specs["a"])
    found = rebuild(store, spec, jobs=1, env=session.env, **words)
    assert verify(store).findings == [], "the first one is as it was"
    assert os.listdir(store.inside("builds")) == []
    return found


def may_mount():
    from hashdist.build.namespace import lay_over

    pid = os.fork()
    if pid == 0:
        try:
            lay_over("/tmp", "/mnt")
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("namespaces", [True, False])
def test_reproducible(session, write, namespaces):
    """A build that writes its own path into files and links is found to be reproducible, in a namespace or beside."""
    if namespaces and not may_mount():
        pytest.skip("this system allows no mount namespaces")
    text = package(
        "a",
        "mkdir -p $PREFIX/bin; echo $PREFIX > $PREFIX/path; ln -s $PREFIX/path $PREFIX/bin/link; pwd > $PREFIX/where",
    )
    found = again(session, write, text, namespaces=namespaces)
    assert found.differences == ()
    assert found.same_path == namespaces
    assert found.files == 4


def test_not_reproducible(session, write):
    """What differs is named: other bytes, and files that only one build has."""
    text = package(
        "a", "mkdir -p $PREFIX; date +%N > $PREFIX/time; touch $PREFIX/f-$(date +%N); echo same > $PREFIX/same"
    )
    words = {one.words: one.path for one in again(session, write, text).differences}
    assert words["differs"] == "time"
    assert words["only in the first"].startswith("f-")
    assert words["only in the second"].startswith("f-")


def test_a_second_build_that_fails(session, write, tmp_path):
    """A build that does not work again says so, and the artifact stays."""
    text = package("a", f"mkdir -p $PREFIX; test ! -e {tmp_path}/once; touch {tmp_path}/once $PREFIX/x")
    with pytest.raises(HashdistError, match="second build failed"):
        again(session, write, text)
    assert verify(session.store).findings == []
