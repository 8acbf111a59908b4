"""Where there is no git program libgit2 carries: to a directory, to sshd, to git's backend behind a web server."""

import dataclasses
import os
import shutil
import subprocess

import pytest
from exchange import bare, change, refs_of, round_trip, share

from hashdist.errors import InvalidError, NetworkError
from hashdist.objects.ids import CommitId
from hashdist.remote.by_libgit2 import ByLibgit2
from hashdist.remote.carrier import PushRefusedError, RemoteMovedError, Sent
from hashdist.remote.carrying import carrier
from hashdist.remote.directory import push_to_directory
from hashdist.remote.remotes import remotes, remove_remote
from hashdist.sources.network import OfflineError, UrlNotFoundError
from hashdist.workflow import branching, pushing, remoting
from hashdist.workflow.profile import find


def test_directory(session, other, main, server, without_git):
    """A bare directory is a server, and what libgit2 brought git finds whole."""
    mine = without_git(session)
    assert isinstance(carrier(mine.store, env={}, network=mine.fetcher.network()), ByLibgit2)
    round_trip(mine, without_git(other), server)
    subprocess.run(["git", "-C", server, "fsck", "--full", "--strict"], check=True)
    assert "refs/heads/main" in refs_of(server)


def test_one_with_git_and_one_without(session, other, main, server, without_git):
    """What one carries the other does."""
    round_trip(session, without_git(other), server)


def test_web_server(session, other, main, tmp_path, web_server, without_git):
    """So is git's own backend behind a web server, with ~/.netrc where it asks who comes."""
    mine = without_git(session)
    for name in ("web/open.git", "web/secret.git"):
        path = bare(tmp_path / name)
        subprocess.run(["git", "-C", path, "config", "http.receivepack", "true"], check=True)
    round_trip(mine, without_git(other), f"{web_server}/open.git")
    remoting.add(mine, "secret", f"{web_server}/secret.git")
    with pytest.raises(NetworkError, match="wants a key or password") as caught:
        pushing.push(mine, "secret", with_local=True)
    assert "git program" in caught.value.hint
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password lovelace\n")
    netrc.chmod(0o600)
    known = dataclasses.replace(mine, env={**mine.env, "NETRC": str(netrc)})
    assert pushing.push(known, "secret", with_local=True).sent
    with open(os.path.join(session.store.git, "config")) as file:
        assert "lovelace" not in file.read()


def test_ssh(session, other, main, server, ssh_config, tmp_path, without_git):
    """So is sshd, with a key of a usual name, and a host that is known; an unknown one is refused."""
    port = next(line.split()[1] for line in ssh_config.read_text().split("\n") if line.strip().startswith("Port "))
    user = next(line.split()[1] for line in ssh_config.read_text().split("\n") if line.strip().startswith("User "))
    url = f"ssh://{user}@127.0.0.1:{port}{server}"
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(parents=True)
    shutil.copy(ssh_config.parent / "user", folder / "id_ed25519")  # ssh needs no more than that
    env = {**os.environ, "HOME": str(tmp_path / "home")}
    env.pop("SSH_AUTH_SOCK", None)
    mine, theirs = (
        dataclasses.replace(one, env={**env, "PATH": one.env["PATH"]})
        for one in (without_git(session), without_git(other))
    )
    remoting.add(mine, "origin", url)
    with pytest.raises(NetworkError, match="(?i)certificate|host key|known"):
        pushing.push(mine, with_local=True)
    key = (ssh_config.parent / "host.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key[0]} {key[1]}\n")
    round_trip(mine, theirs, url)


def test_both_moved(session, other, main, server, without_git):
    """What the other side has is not overwritten, unless that is said, and then only what is known of it."""
    mine, theirs = without_git(session), without_git(other)
    share(mine, server)
    remoting.clone(theirs, server, "mine")
    change(theirs, "packages.b.version", "2", profile="mine")
    pushing.push(theirs, None, ["mine"])
    change(mine, "packages.b.version", "3")
    with pytest.raises(RemoteMovedError, match="has commits that are not here"):
        pushing.push(mine)
    with pytest.raises(RemoteMovedError, match="has commits that are not here"):
        pushing.push(mine, force=True)
    remoting.fetch(mine)
    with pytest.raises(RemoteMovedError):
        pushing.push(mine)
    assert [one.ref for one in pushing.push(mine, force=True).sent] == ["refs/heads/main"]
    assert find(mine.store, "origin/main") == find(mine.store, "main")


def test_local_sources_are_listed(session, main, server, without_git):
    """What would have to go along is listed with its size, here as there."""
    mine = without_git(session)
    remoting.add(mine, "origin", server)
    with pytest.raises(pushing.LocalSourcesError, match=r"a: [0-9a-f]{12}, 5 bytes"):
        pushing.push(mine)


def test_the_other_side_moves_meanwhile(session, other, main, server, without_git, tmp_path):
    """What comes to a directory between our look and our push is not lost."""
    mine = without_git(session)
    share(mine, server)
    remoting.clone(other, server, "theirs")
    known = ByLibgit2(mine.store, mine.env, mine.fetcher.network()).refs(server, ["refs/heads/main"])
    change(other, "packages.b.version", "2", profile="theirs")
    pushing.push(other, None, ["theirs"])
    tip = change(mine, "packages.b.version", "3")
    with pytest.raises(RemoteMovedError):
        push_to_directory(mine.store, server, remotes(mine.store)["origin"], [Sent(tip, "refs/heads/main")], known)
    assert find(other.store, "theirs") == CommitId(
        subprocess.check_output(["git", "-C", server, "rev-parse", "main"], text=True).strip()
    )


def test_a_server_that_refuses_a_tag(session, main, tmp_path, web_server, without_git):
    """Profiles move last: a tag that is refused leaves them where they were."""
    mine = without_git(session)
    path = bare(tmp_path / "web" / "open.git")
    subprocess.run(["git", "-C", path, "config", "http.receivepack", "true"], check=True)
    hook = path / "hooks" / "update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/tags/*) echo no tags >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    branching.create_tag(mine.store, "v1", main)
    with pytest.raises(PushRefusedError, match="v1"):
        share(mine, f"{web_server}/open.git", tags=True)
    assert not any(name.startswith("refs/heads/") for name in refs_of(path))
    assert pushing.push(mine, "origin", with_local=True).sent


def test_settings(session, tmp_path, without_git, server):
    """Settings are those that git reads, and the file stays open to whom it was open."""
    mine = without_git(session)
    path = os.path.join(mine.store.git, "config")
    os.chmod(path, 0o664)
    mask = os.umask(0o077)
    try:
        remoting.add(mine, "origin", server)
    finally:
        os.umask(mask)
    assert os.stat(path).st_mode & 0o777 == 0o664
    told = subprocess.check_output(["git", "-C", mine.store.git, "config", "remote.origin.url"], text=True)
    assert told.strip() == server


def test_crossed_histories(session, other, main, server, without_git):
    """Merges need no git either."""
    mine, theirs = without_git(session), without_git(other)
    share(mine, server)
    remoting.clone(theirs, server, "mine")
    change(theirs, "packages.b.version", "2", profile="mine")
    pushing.push(theirs, None, ["mine"])
    change(mine, "packages.z.version", "3")
    merged = remoting.pull(mine).merged
    assert merged.how == "recorded"
    assert len(mine.store.objects.commit(merged.commit).parents) == 2


def test_tags(session, other, main, server, without_git):
    """Tags come and go, and none is moved."""
    mine, theirs = without_git(session), without_git(other)
    branching.create_tag(mine.store, "v1", main)
    assert [one.ref for one in share(mine, server, tags=True).sent if "tags" in one.ref] == ["refs/tags/v1"]
    remoting.clone(theirs, server, "mine")
    assert find(theirs.store, "v1") == main
    newer = change(mine, "packages.b.version", "2")
    with mine.store.refs.transaction("moved") as transaction:
        transaction.set("refs/tags/v1", newer)
    with pytest.raises(PushRefusedError, match="v1"):
        pushing.push(mine, tags=True)


def test_refusals(session, main, tmp_path, server, without_git):
    """Nothing there, no network wanted, a bundle, more than is allowed: each in its own words."""
    mine = without_git(session)
    remoting.add(mine, "gone", str(tmp_path / "gone"))
    with pytest.raises(UrlNotFoundError, match="nothing at"):
        remoting.fetch(mine, "gone")
    (tmp_path / "file.bundle").write_text("bundle")
    remoting.add(mine, "bundle", str(tmp_path / "file.bundle"))
    with pytest.raises(InvalidError, match="is a bundle"):
        remoting.fetch(mine, "bundle")
    remoting.add(mine, "far", "https://example.org/stack.git")
    offline = dataclasses.replace(mine, fetching=dataclasses.replace(mine.fetching, offline=True))
    with pytest.raises(OfflineError):
        remoting.fetch(offline, "far")
    assert set(remotes(mine.store)) == {"gone", "bundle", "far"}
    remove_remote(mine.store, "far")
    assert set(remotes(mine.store)) == {"gone", "bundle"}
