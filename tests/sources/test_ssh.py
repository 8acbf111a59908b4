"""Git over ssh, with a real server: by the user's own configuration, keys included."""

import getpass
import os
import subprocess

import pytest

from hashdist.errors import NetworkError
from hashdist.sources.declaration import GitSource
from hashdist.sources.fetching import Fetcher
from hashdist.sources.settings import FetchSettings


@pytest.fixture
def project(tmp_path):
    """A repository with a submodule whose URL is relative."""
    for name in ("part", "whole"):
        made = tmp_path / name
        subprocess.run(["git", "init", "-q", "-b", "main", made], check=True)
        (made / "file").write_text(name)
        if name == "whole":
            command = ["git", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../part", "sub"]
            subprocess.run(command, cwd=made, check=True)
        subprocess.run("git add -A && git commit -qm one", shell=True, cwd=made, check=True)
    return tmp_path / "whole"


@pytest.mark.parametrize("form", ["ssh://forge{path}", "{user}@forge:{path}"])
def test_by_the_users_configuration(store, ssh_config, project, form):
    """An alias, a port and a key of the user's configuration lead to the server, also for relative submodules."""
    env = {**os.environ, "GIT_SSH_COMMAND": f"ssh -F {ssh_config}"}
    url = form.format(path=project, user=getpass.getuser())
    pin = Fetcher(store, env=env, settings=FetchSettings(first_wait=0.01)).pin(GitSource(url, "main"))
    sub = store.objects.find(pin.tree, "sub/file")
    assert store.objects.blob(sub.id) == b"part"
    assert pin.url == url


def test_a_stranger(store, ssh_config, project):
    """Without the key nothing comes, nobody is asked for a password, and the message has the server's words."""
    text = ssh_config.read_text().replace("/user\n", "/stranger\n")
    ssh_config.write_text(text)
    env = {**os.environ, "GIT_SSH_COMMAND": f"ssh -F {ssh_config}"}
    with pytest.raises(NetworkError, match="(?i)permission denied|could not read"):
        Fetcher(store, env=env, settings=FetchSettings(first_wait=0.01)).pin(GitSource(f"ssh://forge{project}", "main"))
