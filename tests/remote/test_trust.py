"""What comes from elsewhere is looked at whole before anything refers to it, and must be signed where that is asked."""

import dataclasses
import json
import os
import shutil
import subprocess

import pytest
from support import package

from hashdist import Store
from hashdist.errors import DamagedError, HashdistError, NetworkError
from hashdist.objects.commits import NOBODY
from hashdist.objects.ids import CommitId, SourceId, TreeId
from hashdist.objects.signing import Signer, SigningError, UnsignedError
from hashdist.refs import names
from hashdist.remote.fetching import bring_source
from hashdist.remote.validating import HostileError
from hashdist.sources.pin import Pin
from hashdist.stack.editing import set_key
from hashdist.stack.file import parse_stack
from hashdist.store.making import init_store
from hashdist.workflow import branching, remoting
from hashdist.workflow.commit import commit_file, edit
from hashdist.workflow.pinning import UntrustedPathError, pin as pin_stack
from hashdist.workflow.profile import find
from hashdist.workflow.session import Session


def make_theirs(folder):
    """Somebody's store, whose repository is the server, with a profile in it."""
    path = str(folder / "their-store")
    init_store(path, durability="fast")
    store = Store.open(path, identity="Mallory <m@example.org>", search_path=os.environ["PATH"])
    work = folder / "work"
    (work / "src").mkdir(parents=True)
    there = Session(store, dict(os.environ), str(work))
    (work / "src" / "hello").write_text("hello")
    (work / "stack.toml").write_text(package("a") + package("b", source='{ path = "src" }'))
    commit_file(there, str(work / "stack.toml"), message="first")
    return there


@pytest.fixture
def theirs(tmp_path):
    return make_theirs(tmp_path)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    return make_theirs(tmp_path_factory.mktemp("lasting"))


@pytest.fixture
def hostile(lasting):
    """The same for many tests, whose refs are put back after each."""
    refs = lasting.store.refs
    before = refs.all()
    yield lasting
    with refs.transaction("put back") as transaction:
        for name in refs.all().keys() - before.keys():
            transaction.delete(name, old=refs[name])
        for name, id in before.items():
            transaction.set(name, id)


def entry(mode, name, id):
    return b"%b %b\0%b" % (mode, name, bytes.fromhex(id))


def raw(store, *entries):
    """A tree that nobody checked."""
    return TreeId(store.objects.add("tree", b"".join(entry(*one) for one in entries)))


def commit_of(store, tree, **options):
    return store.objects.add_commit(tree, **{"identity": NOBODY, "time": 1, "message": "m", **options})


def parts(store):
    """The entries of the profile's tree, to make another of."""
    tree = store.objects.commit(find(store, "main")).tree
    return {
        one.name: (b"40000" if one.mode.value == 0o40000 else b"100644", one.name, one.id)
        for one in store.objects.tree(tree)
    }


def with_entry(store, mode, name, id):
    found = {**parts(store), name: (mode, name, id)}
    order = sorted(found.values(), key=lambda one: one[1] + (b"/" if one[0] == b"40000" else b""))
    return commit_of(store, raw(store, *order))


def bomb(store):
    """A tree of a kilobyte with ten thousand million paths."""
    blob = store.objects.add_blob(b"x")
    tree = raw(store, (b"100644", b"f", blob))
    for _ in range(10):
        tree = raw(store, *((b"40000", b"%d" % number, tree) for number in range(10)))
    return tree


def chain(store, count):
    tree = raw(store, (b"100644", b"f", store.objects.add_blob(b"x")))
    for _ in range(count):
        tree = raw(store, (b"40000", b"d", tree))
    return tree


def other_spec(store):
    """A commit whose lock names a spec that stands under another name."""
    found = parts(store)
    specs = {one.name: one.id for one in store.objects.tree(found[b"specs"][2])}
    swapped = raw(
        store, (b"40000", b"a", specs[b"b"]), (b"40000", b"b", specs[b"a"]), (b"40000", b"base", specs[b"base"])
    )
    return with_entry(store, b"40000", b"specs", swapped)


def forged_lock(store):
    """A commit whose lock names a spec that is not there."""
    found = parts(store)
    spec = str(next(one.id for one in store.objects.tree(found[b"specs"][2]) if one.name == b"a"))
    lock = store.objects.blob(found[b"lock.json"][2]).replace(spec.encode(), b"1" * 40)
    return with_entry(store, b"100644", b"lock.json", store.objects.add_blob(lock))


def hidden_parent(store):
    """A commit with a parent where git does not look for one."""
    tree = store.objects.commit(find(store, "main")).tree
    lines = f"tree {tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\nparent {'1' * 40}\n\nx\n"
    return CommitId(store.objects.add("commit", lines.encode()))


def swapped_lock(store):
    """A commit whose lock gives each of two packages the other one's spec."""
    found = parts(store)
    specs = {one.name: str(one.id).encode() for one in store.objects.tree(found[b"specs"][2])}
    lock = store.objects.blob(found[b"lock.json"][2])
    lock = lock.replace(specs[b"a"], b"x" * 40).replace(specs[b"b"], specs[b"a"]).replace(b"x" * 40, specs[b"b"])
    return with_entry(store, b"100644", b"lock.json", store.objects.add_blob(lock))


def large(store):
    return with_entry(store, b"100644", b"notes", store.objects.add_blob(b"0" * (65 << 20)))


HOSTILE = {
    "swapped lock": swapped_lock,
    "large": large,
    "scan beside": lambda store: with_entry(store, b"100644", b"scan.json", store.objects.add_blob(b"{}")),
    "parent": lambda store: with_entry(store, b"100644", b"..", store.objects.add_blob(b"x")),
    "git": lambda store: with_entry(store, b"40000", b".git", chain(store, 1)),
    "git~1": lambda store: with_entry(store, b"100644", b"git~1", store.objects.add_blob(b"x")),
    "slash": lambda store: with_entry(store, b"100644", b"a/b", store.objects.add_blob(b"x")),
    "gitlink": lambda store: with_entry(store, b"160000", b"sub", "1" * 40),
    "gitmodules": lambda store: with_entry(store, b"100644", b".gitmodules", store.objects.add_blob(b"")),
    "bomb": lambda store: with_entry(store, b"40000", b"patches", bomb(store)),
    "bomb of specs": lambda store: with_entry(store, b"40000", b"specs", bomb(store)),
    "deep": lambda store: with_entry(store, b"40000", b"patches", chain(store, 60)),
    "stack is a link": lambda store: with_entry(
        store, b"120000", b"stack.toml", store.objects.add_blob(b"/etc/passwd")
    ),
    "no spec": lambda store: with_entry(store, b"40000", b"specs", raw(store, (b"40000", b"a", chain(store, 1)))),
    "spec of another name": other_spec,
    "forged lock": forged_lock,
    "lock": lambda store: with_entry(store, b"100644", b"lock.json", store.objects.add_blob(b"{")),
    "time": lambda store: commit_of(store, store.objects.commit(find(store, "main")).tree, time=1 << 50),
    "history": lambda store: commit_of(
        store,
        store.objects.commit(find(store, "main")).tree,
        parents=[with_entry(store, b"100644", b"..", store.objects.add_blob(b"x"))],
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_commits(session, hostile, what, git, without_git):
    """What breaks the rules is refused whole, whoever carries it: no ref, and no object of it, is in the store."""
    store = hostile.store
    good = find(store, "main")
    bad = HOSTILE[what](store)
    store.refs.update("refs/heads/bad", bad, old=None, reason="hostile")
    remoting.add(session, "origin", store.git)
    before = set(git("cat-file", "--batch-check", "--batch-all-objects").splitlines())
    for one in (session, without_git(session)):
        with pytest.raises((HostileError, NetworkError)):
            remoting.fetch(one)
    assert session.store.refs.all(names.REMOTES) == {}
    assert set(git("cat-file", "--batch-check", "--batch-all-objects").splitlines()) == before
    assert (
        os.listdir(session.store.inside("downloads")) == ["partial"]
        or os.listdir(session.store.inside("downloads")) == []
    )
    store.refs.update("refs/heads/bad", good, old=bad, reason="mended")
    remoting.fetch(session)
    assert find(session.store, "origin/bad") == good


def test_what_is_no_profile(session, theirs):
    """Branches that are no profiles, tags of blobs, and names that are too long are left out and told; the rest comes."""
    store = theirs.store
    page = commit_of(store, raw(store, (b"100644", b"index.html", store.objects.add_blob(b"hi"))))
    store.refs.update("refs/heads/gh-pages", page, old=None, reason="x")
    store.refs.update(f"refs/heads/{'x' * 200}", find(store, "main"), old=None, reason="x")
    subprocess.run(["git", "-C", store.git, "tag", "blob", store.objects.add_blob(b"x")], check=True)
    subprocess.run(["git", "-C", store.git, "tag", "-a", "-m", "words", "v1", "main"], check=True)
    subprocess.run(["git", "-C", store.git, "symbolic-ref", "refs/heads/alias", "refs/heads/main"], check=True)
    project = commit_of(
        store, raw(store, (b"100644", b"README", store.objects.add_blob(b"x")), (b"160000", b"sub", "1" * 40))
    )
    store.refs.update("refs/heads/project", project, old=None, reason="with a submodule")
    remoting.add(session, "origin", store.git)
    _, fetched = remoting.fetch(session)
    assert len(fetched.notes) == 4
    assert {one.ref for one in fetched.moved} >= {
        "refs/remotes/origin/main",
        "refs/remotes/origin/alias",
        "refs/tags/v1",
    }
    assert find(session.store, "v1") == find(store, "main")
    assert page not in session.store.fresh_objects()


def test_tags_of_other_things_here(session, theirs):
    """A tag of a tree among one's own, which somebody made with git, stops no fetch."""
    mine = session.store
    tree = mine.objects.add_files({"a": b"1"})
    subprocess.run(["git", "-C", mine.git, "update-ref", "refs/tags/odd", tree], check=True)
    remoting.add(session, "origin", theirs.store.git)
    assert remoting.fetch(session)[1].moved


@pytest.mark.parametrize("text", ["object {tip}\ntype commit\n", "object {tip}\ntype commit\ntag v\0x\n\nx", "x"])
def test_malformed_tags(session, hostile, text, without_git):
    """A tag of git's own that says nothing of what it should is refused, whoever carries it."""
    store = hostile.store
    tag = store.objects.add("tag", text.format(tip=find(store, "main")).encode())
    with open(f"{store.git}/refs/tags/bad", "w") as file:
        file.write(f"{tag}\n")
    remoting.add(session, "origin", store.git)
    for one in (session, without_git(session)):
        with pytest.raises((HostileError, NetworkError)):
            remoting.fetch(one)
    os.unlink(f"{store.git}/refs/tags/bad")


def test_a_hidden_parent(theirs):
    """A parent is one only where git takes it for one."""
    commit = theirs.store.objects.commit(hidden_parent(theirs.store))
    assert commit.parents == ()
    broken = theirs.store.objects.add("commit", b"tree " + b"1" * 40 + b"\nparent x\n\n")
    with pytest.raises(DamagedError):
        theirs.store.objects.commit(CommitId(broken))


@pytest.mark.parametrize("what", ["more", "directory", "text"])
def test_hostile_scans(session, hostile, what, without_git):
    """Scans of hosts are these files and no others."""
    store = hostile.store
    name = next(iter(store.refs.all(names.HOSTS)))
    found = {one.name: one for one in store.objects.tree(store.objects.commit(store.refs[name]).tree)}
    entries = {key: (b"40000" if key == b"spec" else b"100644", key, one.id) for key, one in found.items()}
    if what == "more":
        entries[b"evil"] = (b"40000", b"evil", bomb(store))
    elif what == "directory":
        entries[b"scan.json"] = (b"40000", b"scan.json", bomb(store))
    else:
        entries[b"scan.json"] = (b"100644", b"scan.json", store.objects.add_blob(b"hi"))
    order = sorted(entries.values(), key=lambda one: one[1] + (b"/" if one[0] == b"40000" else b""))
    store.refs.update(name, commit_of(store, raw(store, *order)), old=store.refs[name], reason="hostile")
    remoting.add(session, "origin", store.git)
    for one in (session, without_git(session)):
        with pytest.raises((HostileError, NetworkError)):
            remoting.fetch(one)
    assert session.store.refs.all(names.REMOTES) == {}


def test_names_that_mislead(session, theirs):
    """Tags that would be taken for a remote's profile, and names with odd line ends, do no harm."""
    store = theirs.store
    tip = find(store, "main")
    for name in ("refs/tags/origin/main", "refs/tags/HEAD", "refs/heads/a\x85b", "refs/heads/hosts"):
        store.refs.update(name, tip, old=None, reason="x")
    subprocess.run(["git", "-C", store.git, "tag", "-a", "-m", "words", "ann", "main"], check=True)
    tag = subprocess.check_output(["git", "-C", store.git, "rev-parse", "ann"], text=True).strip()
    with open(f"{store.git}/refs/heads/tagged", "w") as file:
        file.write(f"{tag}\n")
    remoting.add(session, "origin", store.git)
    _, fetched = remoting.fetch(session)
    assert len(fetched.notes) == 3
    assert session.store.refs.all("refs/tags/").keys() == {"refs/tags/ann"}
    assert session.store.refs["refs/remotes/origin/tagged"] == tip
    assert find(session.store, "origin/a\x85b") == tip


def test_what_is_asked_for_by_path(session, theirs, tmp_path):
    """A lock that names a path of this machine brings nothing that is not the source it names."""
    secret = tmp_path / "private"
    secret.mkdir()
    (secret / "key").write_text("secret")
    pin = Pin({"path": str(secret)}, SourceId("1" * 40))
    with pytest.raises(HashdistError, match="cannot be had again"):
        session.fetcher.bring_all([pin])
    assert session.store.sources.all() == []
    file_url = {"url": f"file://{secret}/key"}
    foreign = dataclasses.replace(session, foreign=True)
    text = package("a", source=f'{{ url = "{file_url["url"]}" }}')
    with pytest.raises(UntrustedPathError):
        pin_stack(foreign, text, parse_stack(text), {}, before=None)


def test_hostile_sources(session, theirs):
    """A source that is another thing than was asked for, or breaks the rules, is not taken."""
    store = theirs.store
    share = remoting.clone(session, store.git, "mine")
    (id,) = store.sources.all()
    good = store.refs[names.SOURCES + id]
    network = session.fetcher.network()
    for bad in (
        commit_of(store, bomb(store), message=f"source {id}\n"),
        with_entry(store, b"100644", b"..", store.objects.add_blob(b"x")),
        CommitId(store.objects.add_blob(b"no commit")),
    ):
        store.refs.update(names.SOURCES + id, bad, old=store.refs[names.SOURCES + id], reason="hostile")
        with pytest.raises((HostileError, NetworkError)):
            bring_source(session.store, share.remote, id, env=session.env, network=network)
        assert session.store.sources.all() == []
    store.refs.update(names.SOURCES + id, good, old=store.refs[names.SOURCES + id], reason="mended")
    assert bring_source(session.store, share.remote, id, env=session.env, network=network)
    assert session.store.sources.all() == [id]


def test_too_much(session, theirs):
    """Who sends more than the limit is cut off."""
    store = theirs.store
    blob = store.objects.add_blob(os.urandom(2_000_000))
    store.refs.update(
        "refs/heads/main", with_entry(store, b"100644", b"notes", blob), old=find(store, "main"), reason="x"
    )
    limits = dataclasses.replace(session.fetching.limits, download=100_000)
    small = dataclasses.replace(session, fetching=dataclasses.replace(session.fetching, limits=limits))
    remoting.add(session, "origin", store.git)
    with pytest.raises(HashdistError, match="limit: download"):
        remoting.fetch(small)
    assert session.store.refs.all(names.REMOTES) == {}


def test_nothing_runs(session, theirs, tmp_path):
    """No hook, filter or setting of the other side, nor of a hostile stack, is run by what only looks."""
    trap = tmp_path / "ran"
    store = theirs.store
    hook = f"#!/bin/sh\ntouch {trap}\n"
    for name in ("post-checkout", "post-merge", "reference-transaction", "post-update", "pre-receive"):
        os.makedirs(f"{store.git}/hooks", exist_ok=True)
        with open(f"{store.git}/hooks/{name}", "w") as file:
            file.write(hook)
        os.chmod(f"{store.git}/hooks/{name}", 0o755)
    edit(theirs, lambda text: set_key(text, "packages.a.commands", f'["touch {trap}"]'), message="evil")
    remoting.clone(session, store.git, "mine")
    edit(theirs, lambda text: set_key(text, "packages.a.version", "2"), message="again")
    remoting.pull(session, profile="mine")
    assert not trap.exists()


@pytest.fixture
def keys(tmp_path):
    """Keys of Ada, who may sign, and of Eve, who may not; and the file that says so."""
    for name in ("ada", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f'ada@example.org namespaces="git" {(tmp_path / "ada.pub").read_text()}')
    return tmp_path, str(signers)


def signing(session, key):
    return dataclasses.replace(session, signer=Signer(str(key), session.env))


def test_signatures(session, theirs, keys):
    """Where signers are named only what one of them signed is taken; git itself finds the signature good."""
    folder, signers = keys
    remoting.add(session, "origin", theirs.store.git)
    strict = dataclasses.replace(session, signers=signers)
    with pytest.raises(UnsignedError, match="is not signed by anybody"):
        remoting.fetch(strict)
    edit(signing(theirs, folder / "eve"), lambda text: set_key(text, "packages.a.env.X", "1"), message="eve")
    with pytest.raises(UnsignedError):
        remoting.fetch(strict)
    assert session.store.refs.all(names.REMOTES) == {}
    done = edit(signing(theirs, folder / "ada"), lambda text: set_key(text, "packages.a.env.X", "2"), message="ada")
    remoting.fetch(strict)
    assert find(session.store, "origin/main") == done.commit
    command = ["git", "-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", done.commit]
    said = subprocess.run(command, cwd=theirs.store.git, capture_output=True, text=True)
    assert said.returncode == 0
    assert "ada@example.org" in said.stderr
    branching.create_tag(theirs.store, "plain", "main~1")
    with pytest.raises(UnsignedError):
        remoting.fetch(strict)
    branching.delete_tag(theirs.store, "plain")
    signer = Signer(str(folder / "ada"), theirs.env)
    branching.create_message_tag(theirs.store, "v1", "main~1", message="release", signer=signer)
    remoting.fetch(strict)
    assert find(session.store, "v1") == find(theirs.store, "main~1")
    with pytest.raises(SigningError, match="cannot sign"):
        signing(theirs, folder / "nobody").signer.sign(b"x")
    assert isinstance(done.commit, CommitId)


@pytest.mark.skipif(not shutil.which("gpg"), reason="no gpg here: install gnupg")
def test_signatures_of_another_kind(session, theirs, keys, tmp_path, monkeypatch):
    """A good OpenPGP signature, by whatever key the user has, is none of those who are named."""
    home = tmp_path / ".gnupg"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    made = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "eve@example.org", "ed25519", "sign"]
    subprocess.run(made, check=True, capture_output=True)
    store = theirs.store
    tip = find(store, "main")
    command = ["git", "-C", store.git, "commit-tree", f"{tip}^{{tree}}", "-p", tip, "-m", "evil", "-Seve@example.org"]
    evil = CommitId(subprocess.check_output(command, text=True).strip())
    assert subprocess.run(["git", "-C", store.git, "verify-commit", evil], capture_output=True).returncode == 0
    store.refs.update("refs/heads/main", evil, old=tip, reason="evil")
    remoting.add(session, "origin", store.git)
    env = {**session.env, "GNUPGHOME": str(home), "HOME": str(tmp_path)}
    with pytest.raises(UnsignedError):
        remoting.fetch(dataclasses.replace(session, env=env, signers=keys[1]))
    subprocess.run(["gpgconf", "--kill", "all"], check=False)


def test_commands(hdist, write, keys, tmp_path):
    """Settings are listed, set and forgotten, and signing works as people type it."""
    folder, signers = keys
    hdist("config", "trust.sign", expect=3)
    hdist("config", "trust.nothing", "x", expect=1)
    hdist("config", "trust.sign", str(folder / "ada"))
    hdist("config", "trust.signers", signers)
    hdist("config", "sources.parallel", "2")
    assert hdist("config", "trust.signers").stdout == f"{signers}\n"
    assert "sources.parallel = 2" in hdist("config").stdout
    hdist("config", "sources.parallel", "many", expect=1)
    hdist("config", "sources.parallel", "0", expect=1)
    hdist("config", "sources.mirrors", "https://a.example/x /srv/mirror")
    assert json.loads(hdist("config", "sources.mirrors", "--json").stdout)["value"] == [
        "https://a.example/x",
        "/srv/mirror",
    ]
    hdist("config", "sources.mirrors", '["/srv/other"]')
    hdist("config", "sources.mirrors", "gopher://a.example/x", expect=1)
    hdist("config", "sources.limits.size", "2G")
    assert hdist("config", "sources.limits.size").stdout == "2G\n"
    hdist("config", "sources.limits.size", "much", expect=1)
    hdist("config", "--unset", expect=2)
    hdist("config", "sources.limits.nothing", "2", expect=1)
    hdist("config", "sources.limits", "2", expect=1)
    hdist("config", "sources.require-hash", "perhaps", expect=1)
    hdist("config", "build.jail", "sometimes", expect=1)
    hdist("config", "host.class", "12")
    assert 'class = "12"' in (tmp_path / "home/.config/hashdist/config.toml").read_text()
    hdist("config", "host.class", "--unset")
    for key in ("sources.limits.size", "sources.mirrors", "sources.parallel"):
        hdist("config", key, "--unset")
    assert "parallel" not in hdist("config").stdout
    write("stack.toml", package("a"))
    hdist("commit", "-m", "first")
    hdist("tag", "-s", "v1", "-m", "release")
    assert hdist("rev-parse", "v1").stdout == hdist("rev-parse", "main").stdout
    env = {"HDIST_STORE": str(tmp_path / "second")}
    hdist("init", env=env)
    hdist("clone", "--trust", str(tmp_path / "store" / "git"), "mine", env=env)
    hdist("config", "trust.sign", "--unset")
    hdist("set", "packages.a.version=2")
    assert "is not signed" in hdist("pull", env=env, expect=1).stderr
