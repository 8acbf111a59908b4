"""What tests of sharing have in common: a stack, servers for it, and the round that each way of carrying must stand."""

import subprocess

from support import package

from hashdist.remote.remotes import followed, remotes
from hashdist.stack.editing import set_key
from hashdist.workflow import building, pushing, remoting
from hashdist.workflow.commit import commit_file, edit
from hashdist.workflow.profile import find, read_profile


def bare(path):
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    return path


def recorded(session, write, url):
    text = (
        package("a", "mkdir -p $PREFIX/share && cp hello $PREFIX/share", source='{ path = "src" }')
        + package("b")
        + package("z", "mkdir -p $PREFIX/share && cp hello $PREFIX/share/z", source=f'{{ url = "{url}/z.tar" }}')
    )
    return commit_file(session, write("stack.toml", text), message="first").commit


def share(session, url, name="origin", **options):
    if name not in remotes(session.store):
        remoting.add(session, name, url)
    return pushing.push(session, name, with_local=True, **options)


def change(session, key, value, **options):
    return edit(session, lambda text: set_key(text, key, value), message=f"{key}={value}", **options).commit


def refs_of(path):
    output = subprocess.check_output(["git", "-C", path, "for-each-ref", "--format=%(refname)"], text=True)
    return output.split()


def round_trip(session, other, url):
    """Push, clone, build the same artifact there, change, push, pull."""
    done = share(session, url)
    assert done.sent[0].ref == "refs/heads/main"
    assert len(done.sent) == 2
    cloned = remoting.clone(other, url, "mine")
    assert cloned.commit == find(session.store, "main")
    ours, theirs = (read_profile(one.store.objects, cloned.commit).lock for one in (session, other))
    assert ours == theirs
    assert other.store.sources.all() == []
    built = building.build_commit(other, cloned.commit)
    assert built.total == 3
    assert {spec for spec, _ in other.store.artifacts.all()} >= {theirs.specs[name] for name in "abz"}
    changed = change(other, "packages.b.version", "2", profile="mine")
    assert followed(other.store, "mine").branch == "main"
    assert [one.ref for one in pushing.push(other, None, ["mine"]).sent] == ["refs/heads/main"]
    pulled = remoting.pull(session)
    assert (pulled.merged.how, pulled.merged.commit) == ("fast-forward", changed)
    assert pushing.push(session).sent == []
    assert "error" not in subprocess.check_output(
        ["git", "-C", other.store.git, "fsck", "--full", "--strict"], stderr=subprocess.STDOUT, text=True
    )
