"""Clone, fetch, pull and push with real servers: a directory, sshd, git's backend behind a web server."""

import dataclasses
import os
import subprocess

import pytest
from exchange import bare, change, refs_of, round_trip, share
from support import package

from hashdist.errors import ConflictError, InvalidError, NetworkError, NotFoundError
from hashdist.objects.commits import NOBODY
from hashdist.objects.ids import CommitId
from hashdist.remote.carrier import PushRefusedError, RemoteMovedError
from hashdist.remote.remotes import Following, NoRemoteError, check_url, follow, remotes
from hashdist.workflow import branching, building, pushing, remoting
from hashdist.workflow.commit import commit_file
from hashdist.workflow.pinning import UntrustedPathError
from hashdist.workflow.profile import StaleSpecsError, find, is_stale, read_profile


def test_directory(session, other, main, server):
    """A bare directory is a server."""
    round_trip(session, other, server)
    assert refs_of(server) == [
        "refs/heads/main",
        f"refs/sources/{read_profile(session.store.objects, main).lock.sources['a']['.'].tree}",
    ]


def test_web_server(session, other, main, tmp_path, web_server):
    """So is git's own backend behind a web server, with the user's credential helper where it asks who comes."""
    for name in ("web/open.git", "web/secret.git"):
        path = bare(tmp_path / name)
        subprocess.run(["git", "-C", path, "config", "http.receivepack", "true"], check=True)
    round_trip(session, other, f"{web_server}/open.git")
    secret = f"{web_server}/secret.git"
    remoting.add(session, "secret", secret)
    with pytest.raises(NetworkError, match="(?i)could not read Username|authentication|terminal prompts"):
        pushing.push(session, "secret", with_local=True)
    place = web_server.replace("http://", "http://ada:lovelace@").removesuffix("/git")
    (tmp_path / "home" / ".git-credentials").write_text(f"{place}\n")
    subprocess.run(["git", "config", "--global", "credential.helper", "store"], check=True)
    assert pushing.push(session, "secret", with_local=True).sent
    with open(os.path.join(session.store.git, "config")) as file:
        assert "lovelace" not in file.read()


def test_ssh(session, other, main, server, ssh_config):
    """So is sshd, by the user's own configuration."""
    env = {**os.environ, "GIT_SSH_COMMAND": f"ssh -F {ssh_config}"}
    round_trip(dataclasses.replace(session, env=env), dataclasses.replace(other, env=env), f"ssh://forge{server}")


def test_local_sources(session, main, server):
    """A source that is nowhere else is listed with its size, and goes only when that is said; others with sources."""
    remoting.add(session, "origin", server)
    with pytest.raises(pushing.LocalSourcesError, match=r"  a: [0-9a-f]{12}, \d+ bytes"):
        pushing.push(session)
    assert refs_of(server) == []
    assert len(pushing.push(session, with_local=True).sent) == 2
    change(session, "packages.b.version", "2")
    assert len(pushing.push(session).sent) == 1, "it is there already"
    change(session, "packages.b.version", "3")
    assert len(pushing.push(session, with_sources=True).sent) == 2
    assert len([ref for ref in refs_of(server) if ref.startswith("refs/sources/")]) == 2


def test_both_moved(session, other, main, server):
    """What would lose somebody's commits is refused with the next command; a pull merges; force is on purpose."""
    share(session, server)
    remoting.clone(other, server, "main")
    theirs = change(other, "packages.b.version", "2")
    pushing.push(other)
    ours = change(session, "packages.z.version", "2")
    with pytest.raises(RemoteMovedError, match="'main' of origin") as error:
        pushing.push(session)
    assert "hdist pull origin" in error.value.hint
    with pytest.raises(RemoteMovedError):
        pushing.push(session, force=True)
    with pytest.raises(ConflictError, match="no fast-forward"):
        remoting.pull(session, only_forward=True)
    pulled = remoting.pull(session)
    assert session.store.objects.commit(pulled.merged.commit).parents == (ours, theirs)
    pushing.push(session)
    branching.reset(session.store, "main~1")
    with pytest.raises(RemoteMovedError):
        pushing.push(session)
    assert pushing.push(session, force=True).sent
    remote, fetched = remoting.fetch(other)
    assert [(one.ref, one.forced) for one in fetched.moved] == [("refs/remotes/main/main", True)]
    assert remote.name == "main"


def test_tags_hosts_and_pruning(session, other, main, server):
    """Tags and scans of hosts come along; another tag of a name is not replaced; what is gone is forgotten on demand."""
    branching.create_tag(session.store, "v1", None)
    branching.create_branch(session.store, "side", None)
    share(session, server, tags=True, hosts=True, profiles=["main", "side"])
    remoting.add(other, "origin", server)
    _, fetched = remoting.fetch(other)
    names = [one.ref for one in fetched.moved]
    assert "refs/tags/v1" in names
    assert any(name.startswith("refs/remotes/origin/hosts/") for name in names)
    assert find(other.store, "origin/side") == main
    branching.delete_tag(other.store, "v1")
    first = branching.create_tag(other.store, "v1", "origin/main")
    change(session, "packages.b.version", "2")
    branching.delete_tag(session.store, "v1")
    branching.create_tag(session.store, "v1", None)
    subprocess.run(["git", "-C", server, "update-ref", "-d", "refs/tags/v1"], check=True)
    subprocess.run(["git", "-C", server, "update-ref", "-d", "refs/heads/side"], check=True)
    pushing.push(session, tags=True)
    _, fetched = remoting.fetch(other)
    assert fetched.notes == ["not taken: there is another tag 'v1' here"]
    assert find(other.store, "v1") == first
    assert find(other.store, "origin/side") == main
    remoting.fetch(other, prune=True)
    with pytest.raises(NotFoundError):
        find(other.store, "origin/side")


def test_merged_as_text(session, other, main, server, tmp_path):
    """A merge made on a git host as text is noticed, and resolved anew with the pins of both."""
    share(session, server)
    work = tmp_path / "checkout"
    for profile, key in (("main", "b"), ("side", "z")):
        if profile == "side":
            branching.create_branch(session.store, "side", "main~1")
        change(session, f"packages.{key}.version", "2", profile=profile)
    pushing.push(session, "origin", ["main", "side"])
    subprocess.run(["git", "clone", "-q", server, work], check=True)
    merge = "git merge -q -X ours origin/side -m 'by hand' || (git checkout -q --ours lock.json; git add -A; git commit -qm x)"
    subprocess.run(f"cd {work} && {merge} && git push -q", shell=True, check=True)
    tip = CommitId(subprocess.check_output(["git", "-C", server, "rev-parse", "main"], text=True).strip())
    remoting.add(other, "origin", server)
    remoting.fetch(other)
    assert is_stale(other.store.objects, tip)
    with pytest.raises(StaleSpecsError, match=r"older than stack.toml"):
        building.build_commit(other, tip)
    pulled = remoting.pull(session)
    assert not is_stale(session.store.objects, pulled.merged.commit)
    commit = session.store.objects.commit(pulled.merged.commit)
    assert (commit.subject, commit.parents) == ("resolve stack.toml anew", (tip,))
    found = read_profile(session.store.objects, pulled.merged.commit).lock
    assert [found.packages[name].version for name in "abz"] == ["1", "2", "2"]
    assert building.build_commit(session, pulled.merged.commit).total == 3


def test_merged_as_text_with_markers(session, other, main, server, tmp_path):
    """A lock that somebody left with git's markers in it is pulled into a profile that has moved on as well."""
    share(session, server)
    remoting.clone(other, server, "mine")
    work = tmp_path / "checkout"
    branching.create_branch(session.store, "side", None)
    for profile, key in (("main", "b"), ("side", "z")):
        change(session, f"packages.{key}.version", "2", profile=profile)
    pushing.push(session, "origin", ["main", "side"])
    subprocess.run(["git", "clone", "-q", server, work], check=True)
    resolve = "git checkout -q --theirs specs; sed -i '/^[<=>]/d' stack.toml; git add -A; git commit -qm x"
    merge = f"git merge -q origin/side > {tmp_path}/log || ({resolve})"
    subprocess.run(f"cd {work} && {merge} && git push -q", shell=True, check=True)
    assert "<<<<<<< " in (work / "lock.json").read_text()
    change(other, "packages.a.version", "3", profile="mine")
    merged = remoting.pull(other, profile="mine").merged
    assert merged.how == "recorded"
    lock = read_profile(other.store.objects, merged.commit).lock
    assert [lock.packages[name].version for name in "abz"] == ["3", "2", "2"]
    assert not is_stale(other.store.objects, merged.commit)


def test_hosts_of_one_class(session, other, main, server, write):
    """Scans of two machines of one class become one history, whoever pushes first; what is known is not sent again."""
    scans = [ref for ref in session.store.refs.all("refs/hosts/") if ref.endswith("/base")]
    assert len(scans) == 1
    share(session, server, hosts=True)
    entries = session.store.objects.tree(session.store.objects.commit(session.store.refs[scans[0]]).tree)
    remoting.clone(other, server, "mine")
    first = other.store.refs[f"refs/remotes/mine/{scans[0][len('refs/') :]}"]
    changed = {entry.name.decode(): entry for entry in entries}
    manifest = other.store.objects.add_blob(b"other\n")
    tree = other.store.objects.add_nested({**changed, "packages": changed["packages"]._replace(id=manifest)})
    own = other.store.objects.add_commit(tree, identity=NOBODY, time=1, message="base 1\n\nHost: other\n")
    other.store.refs.update(scans[0], own, old=other.store.refs.get(scans[0]), reason="another machine")
    sent = pushing.push(other, None, ["mine"], hosts=True).sent
    assert [one.ref for one in sent] == [scans[0]]
    joined = other.store.objects.commit(other.store.refs[scans[0]])
    assert (joined.tree, set(joined.parents)) == (tree, {own, first})
    remoting.fetch(session)
    assert pushing.push(session, hosts=True).sent == []
    assert session.store.refs[scans[0]] == first


def test_profiles_that_follow_one(session, main, server):
    """Two profiles that would go to one are told, and nothing is sent."""
    share(session, server)
    branching.create_branch(session.store, "same", None)
    follow(session.store, "same", Following("origin", "main"))
    with pytest.raises(ConflictError, match="'main' and 'same' both follow 'main' of origin"):
        pushing.push(session, "origin", ["main", "same"])


def test_sources_of_tags(session, main, server, write):
    """Local sources that only a tagged commit needs go along with the tag."""
    branching.create_tag(session.store, "old", None)
    (source,) = {
        pins["."].tree for name, pins in read_profile(session.store.objects, main).lock.sources.items() if name == "a"
    }
    path = write("elsewhere/stack.toml", package("b"))
    commit_file(session, path, message="of something else", profile="new")
    remoting.add(session, "origin", server)
    assert pushing.push(session, None, ["new"]).sent
    with pytest.raises(pushing.LocalSourcesError, match=str(source)[:12]):
        pushing.push(session, None, ["new"], tags=True)
    sent = pushing.push(session, None, ["new"], tags=True, with_local=True).sent
    assert {one.ref for one in sent} == {"refs/tags/old", f"refs/sources/{source}"}


def test_readable_by_git(session, main, server, tmp_path):
    """A plain clone is small and readable: log, show, blame."""
    share(session, server, with_sources=True)
    change(session, "packages.b.version", "2")
    pushing.push(session)
    work = tmp_path / "plain"
    subprocess.run(["git", "clone", "-q", server, work], check=True)

    def git(*words):
        return subprocess.check_output(["git", "-C", work, *words], text=True)

    assert git("log", "--format=%s").split("\n")[0] == "packages.b.version=2"
    assert '+version = "2"' in git("show")
    assert "Ada" in git("blame", "stack.toml")
    assert sorted(os.listdir(work)) == [".git", "lock.json", "specs", "stack.toml"]
    assert int(git("count-objects", "-v").split("size-pack: ")[1].split()[0]) < 60


def test_clones(session, other, main, server, tmp_path):
    """A clone that fails leaves nothing; one that succeeds touches no other profile, and becomes HEAD where none was."""
    with pytest.raises(NotFoundError, match="has no profiles"):
        remoting.clone(other, server, None)
    with pytest.raises(NetworkError):
        remoting.clone(other, str(tmp_path / "nothing.git"), None)
    assert remotes(other.store) == {}
    branching.create_tag(session.store, "v1", None)
    share(session, server, tags=True)
    subprocess.run(["git", "-C", server, "branch", "-m", "main", "a/one"], check=True)
    subprocess.run(["git", "-C", server, "branch", "two", "a/one"], check=True)
    subprocess.run(["git", "-C", server, "symbolic-ref", "HEAD", "refs/heads/none"], check=True)
    with pytest.raises(NotFoundError, match="does not say which"):
        remoting.clone(other, server, None)
    assert (remotes(other.store), other.store.refs.all("refs/tags/")) == ({}, {})
    subprocess.run(["git", "-C", server, "branch", "-m", "a/one", "main"], check=True)
    subprocess.run(["git", "-C", server, "symbolic-ref", "HEAD", "refs/heads/main"], check=True)
    share(session, server)
    before = other.store.refs.all("refs/heads/")
    cloned = remoting.clone(other, server, None)
    assert (cloned.profile, before) == ("server", {})
    assert find(other.store, "HEAD") == cloned.commit
    with pytest.raises(ConflictError, match="profile 'server' already"):
        remoting.clone(other, server, None)
    with pytest.raises(ConflictError, match="remote 'server' already"):
        remoting.add(other, "server", server)
    with pytest.raises(NoRemoteError):
        remoting.fetch(other, "nobody")


def test_paths_outside(session, other, write, server, tmp_path):
    """A stack from elsewhere does not take what lies outside of its own directory, unless it is trusted to."""
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_text("secret")
    commit_file(session, write("stack.toml", package("a")), message="first")
    share(session, server)
    remoting.clone(other, server, "mine")

    def take(session):
        return change(session, "packages.a.source", f'{{ path = "{tmp_path}/private" }}', profile="mine")

    with pytest.raises(UntrustedPathError, match="lies outside"):
        take(other)
    take(dataclasses.replace(other, trust=True))


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:secret@example.org/x.git",
        "https://example.org/x?private_token=s",
        "ada:secret@example.org:x",
        "https:/ada:s@x/y",
        "https://token@example.org/x",
        "ftp://example.org/x",
        "-x",
        "ext::sh -c x",
        "",
    ],
)
def test_urls(session, url):
    """URLs with credentials, of other kinds, or that git would take for options are refused."""
    if url == "ext::sh -c x":
        assert check_url(url, directory="/tmp") == "/tmp/ext::sh -c x"
        return
    with pytest.raises(InvalidError):
        remoting.add(session, "x", url)
    assert remotes(session.store) == {}


def test_refusals_of_the_server(session, main, server):
    """What a server's hook refuses is told with its words."""
    hook = f"{server}/hooks/pre-receive"
    with open(hook, "w") as file:
        file.write("#!/bin/sh\necho no pushes on fridays >&2; exit 1\n")
    os.chmod(hook, 0o755)
    with pytest.raises((PushRefusedError, NetworkError), match="pre-receive hook declined|fridays"):
        share(session, server)
    assert "refs/remotes/origin/main" not in session.store.refs.names()


def test_offline(session, main, tmp_path):
    """Offline nothing is asked of a server; a directory of this machine is no server."""
    fetching = dataclasses.replace(session.fetching, offline=True)
    offline = dataclasses.replace(session, fetching=fetching)
    remoting.add(offline, "far", "https://example.invalid/x.git")
    with pytest.raises(NetworkError, match="--offline|would have to be fetched"):
        remoting.fetch(offline, "far")
    share(offline, str(bare(tmp_path / "near.git")), "near")


def test_commands(hdist, write, tmp_path):
    """As people type it."""
    server = str(bare(tmp_path / "server.git"))
    write("stack.toml", package("a"))
    hdist("commit", "-m", "first")
    hdist("push", expect=3)
    assert "--trust says so" in hdist("remote", "add", "origin", server, expect=1).stderr
    hdist("remote", "add", "--trust", "origin", server)
    assert hdist("push").stdout.startswith("main ")
    assert "has all of it already" in hdist("push").stderr
    assert hdist("remote", "list").stdout == f"origin {server}  followed by main\n"
    other = {"HDIST_STORE": str(tmp_path / "second")}
    hdist("init", env=other)
    hdist("clone", server, env=other, expect=1)
    assert hdist("clone", "--trust", server, "mine", env=other).stderr.endswith("undo: hdist undo\n")
    hdist("set", "packages.a.version=2", env=other)
    hdist("push", env=other)
    assert '"ref": "refs/remotes/origin/main"' in hdist("fetch", "--json").stdout
    hdist("branch", "-m", "trunk")
    assert hdist("remote", "list").stdout == f"origin {server}  followed by trunk\n"
    hdist("branch", "-m", "main")
    assert "nothing new at origin" in hdist("fetch").stderr
    assert "fast-forward" in hdist("pull").stderr
    hdist("remote", "remove", "origin")
    assert hdist("remote", "list").stdout == ""
