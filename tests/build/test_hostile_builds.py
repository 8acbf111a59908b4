"""Builds that do odd things harm nothing but themselves."""

import hashlib
import os
import subprocess
import time

import pytest
from support import package

from hashdist.build.scheduler import BuildsFailedError
from hashdist.checkout.links import OwnPathError
from hashdist.errors import InvalidError
from hashdist.objects import manifest
from hashdist.objects.spec import read_spec
from hashdist.stack.file import parse_stack
from hashdist.workflow import building, checkout as checkouts
from hashdist.workflow.commit import commit_file
from hashdist.workflow.profile import find, read_profile


def build(session, write, text):
    return building.build_commit(session, commit_file(session, write("stack.toml", text), message="m").commit)


def artifact(session, name):
    lock = read_profile(session.store.objects, find(session.store, "HEAD")).lock
    return session.store.artifacts.path(read_spec(session.store.objects, lock.specs[name]).artifact)


def test_prefix_replaced_by_a_link(session, write, tmp_path):
    """What a PREFIX that became a link leads to is not sealed."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").write_text("x")
    with pytest.raises(BuildsFailedError, match="no directory any more"):
        build(session, write, package("a", f"rmdir $PREFIX; ln -s {mine} $PREFIX"))
    assert os.stat(mine / "file").st_mode & 0o200
    assert os.stat(mine / "file").st_mtime > 1_000_000_000


def test_hard_links_into_other_artifacts(session, write):
    """Hard links to a sealed artifact's files become files of their own before anything is changed."""
    write("src/a.c", "int a(void) { return 1; }\n")
    text = '[host]\ngcc = "path:gcc"\n' + package(
        "aa",
        "mkdir -p $PREFIX/lib; cc -shared -fPIC -o $PREFIX/lib/liba.so a.c -Wl,-rpath,$PREFIX/lib; cc -shared -fPIC -o $PREFIX/lib/libb.so a.c -L$PREFIX/lib -Wl,--no-as-needed -la -Wl,-rpath,$PREFIX/lib",
        inputs='["gcc"]',
        source='{ path = "src" }',
    )
    text += package("merge", "cp -al $AA_DIR/. $PREFIX/", inputs='["aa"]')
    build(session, write, text)
    record = session.store.artifacts.record(
        read_profile(session.store.objects, find(session.store, "HEAD")).lock.specs["aa"]
    )
    for entry in manifest.decode(record.manifest):
        path = os.path.join(artifact(session, "aa"), entry.path.decode())
        if entry.sha256:
            with open(path, "rb") as file:
                assert hashlib.sha256(file.read()).hexdigest() == entry.sha256
            assert os.stat(path).st_mode & 0o222 == 0


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo said; rm -rf $PREFIX; exit 3", "status 3"),
        ("echo said; mkfifo $PREFIX/pipe", "left 'pipe'"),
        ("echo said", "wrote nothing"),
        ("echo said; rmdir $PREFIX", "no directory any more"),
    ],
)
def test_failures_keep_their_log(session, write, script, words):
    """However a build fails, its last lines, log and directory are told, and other builds go on."""
    with pytest.raises(BuildsFailedError, match=words) as caught:
        build(session, write, package("bad", script) + package("good"))
    failure = caught.value.failures["bad"]
    assert "said" in str(failure) and os.path.exists(failure.log)
    assert not os.path.exists(artifact(session, "bad"))


def test_odd_elf_files_and_modes(session, write):
    """A file that only begins like a program, and files nobody may read, are sealed like any other."""
    script = (
        "mkdir -p $PREFIX/secret; printf '\\177ELF\\002\\001\\001garbage' > $PREFIX/odd; printf x > $PREFIX/secret/f; "
        "chmod 0111 $PREFIX/odd; chmod 000 $PREFIX/secret/f $PREFIX/secret"
    )
    build(session, write, package("a", script))
    record = session.store.artifacts.record(
        read_profile(session.store.objects, find(session.store, "HEAD")).lock.specs["a"]
    )
    assert [entry.path for entry in manifest.decode(record.manifest)] == [b"odd", b"secret", b"secret/f"]
    assert os.stat(f"{artifact(session, 'a')}/secret").st_mode & 0o777 == 0o555


def test_what_leaves_the_group_is_ended_too(session, write):
    """A process that made a session of its own does not outlive the build."""
    build(session, write, package("a", "mkdir -p $PREFIX/x; setsid sleep 429 & sleep 0.2"))
    time.sleep(0.1)
    assert subprocess.run(["pgrep", "-x", "-f", "sleep 429"], capture_output=True, check=False).stdout == b""


def test_long_commands(session, write):
    """A command longer than the kernel takes as an argument runs."""
    build(session, write, package("a", f"mkdir -p $PREFIX; echo {'x' * 200_000} > $PREFIX/f"))
    assert os.path.getsize(f"{artifact(session, 'a')}/f") == 200_001


def test_the_kept_script_runs_from_anywhere(session, write, tmp_path):
    """The script that a failure points to does the same again, in the kept directory."""
    with pytest.raises(BuildsFailedError) as caught:
        build(session, write, package("a", "pwd; exit 9"))
    failure = caught.value.failures["a"]
    done = subprocess.run(
        ["env", "-i", "sh", f"{failure.directory}/build.sh"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (9, f"{failure.directory}/src")


def test_a_source_below_a_link(session, write, tmp_path):
    """A source whose place lies below a link of the main source is refused, and nothing is written there."""
    (tmp_path / "outside").mkdir()
    write("src/f", "x")
    write("more/g", "y")
    os.symlink(tmp_path / "outside", tmp_path / "work/src/vendor")
    text = '[packages.a]\nversion = "1"\ncommands = ["cp -r . $PREFIX"]\nsource = { path = "src" }\n[packages.a.sources]\n"vendor/zlib" = { path = "more" }\n'
    with pytest.raises(BuildsFailedError, match="'vendor' is no directory"):
        build(session, write, text)
    assert os.listdir(tmp_path / "outside") == []


@pytest.mark.parametrize("patch", ["lock.json", "stack.toml", "specs/fix.patch"])
def test_patches_cannot_take_the_place_of_a_commit_s_own_files(patch):
    """A patch by the name of a part of the commit would ruin it."""
    with pytest.raises(InvalidError, match="rename it"):
        parse_stack(package("a", patches=f'["{patch}"]'))


def test_names_of_the_prefix_s_own(session, write):
    """An artifact with a file that every prefix has its own of is told as a conflict, with its owner."""
    recorded = commit_file(session, write("stack.toml", package("a", "echo x > $PREFIX/pyvenv.cfg")), message="m")
    with pytest.raises(OwnPathError, match=r"'pyvenv\.cfg' is a file in 'a', and every prefix has its own there"):
        checkouts.ready(session, recorded.commit)


def test_wide_trees_need_few_descriptors(store, tmp_path):
    """A source with thousands of directories is written out with few open files."""
    import resource

    from hashdist.objects.directory import import_directory
    from hashdist.objects.exporting import export_tree

    for number in range(300):
        (tmp_path / "wide" / str(number) / "deep").mkdir(parents=True)
    tree = import_directory(store.objects, str(tmp_path / "wide"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        export_tree(store.objects, tree, str(tmp_path / "out"), mtime=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(os.listdir(tmp_path / "out")) == 300


def test_each_failure_has_its_hint(session, write):
    """When several packages fail, each one's hint is told with it."""
    recorded = commit_file(session, write("stack.toml", package("a", "exit 3") + package("b", "gcc x.c")), message="m")
    with pytest.raises(BuildsFailedError) as caught:
        building.build_commit(session, recorded.commit, keep_going=True)
    assert "hint: look around" in str(caught.value)
    assert "hint: 'gcc' comes with a compiler" in str(caught.value)
