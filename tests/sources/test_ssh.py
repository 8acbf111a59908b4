"""Git over ssh, with a real server: by the user's own configuration, keys included."""

import getpass
import os
import shutil
import socket
import subprocess
import time

import pytest

from hashdist.errors import NetworkError
from hashdist.sources.declaration import GitSource
from hashdist.sources.fetching import Fetcher
from hashdist.sources.settings import FetchSettings

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(not SSHD or not shutil.which("ssh"), reason="no sshd here: install openssh-server")


@pytest.fixture
def configured(tmp_path):
    """The path of a configuration in which ``forge`` is a server on loopback that takes one key."""
    keys = tmp_path / "ssh"
    keys.mkdir(mode=0o700)
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    shutil.copy(keys / "user.pub", keys / "authorized")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    if os.getuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # sshd wants it
    server = keys / "sshd_config"
    server.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/authorized\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    )
    config = keys / "config"
    config.write_text(
        f"Host forge\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n  IdentityFile {keys}/user\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {keys}/known\n  StrictHostKeyChecking accept-new\n  BatchMode yes\n"
    )
    with (keys / "log").open("wb") as log:
        program = subprocess.Popen([SSHD, "-D", "-e", "-f", server], stderr=log)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield config
    finally:
        program.terminate()
        program.wait(10)


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
def test_by_the_users_configuration(store, configured, project, form):
    """An alias, a port and a key of the user's configuration lead to the server, also for relative submodules."""
    env = {**os.environ, "GIT_SSH_COMMAND": f"ssh -F {configured}"}
    url = form.format(path=project, user=getpass.getuser())
    pin = Fetcher(store, env=env, settings=FetchSettings(first_wait=0.01)).pin(GitSource(url, "main"))
    sub = store.objects.find(pin.tree, "sub/file")
    assert store.objects.blob(sub.id) == b"part"
    assert pin.url == url


def test_a_stranger(store, configured, project):
    """Without the key nothing comes, nobody is asked for a password, and the message has the server's words."""
    text = configured.read_text().replace("/user\n", "/stranger\n")
    configured.write_text(text)
    env = {**os.environ, "GIT_SSH_COMMAND": f"ssh -F {configured}"}
    with pytest.raises(NetworkError, match="(?i)permission denied|could not read"):
        Fetcher(store, env=env, settings=FetchSettings(first_wait=0.01)).pin(GitSource(f"ssh://forge{project}", "main"))
