"""Stores that several people use: readers, groups, root, read-only file systems, and stores upstream of others."""

import importlib.metadata
import os
import pathlib
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile

import pytest
from packaging.requirements import Requirement
from support import package

import hashdist
from hashdist.fsutil.removal import remove_tree

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to be several people")

ADA, BOB, EVE = 61001, 61002, 61003
GROUP = 61100


@pytest.fixture
def place():
    """A directory that everybody may enter, with a home and a working directory for each."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hdist-test-"))
    folder.chmod(0o755)
    for user in (ADA, BOB, EVE):
        for name in ("home", "work"):
            path = folder / f"{name}{user}"
            path.mkdir()
            os.chown(path, user, user)
    apps = folder / "apps"
    apps.mkdir()
    os.chown(apps, ADA, ADA)
    yield folder
    remove_tree(str(folder))


def wanted(name, found):
    """The distributions that one needs to run, by name."""
    dist = importlib.metadata.distribution(name)
    found[name] = dist
    for line in dist.requires or ():
        requirement = Requirement(line)
        if requirement.name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            wanted(requirement.name, found)
    return found


def is_open(base, site):
    """Whether everybody may run a Python with hashdist."""
    try:
        done = subprocess.run(
            [base, "-c", "import hashdist.cli.app, pygit2"],
            user=BOB,
            group=BOB,
            extra_groups=[],
            env={"PYTHONPATH": str(site)},
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """A Python with hashdist that everybody may run, since the tests' own may be closed: its path, and PYTHONPATH."""
    site = pathlib.Path(tempfile.mkdtemp(prefix="hdist-site-"))
    site.chmod(0o755)
    shutil.copytree(
        pathlib.Path(hashdist.__file__).parent, site / "hashdist", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, dist in wanted("hashdist", {}).items():
        for file in dist.files or () if name != "hashdist" else ():
            if ".." not in file.parts and not file.parts[0].startswith("/"):
                target = site / str(file)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(dist.locate_file(file)), target)
    for here, folders, files in os.walk(site):
        for one in folders:
            os.chmod(os.path.join(here, one), 0o755)
        for one in files:
            os.chmod(os.path.join(here, one), 0o755)
    own = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for base in (getattr(sys, "_base_executable", sys.executable), f"/usr/bin/{own}", f"/usr/local/bin/{own}"):
        if is_open(base, site):
            break
    else:
        remove_tree(str(site))
        pytest.skip(f"no {own} that other users may run")
    yield base, str(site)
    remove_tree(str(site))


@pytest.fixture
def run(place, python):
    """Run hdist as somebody."""
    base, site = python

    def command(user, store, *arguments, expect=0, umask=0o022, groups=(), cwd=None):
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(place / f"home{user}") if user else os.environ["HOME"],
            "HDIST_STORE": str(store),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": site,
        }
        words = [base, "-m", "hashdist.cli", *arguments]
        done = subprocess.run(
            words,
            user=user,
            group=user,
            extra_groups=list(groups),
            umask=umask,
            env=env,
            cwd=cwd or (place / f"work{user}" if user else place),
            capture_output=True,
            text=True,
            check=False,
        )
        assert expect is None or done.returncode == expect, (
            f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return command


def write(place, user, name, text):
    path = place / f"work{user}" / name
    path.write_text(text)
    os.chown(path, user, user)


def snapshot(folder):
    """Everything below a directory, with modes, owners, times and sizes."""
    found = {}
    for here, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            status = os.lstat(os.path.join(here, name))
            found[os.path.join(here, name)] = (status.st_mode, status.st_uid, status.st_mtime_ns, status.st_size)
    return found


TOOL = package(
    "tool", "mkdir -p $PREFIX/bin; printf '#!/bin/sh\\necho tool\\n' > $PREFIX/bin/tool; chmod +x $PREFIX/bin/tool"
)


@pytest.fixture
def shared(place, run):
    """Ada's store, readable for all, with a profile that is built and checked out."""
    store = place / "apps/store"
    write(place, ADA, "stack.toml", TOOL + package("lib"))
    run(ADA, store, "init")
    run(ADA, store, "commit", "stack.toml", "-m", "first")
    run(ADA, store, "checkout", "--build")
    return store


def test_a_reader_of_what_was_never_checked_out(place, run, shared):
    """A profile that is built and has no prefix yet cannot be run by a reader, who is told what can be done."""
    write(place, ADA, "two.toml", TOOL + package("two"))
    run(ADA, shared, "commit", "two.toml", "-m", "x", "-b", "other")
    run(ADA, shared, "build", "other")
    refused = run(BOB, shared, "run", "other", "--", "tool", expect=1)
    assert "its prefix is not made yet, and you may not write to the store" in refused.stderr
    own = place / f"work{BOB}/own"
    run(BOB, own, "init", "--upstream", str(shared))
    assert run(BOB, own, "run", "other", "--", "tool").stdout == "tool\n"


def test_a_prefix_of_what_is_gone(place, run, shared):
    """A reader's prefix that leads to what has gone from upstream is told so by verify, with the command that helps."""
    write(place, ADA, "two.toml", TOOL + package("two"))
    run(ADA, shared, "commit", "two.toml", "-m", "x", "-b", "other")
    run(ADA, shared, "build", "other")
    own, env = place / f"work{BOB}/own", place / f"work{BOB}/env"
    run(BOB, own, "init", "--upstream", str(shared))
    run(BOB, own, "checkout", "other", "--to", str(env))
    run(ADA, shared, "branch", "-D", "other")
    run(ADA, shared, "gc", "--now")
    told = run(BOB, own, "verify", expect=8).stdout
    assert told.count("damaged") + told.count("missing") == 2, told  # and the line that counts them
    assert "two/1/" in told
    assert "has gone from upstream" in told
    words = shlex.split(told.split("it is built here by: hdist ")[1].splitlines()[0])
    assert words[-2:] == ["--to", str(env)]
    run(BOB, own, *words)
    assert (env / "share/two").exists()
    run(BOB, own, "verify")


def test_a_reader_writes_nothing(place, run, shared):
    """Who may only read looks at everything and runs what is there, and leaves no trace."""
    before = snapshot(shared)
    for words in (
        ("list",), ("status",), ("log",), ("show", "main"), ("branch",), ("artifact", "list"), ("artifact", "show", "tool"),
        ("env",), ("du",), ("gc", "-n"), ("gc", "--why", "tool"), ("verify",), ("host", "list"), ("source", "list"), ("pin",),
    ):  # fmt: skip
        run(BOB, shared, *words)
    assert run(BOB, shared, "run", "main", "--", "tool").stdout == "tool\n"
    write(place, BOB, "other.toml", package("x"))
    for words in (
        ("commit", "other.toml", "-m", "x"),
        ("tag", "t"),
        ("gc",),
        ("branch", "-D", "main"),
        ("checkout", "main"),
    ):
        done = run(BOB, shared, *words, expect=None)
        assert done.returncode != 0
        assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
    assert snapshot(shared) == before


def test_upstream(place, run, shared):
    """A store of one's own uses the artifacts, sources and prefixes of the one above, and copies none of them."""
    own = place / f"home{BOB}" / "store"
    before = snapshot(shared)
    run(BOB, own, "init", "--upstream", str(shared))
    said = run(BOB, own, "checkout", "main").stderr
    assert "built" not in said
    assert os.readlink(own / "current").startswith(f"{shared}/prefixes/")
    assert run(BOB, own, "run", "HEAD", "--", "tool").stdout == "tool\n"
    assert os.listdir(own / "artifacts") == []
    assert os.listdir(own / "prefixes") == []
    assert "nothing to do" in run(BOB, own, "build", "main").stderr
    path = run(BOB, own, "artifact", "path", "tool").stdout.strip()
    assert path.startswith(f"{shared}/artifacts/tool/1/")
    # something of one's own on top, of something above
    write(place, BOB, "mine.toml", TOOL + package("mine", "mkdir -p $PREFIX; tool > $PREFIX/said", inputs='["tool"]'))
    run(BOB, own, "commit", "mine.toml", "-m", "mine", "-b", "mine")
    assert "built mine" in run(BOB, own, "checkout", "--build", "mine").stderr
    assert sorted(os.listdir(own / "artifacts")) == ["mine"]
    assert (own / "current/said").read_text() == "tool\n"
    assert "all is well" in run(BOB, own, "verify").stdout
    run(BOB, own, "gc", "--now")
    assert (own / "current/said").read_text() == "tool\n"
    assert "all is well" in run(BOB, own, "verify").stdout
    run(BOB, own, "checkout", "-b", "from-above", "main")
    subprocess.run(["git", "-c", "safe.directory=*", "-C", own / "git", "fsck", "--full", "--strict"], check=True)
    assert snapshot(shared) == before
    # and a chain of three
    third = place / f"home{EVE}" / "store"
    os.chmod(place / f"home{BOB}", 0o755)
    run(EVE, third, "init", "--upstream", str(own))
    run(EVE, third, "checkout", "mine")
    assert run(EVE, third, "run", "HEAD", "--", "tool").stdout == "tool\n"
    assert os.listdir(third / "artifacts") == []
    assert "all is well" in run(EVE, third, "verify").stdout


def test_sources_from_above(place, run, shared):
    """A source that is upstream is not fetched."""
    write(place, ADA, "data.txt", "data")
    id = run(ADA, shared, "source", "add", "data.txt").stdout.strip()
    own = place / f"home{BOB}" / "store"
    run(BOB, own, "init", "--upstream", str(shared))
    run(BOB, own, "source", "get", id, "--to", "out")
    assert (place / f"work{BOB}/out/data.txt").read_text() == "data"
    assert run(BOB, own, "source", "list").stdout == ""


@pytest.mark.parametrize("pinning", [False, True])
def test_what_goes_upstream(place, run, shared, pinning):
    """What a reader uses stays where the site lets them say so; else it is gone, which is said with what rebuilds it."""
    own = place / f"home{BOB}" / "store"
    if pinning:
        (shared / "pins.d").mkdir()
        (shared / "pins.d").chmod(0o1777)
    run(BOB, own, "init", "--upstream", str(shared))
    run(BOB, own, "checkout", "main")
    run(BOB, own, "checkout", "-b", "mine")
    run(BOB, own, "checkout", "mine")
    write(place, ADA, "other.toml", package("other"))
    run(ADA, shared, "commit", "other.toml", "-m", "x", "-b", "other")
    run(ADA, shared, "checkout", "--build", "other")
    run(ADA, shared, "branch", "-D", "main")
    said = run(ADA, shared, "gc", "--now").stdout
    if pinning:
        assert len(os.listdir(shared / "pins.d")) == 1
        assert run(BOB, own, "run", "HEAD", "--", "tool").stdout == "tool\n"
        assert "reader" in run(ADA, shared, "gc", "--why", "tool").stdout
        # Bob has something else now
        run(BOB, own, "checkout", "other")
        run(ADA, shared, "gc", "--now")
        assert not os.path.exists(shared / "artifacts/tool")
        return
    assert "tool" in said
    done = run(BOB, own, "env", expect=3)
    assert "is gone from there" in done.stderr
    assert "hdist checkout --build mine" in done.stderr
    done = run(BOB, own, "checkout", "mine", expect=3)
    assert f"gone from the upstream store {shared}" in done.stderr
    assert "built tool" in run(BOB, own, "checkout", "--build", "mine").stderr
    assert run(BOB, own, "run", "HEAD", "--", "tool").stdout == "tool\n"


def test_a_pin_that_cannot_be_read(place, run, shared):
    """A file among the readers' pins that nobody can read stops gc, which names it."""
    (shared / "pins.d").mkdir()
    (shared / "pins.d").chmod(0o1777)
    (shared / "pins.d/x").write_text("{")
    done = run(ADA, shared, "gc", "--now", expect=8)
    assert "pins.d/x" in done.stderr


def test_upstream_that_is_not_there(place, run, shared):
    """An upstream store that is not mounted is named, and one's own things are not lost."""
    own = place / f"home{BOB}" / "store"
    run(BOB, own, "init", "--upstream", str(place / "nothing"), expect=3)
    run(BOB, own, "init", "--upstream", str(shared))
    os.rename(shared, place / "elsewhere")
    done = run(BOB, own, "list", "main", expect=3)
    assert f"the upstream store '{shared}' is not there" in done.stderr
    os.rename(place / "elsewhere", shared)
    run(BOB, own, "list", "main")


def test_a_group(place, run):
    """Members of a group work on one store under umask 077, also on what another member made; others may read."""
    store = place / "apps/store"
    os.chown(place / "apps", ADA, GROUP)
    os.chmod(place / "apps", 0o775)
    words = {"umask": 0o077, "groups": [GROUP]}
    run(ADA, store, "init", "--group", str(GROUP), **words)
    write(place, ADA, "stack.toml", TOOL)
    run(ADA, store, "commit", "stack.toml", "-m", "ada", **words)
    run(ADA, store, "checkout", "--build", **words)
    run(ADA, store, "checkout", "-b", "dead", **words)
    run(ADA, store, "set", "packages.tool.env.X=1", **words)
    run(ADA, store, "checkout", "--build", **words)
    write(place, BOB, "stack.toml", TOOL + package("bob", inputs='["tool"]'))
    run(BOB, store, "commit", "stack.toml", "-m", "bob", "-b", "main", **words)
    run(BOB, store, "checkout", "--build", "main", **words)
    run(BOB, store, "branch", "-D", "dead", **words)
    run(BOB, store, "gc", "--now", **words)
    assert len(os.listdir(store / "artifacts/tool/1")) == 1, "Bob's gc takes what Ada built"
    run(ADA, store, "tag", "paper", **words)
    write(place, ADA, "src.txt", "x")
    run(ADA, store, "source", "add", "src.txt", **words)
    run(BOB, store, "source", "add", str(place / f"work{BOB}"), **words)
    run(BOB, store, "verify", **words)
    run(ADA, store, "verify", **words)
    assert run(EVE, store, "run", "main", "--", "tool").stdout == "tool\n"
    run(EVE, store, "tag", "evil", expect=None)
    for here, folders, files in os.walk(store):
        for name in folders:
            status = os.lstat(os.path.join(here, name))
            if stat.S_ISDIR(status.st_mode) and "/builds" not in here:
                assert status.st_mode & 0o2070 == 0o2070, os.path.join(here, name)
                assert status.st_gid == GROUP
        for name in files:
            status = os.lstat(os.path.join(here, name))
            if stat.S_ISREG(status.st_mode):
                assert status.st_mode & 0o040, os.path.join(here, name)
                sealed = "/artifacts/" in here or "/objects" in here or "/prefixes/" in here
                assert sealed or status.st_mode & 0o020, f"{here}/{name} cannot be written to by the group"
    assert run(EVE, store, "tag").stdout.startswith("paper")


def test_root_leaves_nothing(place, run):
    """Root at work on somebody's store acts as that somebody; what root runs from it is root's again."""
    store = place / "apps/store"
    write(place, ADA, "stack.toml", TOOL)
    run(ADA, store, "init")
    os.chmod(place / f"work{ADA}", 0o755)
    words = {"cwd": place / f"work{ADA}"}
    run(0, store, "commit", "stack.toml", "-m", "root", **words)
    run(0, store, "checkout", "--build", **words)
    run(0, store, "checkout", "main", **words)
    run(0, store, "build", **words)
    run(0, store, "source", "add", "stack.toml", **words)
    run(0, store, "source", "add", str(place / f"work{ADA}"), **words)
    run(0, store, "tag", "x", **words)
    run(0, store, "host", "check", **words)
    run(0, store, "verify", **words)
    run(0, store, "gc", "--now", **words)
    assert run(0, store, "run", "HEAD", "--", "id", "-u", **words).stdout == "0\n"
    assert run(0, store, "run", "HEAD", "--", "tool", **words).stdout == "tool\n"
    assert run(0, store, "jail", "--", "id", "-u", **words).stdout == "0\n"
    write(place, ADA, "two.toml", package("two"))
    run(ADA, store, "commit", "two.toml", "-m", "x", "-b", "two")
    run(ADA, store, "build", "two")
    run(0, store, "compare", "main", "two", "-r", "1", "--warm-up", "0", "--", "true", **words)
    owners = {os.lstat(os.path.join(here, name)).st_uid for here, a, b in os.walk(store) for name in (*a, *b)}
    assert owners == {ADA}
    (place / "closed").mkdir(0o700)
    refused = run(0, store, "checkout", "main", "--to", str(place / "closed/env"), expect=1, **words)
    assert f"hint: hdist acts as the owner of the store, uid {ADA}" in refused.stderr


def test_a_read_only_file_system(place, run):
    """On a read-only file system all that reads works, and what would write says so in one line."""
    disk = place / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=False).returncode:
        pytest.skip("needs mount")
    try:
        store = disk / "store"
        disk.chmod(0o777)
        write(place, ADA, "stack.toml", TOOL)
        run(ADA, store, "init")
        run(ADA, store, "commit", "stack.toml", "-m", "m")
        run(ADA, store, "checkout", "--build")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for words in (
            ("status",),
            ("list",),
            ("log",),
            ("env",),
            ("du",),
            ("gc", "-n"),
            ("verify",),
            ("build", "main"),
        ):
            run(ADA, store, *words)
        assert run(ADA, store, "run", "HEAD", "--", "tool").stdout == "tool\n"
        for words in (
            ("tag", "x"),
            ("gc",),
            ("commit", "stack.toml", "-m", "x", "--allow-empty"),
            ("source", "add", "stack.toml"),
        ):
            done = run(ADA, store, *words, expect=None)
            assert done.returncode == 1
            assert "ead-only" in done.stderr
            assert len(done.stderr.strip().splitlines()) <= 2
        own = place / f"home{BOB}" / "store"
        run(BOB, own, "init", "--upstream", str(store))
        run(BOB, own, "checkout", "main")
        assert run(BOB, own, "run", "HEAD", "--", "tool").stdout == "tool\n"
    finally:
        subprocess.run(["umount", disk], check=True)


def test_root_sees_everybody(place, run):
    """gc of root leaves what anybody's program uses, though root acts as the store's owner."""
    store = place / "apps/store"
    write(place, ADA, "stack.toml", package("x", "mkdir -p $PREFIX/bin && cp /bin/sleep $PREFIX/bin/nap"))
    run(ADA, store, "init")
    run(ADA, store, "commit", "stack.toml", "-m", "x", "-b", "nap")
    run(ADA, store, "build", "nap")
    (program,) = store.glob("artifacts/x/1/*/bin/nap")
    nap = subprocess.Popen(["nap", "60"], executable=program, user=BOB, group=BOB, extra_groups=[])
    try:
        run(ADA, store, "branch", "-D", "nap")
        assert f"process {nap.pid}" not in run(ADA, store, "gc", "-n", "--now").stdout
        assert f"process {nap.pid}" in run(0, store, "gc", "-n", "--now").stdout
        run(0, store, "gc", "--now")
        assert program.exists()
    finally:
        nap.kill()
        nap.wait()
    run(0, store, "gc", "--now")
    assert not program.exists()


def test_root_whose_hdist_is_closed(place, run):
    """Where the owner of a store may not read root's hdist, root is told that, and not that this should not have happened."""
    store = place / "apps/store"
    run(ADA, store, "init")
    closed = place / "closed"
    shutil.copytree(pathlib.Path(hashdist.__file__).parent, closed / "hashdist")
    closed.chmod(0o700)
    env = {"PYTHONPATH": f"{closed}:{os.pathsep.join(sys.path)}", "PATH": os.environ["PATH"], "HDIST_STORE": str(store)}
    command = [sys.executable, "-m", "hashdist.cli", "gc", "-n"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=closed)
    assert done.returncode == 1
    assert "who may not read" in done.stderr, done.stderr
    assert "should not" not in done.stderr


def test_a_copy(place, run, shared):
    """A copy of a store says what it is of; nothing that it says to type changes the original."""
    copy = place / "apps/copy"
    subprocess.run(["cp", "-a", shared, copy], check=True)
    assert f"this is a copy of the store at '{shared}'" in run(ADA, copy, "build", "main", expect=4).stderr
    assert "problem      this is a copy" in run(ADA, copy, "doctor", expect=1).stdout


def test_moved(place, run, shared):
    """A store that was moved, or is looked at by another path than its own, says so and what to do."""
    moved = place / "apps/moved"
    os.rename(shared, moved)
    done = run(ADA, moved, "build", "main", expect=4)
    assert f"was made at '{shared}'" in done.stderr
    assert "ln -s" in done.stderr
    os.symlink(moved, shared)
    run(ADA, moved, "build", "main")
    os.unlink(shared)
    shutil.move(moved, shared)
    run(ADA, shared, "build", "main")


def test_mixed_prefixes(place, run, shared):
    """A prefix of own and upstream artifacts is another one when these have come to lie here; and what refers to what is
    gone upstream is built again.
    """
    own = place / f"home{BOB}" / "store"
    run(BOB, own, "init", "--upstream", str(shared))
    text = TOOL + package("mine", "mkdir -p $PREFIX; ln -s $(command -v tool) $PREFIX/link", inputs='["tool"]')
    write(place, BOB, "mine.toml", text)
    run(BOB, own, "commit", "mine.toml", "-m", "mine", "-b", "mine")
    run(BOB, own, "checkout", "--build", "mine")
    assert os.readlink(own / "current/link").startswith(str(own)) or (own / "current/link").exists()
    write(place, ADA, "other.toml", package("other"))
    run(ADA, shared, "commit", "other.toml", "-m", "x", "-b", "other")
    run(ADA, shared, "checkout", "--build", "other")
    run(ADA, shared, "branch", "-D", "main")
    run(ADA, shared, "gc", "--now")
    assert "refers to it" in run(BOB, own, "verify", expect=8).stdout
    said = run(BOB, own, "checkout", "--build", "mine").stderr
    assert "built tool" in said
    assert "built mine" in said
    assert run(BOB, own, "run", "mine", "--", "tool").stdout == "tool\n"
    assert (own / "current/link").resolve().exists()
    assert "all is well" in run(BOB, own, "verify").stdout


def test_references_are_pinned(place, run, shared):
    """What own artifacts refer to upstream is kept there, though no prefix holds it; an environment pins, too."""
    (shared / "pins.d").mkdir()
    (shared / "pins.d").chmod(0o1777)
    own = place / f"home{BOB}" / "store"
    run(BOB, own, "init", "--upstream", str(shared))
    text = TOOL.replace('version = "1"', 'version = "1"\nbuild-only = true')
    text += package("mine", "mkdir -p $PREFIX/bin; ln -s $(command -v tool) $PREFIX/bin/mine", inputs='["tool"]')
    write(place, BOB, "mine.toml", text)
    run(BOB, own, "commit", "mine.toml", "-m", "mine", "-b", "mine")
    run(BOB, own, "checkout", "--build", "mine")
    assert "built tool" not in run(BOB, own, "status").stdout
    run(ADA, shared, "checkout", "-b", "empty")
    write(place, ADA, "other.toml", package("other"))
    run(ADA, shared, "commit", "other.toml", "-m", "x", "-b", "other")
    run(ADA, shared, "checkout", "--build", "other")
    run(ADA, shared, "branch", "-D", "main")
    run(ADA, shared, "branch", "-D", "empty")
    run(ADA, shared, "gc", "--now")
    assert run(BOB, own, "run", "mine", "--", "mine").stdout == "tool\n"


def test_failed_builds_of_a_group(place, run):
    """What one member's failed build left stops neither the others' builds nor their gc."""
    store = place / "apps/store"
    os.chown(place / "apps", ADA, GROUP)
    os.chmod(place / "apps", 0o775)
    words = {"umask": 0o077, "groups": [GROUP]}
    run(ADA, store, "init", "--group", str(GROUP), **words)
    for user in (ADA, BOB):
        write(place, user, "f.toml", package("f", "mkdir -p $PREFIX $HOME/x; touch $PREFIX/x $HOME/x/y; exit 1"))
    run(ADA, store, "build", "f.toml", expect=5, **words)
    assert "could not be begun" not in run(BOB, store, "build", "f.toml", expect=5, **words).stderr
    run(ADA, store, "gc", "-n", "--now", **words)
    run(ADA, store, "gc", "--now", **words)
    run(BOB, store, "gc", "--now", **words)
    assert os.listdir(store / "builds") == []


def test_init_refuses(place, run, shared):
    """What cannot be a group's store, or is one already, is refused in a line."""
    store = place / "apps/other"
    for group in ("no-such-group", "999999999999", "0"):
        done = run(ADA, store, "init", "--group", group, expect=1)
        assert "group" in done.stderr
    assert "config.toml" in run(ADA, shared, "init", "--upstream", str(shared), expect=4).stderr
    assert not store.exists()
