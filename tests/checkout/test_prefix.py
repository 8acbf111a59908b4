"""Prefixes: what is in them, how they are named, and what happens in bad places."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from support import package

from hashdist.checkout import prefix as prefixes
from hashdist.checkout.links import Member, PathConflictError
from hashdist.checkout.switch import FORMAT, Checkout, NotALinkError, known_prefix
from hashdist.errors import InvalidError
from hashdist.fsutil.locks import locked
from hashdist.objects.spec import read_spec
from hashdist.stack.file import StackError, parse_stack
from hashdist.stack.linking import Rule
from hashdist.store.artifacts import NotBuiltError
from hashdist.workflow import checkout as checkouts
from hashdist.workflow.commit import commit_file, edit
from hashdist.workflow.profile import find, read_profile

TWO = package(
    "a",
    "mkdir -p $PREFIX/share/a $PREFIX/etc; echo 1 > $PREFIX/share/a/x; echo a > $PREFIX/share/both; echo c > $PREFIX/etc/a.conf",
) + package(
    "b",
    "mkdir -p $PREFIX/share/b $PREFIX/lib/r; echo 1 > $PREFIX/share/b/y; echo b > $PREFIX/share/both; echo r > $PREFIX/lib/r/s",
)


def checked_out(session):
    """Check the tip out and return its prefix."""
    target = checkouts.choose(session, Checkout(session.store), None)
    path = checkouts.ready(session, target.commit)
    Checkout(session.store).switch(target.commit, path, branch=target.branch, reason="x")
    return path


def test_rules_of_a_stack(session, write):
    """A conflict is settled by the line that is told, rules change the prefix and nothing that is built."""
    commit_file(session, write("stack.toml", TWO), message="m")
    with pytest.raises(PathConflictError, match="'share/both' is in both 'a' and 'b'") as error:
        checked_out(session)
    assert os.listdir(session.store.inside("prefixes")) == []
    line = re.search(r"prefer = \{ [^}]* \}", error.value.hint)[0]
    specs = read_profile(session.store.objects, find(session.store, None)).lock.specs
    edit(session, lambda text: f"[prefix]\n{line}\n{text}", message="settle")
    first = checked_out(session)
    with open(f"{first}/share/both") as file:
        assert file.read() == "a\n"
    assert os.path.islink(f"{first}/share/a")
    assert os.path.islink(f"{first}/lib")
    assert not os.path.islink(f"{first}/etc/a.conf")
    rules = f'[prefix]\n{line}\nexclude = ["a:share/a"]\nlink = ["lib/**"]\n'
    text = read_profile(session.store.objects, find(session.store, None)).text.partition("\n\n")[2] or TWO
    edit(
        session,
        lambda _: rules + TWO.replace("[packages.b]", '[packages.b]\nprefix = { copy = ["share/b/*"] }'),
        message="more",
    )
    second = checked_out(session)
    assert text
    assert second != first
    assert not os.path.exists(f"{second}/share/a")
    assert os.path.islink(f"{second}/lib/r/s")
    assert not os.path.islink(f"{second}/lib/r")
    assert not os.path.islink(f"{second}/share/b/y")
    assert read_profile(session.store.objects, find(session.store, None)).lock.specs == specs


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ('exclude = ["/etc"]', "prefix.exclude: '/etc' must be relative"),
        ('exclude = "x"', "must be a list"),
        ('prefer = { "x" = "c" }', "no package or host entry 'c'"),
        ('prefer = { "x" = 1 }', "must be the name of a package"),
        ('link = ["c:x"]', "no package or host entry 'c'"),
        ("fold = false", "unknown key"),
    ],
)
def test_bad_rules(rules, fault):
    """Rules that mean nothing are refused with their line."""
    with pytest.raises(StackError) as error:
        parse_stack(f"{package('a')}[prefix]\n{rules}\n")
    assert fault in str(error.value)
    assert re.match(r"stack.toml:\d+: prefix", error.value.message)


def members_of(session):
    lock = read_profile(session.store.objects, find(session.store, None)).lock
    ids = [read_spec(session.store.objects, lock.specs[name]).artifact for name in lock.prefix_names()]
    return [Member(one, session.store.artifacts.path(one)) for one in ids]


@pytest.fixture
def built(session, write):
    """A stack of one package, checked out."""
    text = package(
        "a",
        "mkdir -p $PREFIX/share/deep/er $PREFIX/bin; echo 1 > $PREFIX/share/deep/er/x; cp /bin/sh $PREFIX/bin/s 2>/dev/null || :",
    )
    commit_file(session, write("stack.toml", text), message="m")
    return checked_out(session)


def test_names(session, built):
    """A prefix is named by its members, the rules and the number of the rules of linking; others are beside it."""
    store, members = session.store, members_of(session)
    assert prefixes.plan(store, members).path == built
    other = prefixes.plan(store, members, [Rule("link", "**")])
    assert other.path != built
    path = prefixes.make(store, other, env=session.env)
    assert os.path.islink(f"{path}/share/deep/er/x")
    assert not os.path.islink(f"{path}/share/deep/er")
    assert os.path.islink(f"{built}/share")
    for place, _, _ in os.walk(path):
        assert os.stat(place).st_mode & 0o777 == 0o555
    for place in ("", "/bin"):
        assert os.stat(built + place).st_mode & 0o777 == 0o555


def test_a_prefix_of_other_rules_is_made_anew(session, built):
    """What the index says of prefixes made by older rules does not count."""
    store, commit = session.store, find(session.store, None)
    with open(store.inside("index", "prefix", commit), "w") as file:
        file.write(f"{os.path.basename(built)}\n")
    assert known_prefix(store, commit) is None
    with open(store.inside("index", "prefix", commit), "w") as file:
        file.write(f"{FORMAT - 1} {os.path.basename(built)}\n")
    assert known_prefix(store, commit) is None
    assert checkouts.ready(session, commit) == built
    assert known_prefix(store, commit) == built


def test_shells_know_the_format():
    """The shell functions read the same number in the index."""
    from importlib import resources

    for name in ("hdist.sh", "hdist.fish"):
        text = resources.files("hashdist.cli").joinpath("shell", name).read_text()
        assert re.search(rf'= "?{FORMAT}\b', text)


def test_what_has_gone_is_built_again(hdist, session, built):
    """A known prefix whose artifact was taken away by hand is not shown as if nothing were; it is built again."""
    (member,) = members_of(session)
    os.rename(member.path, f"{member.path}-away")
    assert "1 of 1 to build" in hdist("checkout", "main", expect=3).stderr
    assert "not built" in hdist("run", "main", "--", "true", expect=3).stderr
    hdist("checkout", "--build", "main")
    assert os.path.exists(f"{built}/share/deep/er/x")


def test_a_failed_switch_keeps_nothing(session, built, tmp_path):
    """Where no link can be made nothing is registered; a checkout that was there shows what it showed."""
    commit, place = find(session.store, None), tmp_path / ("x" * 300)
    checkout = Checkout(session.store, str(place))
    with pytest.raises(OSError, match="too long") as error:
        checkout.switch(commit, built, branch="refs/heads/main", reason="x")
    assert error.value.filename == str(place)
    assert not checkout.is_registered
    assert checkout.commit is None
    assert os.listdir(session.store.inside("checkouts")) == []


def test_a_missing_artifact(session, built):
    """What was taken away from the store by hand is told, and no prefix is made."""
    (member,) = members_of(session)
    plan = prefixes.plan(session.store, [member], [Rule("link", "**")])
    os.rename(member.path, f"{member.path}-away")
    with pytest.raises(NotBuiltError, match="not there: a/1/"):
        prefixes.make(session.store, plan, env=session.env)
    assert os.listdir(session.store.inside("prefixes")) == [os.path.basename(built)]
    os.rename(f"{member.path}-away", member.path)


@pytest.mark.parametrize("kind", ["file", "directory", "home", "root", "foreign", "no parent"])
def test_places_of_others(session, built, tmp_path, kind):
    """A checkout never replaces what is somebody's: a file, a directory, HOME, /, a link elsewhere."""
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("mine")
    elif kind == "directory":
        place.mkdir()
        (place / "mine").write_text("mine")
    elif kind == "foreign":
        place.symlink_to("/usr")
    target = {"home": os.environ["HOME"], "root": "/", "no parent": str(tmp_path / "no" / "place")}.get(
        kind, str(place)
    )
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(NotALinkError):
        Checkout(session.store, target).switch(find(session.store, None), built, branch=None, reason="x")
    assert sorted(os.listdir(tmp_path)) == before
    assert Checkout(session.store, target).commit is None


def test_a_path_no_list_can_hold(session):
    """A prefix whose path has a colon cannot be put into PATH, and that is said."""
    from hashdist.environment.loading import load

    with pytest.raises(InvalidError, match="no search path can hold"):
        load({}, "x", "/a:b")


def test_a_full_disk(session, write, tmp_path):
    """A prefix that does not fit leaves nothing, the error is one line, and with room it is made."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system needs root")
    commit_file(
        session,
        write("stack.toml", package("a", "mkdir -p $PREFIX/s; for i in $(seq 300); do echo $i > $PREFIX/s/$i; done")),
        message="m",
    )
    checkouts.build_commit(session, find(session.store, None))
    place = session.store.inside("prefixes")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=100", "none", place]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no right to mount")
    try:
        plan = prefixes.plan(session.store, members_of(session), [Rule("link", "**")])
        with pytest.raises(OSError, match="No space left"):
            prefixes.make(session.store, plan, env=session.env)
        assert os.listdir(place) == []
        folded = prefixes.plan(session.store, members_of(session))
        assert os.path.isdir(prefixes.make(session.store, folded, env=session.env)), "folded it fits"
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_read_only_place(session, built):
    """In a store that may not be written to a known prefix is used, and a new one is refused in words."""
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    place = session.store.inside("prefixes")
    os.chmod(place, 0o555)
    try:
        assert checkouts.ready(session, find(session.store, None)) == built
        plan = prefixes.plan(session.store, members_of(session), [Rule("link", "**")])
        with pytest.raises(PermissionError):
            prefixes.make(session.store, plan, env=session.env)
    finally:
        os.chmod(place, 0o755)


def test_readers_see_one_or_the_other(session, write, tmp_path):
    """Who reads through the checkout in a loop during 200 switches always sees one whole prefix."""
    commits = []
    for number in ("1", "2"):
        text = "".join(package(name, f"mkdir -p $PREFIX/s; echo {number} > $PREFIX/s/{name}") for name in "ab")
        commit_file(session, write("stack.toml", text), message=number)
        commits.append((find(session.store, None), checked_out(session)))
    current = session.store.inside("current")
    reader = (
        "import os, sys\nseen = set()\nwhile not os.path.exists(sys.argv[2]):\n"
        "    here = os.open(sys.argv[1], os.O_PATH)\n"
        "    seen.add(tuple(open(f'/proc/self/fd/{here}/s/{name}').read() for name in 'ab'))\n"
        "    os.close(here)\nprint(sorted(seen))\n"
    )
    done = tmp_path / "done"
    process = subprocess.Popen([sys.executable, "-c", reader, current, done], stdout=subprocess.PIPE, text=True)
    for turn in range(200):
        commit, path = commits[turn % 2]
        Checkout(session.store).switch(commit, path, branch=None, reason="x")
    done.touch()
    assert process.communicate()[0] == "[('1\\n', '1\\n'), ('2\\n', '2\\n')]\n"
    assert process.returncode == 0


def test_a_switch_waits_for_another(session, hdist, write):
    """While one checkout is being switched another switch of it changes neither refs nor link; then it does both."""
    for number in ("1", "2"):
        commit_file(
            session, write("stack.toml", package("a", version=f'"{number}"')), message=number, profile=f"p{number}"
        )
        hdist("checkout", "--build", f"p{number}")
    store, checkout = session.store, Checkout(session.store)
    before = checkout.commit, checkout.prefix
    words = [sys.executable, "-m", "hashdist.cli", "checkout", "p1"]
    with locked(store.lock_path("checkout-current"), purpose="switch a checkout"):
        process = subprocess.Popen(words, env={**os.environ, "HDIST_STORE": store.path}, stderr=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        assert (checkout.commit, checkout.prefix) == before
    assert process.wait(20) == 0
    assert checkout.commit == find(store, "p1")
    assert os.path.realpath(checkout.prefix) == known_prefix(store, find(store, "p1"))


def test_two_at_once(session, built, write):
    """Two that make one prefix at once both get it."""
    plan = prefixes.plan(session.store, members_of(session), [Rule("link", "**")])
    pids = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(0 if prefixes.make(session.store, plan, env=session.env) == plan.path else 1)
            finally:
                os._exit(2)
        pids.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 4
    assert sorted(os.listdir(session.store.inside("prefixes"))) == sorted([plan.name, os.path.basename(built)])
