"""A colleague's store, a bare repository between, and a stack to send."""

import dataclasses
import os
import subprocess

import pytest
from exchange import bare, recorded
from sources.servers import serving

from hashdist import Store
from hashdist.objects.git_program import has_git
from hashdist.store.making import init_store
from hashdist.workflow.session import Session

IDENTITY = "Grace <grace@example.org>"


@pytest.fixture
def other(tmp_path):
    """A colleague's store, with nothing in it."""
    path = str(tmp_path / "other-store")
    init_store(path, durability="fast")
    store = Store.open(path, identity=IDENTITY, search_path=os.environ["PATH"])
    (tmp_path / "elsewhere").mkdir()
    return Session(store, dict(os.environ), str(tmp_path / "elsewhere"), jobs=2)


@pytest.fixture
def server(tmp_path):
    return str(bare(tmp_path / "server.git"))


@pytest.fixture
def main(session, write):
    """A stack with a source of this machine, one from a web server, and one without."""
    archive = write("z.tar", "")
    write("src/hello", "from afar")
    subprocess.run(["tar", "cf", archive, "-C", os.path.dirname(archive), "src"], check=True)
    write("src/hello", "hello")
    with open(archive, "rb") as file, serving({"/z.tar": file.read()}) as (url, _):
        yield recorded(session, write, url)


@pytest.fixture(scope="session")
def programs_but_git(tmp_path_factory):
    """A directory of links to all programs on PATH, except git."""
    folder = tmp_path_factory.mktemp("all-but-git")
    for path in reversed(os.environ["PATH"].split(os.pathsep)):
        for name in os.listdir(path) if os.path.isdir(path) else []:
            if name != "git" and not name.startswith("git-"):
                (folder / name).unlink(missing_ok=True)
                (folder / name).symlink_to(os.path.join(path, name))
    assert not has_git(str(folder))
    return str(folder)


@pytest.fixture
def without_git(programs_but_git):
    """The same store with a PATH in which there is all but git."""

    def without(session):
        store = Store.open(
            session.store.path, identity=session.store.identity, clock=session.store.clock, search_path=programs_but_git
        )
        return dataclasses.replace(session, store=store, env={**session.env, "PATH": programs_but_git})

    return without
