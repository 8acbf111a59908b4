"""Real servers that git talks to: sshd, and git's own backend behind lighttpd."""

import getpass
import os
import shutil
import socket
import subprocess
import time

import pytest

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
SSHD = shutil.which("sshd", path=_PATH)
LIGHTTPD = shutil.which("lighttpd", path=_PATH)


def _await(port):
    """Wait until somebody listens."""
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)


@pytest.fixture
def ssh_config(tmp_path):
    """The path of a configuration in which ``forge`` is a server on loopback that takes one key."""
    if not SSHD or not shutil.which("ssh"):
        pytest.skip("no sshd here: install openssh-server")
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
        _await(port)
        yield config
    finally:
        program.terminate()
        program.wait(10)


@pytest.fixture
def web_server(tmp_path):
    """The URL of a web server that serves the git repositories below ``web``; below ``secret`` for Ada alone."""
    backend = os.path.join(subprocess.check_output(["git", "--exec-path"], text=True).strip(), "git-http-backend")
    if not LIGHTTPD or not os.path.exists(backend):
        pytest.skip("no lighttpd here, or no git http-backend: install lighttpd")
    root = tmp_path / "web"
    root.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "passwords").write_text("ada:lovelace\n")
    config = tmp_path / "lighttpd.conf"
    config.write_text(f"""
server.modules = ("mod_auth", "mod_authn_file", "mod_alias", "mod_setenv", "mod_cgi")
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{tmp_path}/lighttpd.log"
auth.backend = "plain"
auth.backend.plain.userfile = "{tmp_path}/passwords"
alias.url += ("/git" => "{backend}")
$HTTP["url"] =~ "^/git" {{
  cgi.assign = ("" => "")
  setenv.add-environment = ("GIT_PROJECT_ROOT" => "{root}", "GIT_HTTP_EXPORT_ALL" => "1")
}}
$HTTP["url"] =~ "^/git/secret" {{
  auth.require = ("" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))
}}
""")
    program = subprocess.Popen([LIGHTTPD, "-D", "-f", config], stderr=subprocess.DEVNULL)
    try:
        _await(port)
        yield f"http://127.0.0.1:{port}/git"
    finally:
        program.terminate()
        program.wait(10)
