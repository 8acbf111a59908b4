"""Every command from end to end, with its exit codes, JSON and errors."""

import json
import os
import subprocess
import sys

import pytest
from support import package

from hashdist.cli.table import COMMANDS, SUMMARIES
from hashdist.store.store import FORMAT

STACK = package("a") + package("b", inputs='["a"]')


@pytest.fixture
def stack(write):
    return write("stack.toml", STACK)


def test_the_main_job(hdist, stack, tmp_path):
    """From a stack file to a checkout, a change, and back, as the README tells it."""
    commit = hdist("commit", "stack.toml", "-m", "first").stdout.strip()
    assert len(commit) == 40
    assert "to build" in hdist("checkout", expect=3).stderr
    assert "main@" in hdist("checkout", "--build", "main").stderr
    assert (tmp_path / "store/current/share/a").read_text() == "a\n"
    assert "nothing to do" in hdist("build").stderr
    hdist("checkout", "-b", "exp")
    assert "not checked out" in hdist("set", "packages.a.env.X=1").stderr
    hdist("checkout", "--build")
    assert [line.split(" ", 1)[1] for line in hdist("log", "exp", "--oneline").stdout.splitlines()] == [
        "set packages.a.env.X=1",
        "first",
    ]
    assert hdist("diff", "main", "exp").stdout == "~ a\n    env X: (none) → 1\n1 more only because of their inputs: b\n"
    hdist("checkout", "main")
    assert "undo: hdist undo" in hdist("branch", "-D", "exp").stderr
    assert "held by deleted exp, until" in hdist("gc", "-n").stdout
    assert "would be deleted" in hdist("gc", "-n", "--now").stdout
    assert " deleted" in hdist("gc", "--now").stdout
    assert hdist("du").stdout.startswith("main")


def test_edits(hdist, stack):
    """add, remove, set, unset, edit and update each make a commit on the profile that HEAD names."""
    hdist("commit", "-m", "first")
    hdist("add", "c==2.0", "--run", "mkdir -p $PREFIX; echo c > $PREFIX/c", "--path", "stack.toml", "--input", "a")
    hdist("set", "packages.c.env.X=1")
    hdist("unset", "packages.c.env.X")
    hdist("edit", env={"EDITOR": "sed -i s/2.0/3.0/", "VISUAL": ""})
    hdist("remove", "b")
    subjects = [line[13:] for line in hdist("log", "--oneline").stdout.splitlines()]
    assert subjects == [
        "remove b",
        "edit the stack",
        "unset packages.c.env.X",
        "set packages.c.env.X=1",
        "add c 2.0",
        "first",
    ]
    assert 'version = "3.0"' in hdist("show", "HEAD:stack.toml").stdout
    assert "nothing changed" in hdist("update", expect=1).stderr
    assert "nothing changed" in hdist("update", "--host", expect=1).stderr
    assert "no package" in hdist("remove", "zzz", expect=3).stderr
    assert "nothing was changed" in hdist("edit", expect=1, env={"EDITOR": "true", "VISUAL": ""}).stderr
    failed = hdist("edit", expect=1, env={"EDITOR": "false", "VISUAL": ""}).stderr
    assert "false" in failed
    assert "should not" not in failed


def test_reading_commands_speak_json(hdist, stack):
    """Each command that reads prints one document of version 1, also for an error."""
    hdist("commit", "-m", "first")
    hdist("build")
    for words in (
        ["status"],
        ["list"],
        ["log"],
        ["show"],
        ["show", "HEAD:a"],
        ["diff"],
        ["branch"],
        ["tag"],
        ["source", "list"],
        ["artifact", "list"],
        ["artifact", "show", "a"],
        ["gc", "-n"],
        ["du"],
        ["doctor"],
    ):
        document = json.loads(hdist(*words, "--json").stdout)
        assert document["version"] == 1, words
    error = json.loads(hdist("log", "nope", "--json", expect=3).stdout)["error"]
    assert set(error) == {"code", "message", "hint"}
    packages = json.loads(hdist("list", "--json").stdout)["packages"]
    assert [(one["name"], one["built"]) for one in packages] == [("a", True), ("b", True), ("base", True)]


def test_sources(hdist, write, tmp_path):
    """A source is added, listed, and written out again; an absent one is exit 3."""
    write("src/run", "#!/bin/sh\n")
    os.chmod(write("src/run", "x"), 0o755)
    id = hdist("source", "add", "src").stdout.strip()
    assert hdist("hash-source", "src").stdout.strip() == id
    assert hdist("source", "list", "-q").stdout.split() == [id]
    assert hdist("source", "list").stdout == f"{id}\t{tmp_path / 'work' / 'src'}\n"
    hdist("source", "get", f"swh:1:dir:{id}", "--to", "out")
    assert os.access(tmp_path / "work/out/run", os.X_OK)
    assert "already" in hdist("source", "get", id, "--to", "out", expect=4).stderr
    hdist("source", "get", "0" * 40, "--to", "x", expect=3)
    hdist("source", "get", "zzz", "--to", "x", expect=1)
    assert "no file or directory" in hdist("source", "add", "nowhere", expect=3).stderr


def test_artifacts(hdist, stack, tmp_path):
    """An artifact is found by name and by id; its path and log are printed."""
    hdist("commit", "-m", "first")
    hdist("artifact", "path", "a", expect=3)
    hdist("build", "-j", "2")
    path = hdist("artifact", "path", "a").stdout.strip()
    assert path.startswith(str(tmp_path / "store/artifacts/a/1/"))
    full = next(line for line in hdist("artifact", "list").stdout.splitlines() if line.startswith("a/"))
    assert hdist("artifact-path", full).stdout.strip() == path
    assert hdist("artifact", "path", full).stdout.strip() == path
    assert "echo a" in hdist("artifact", "log", "a").stdout
    assert path in hdist("artifact", "show", "a").stdout
    prefix = hdist("make-prefix", full).stdout.strip()
    assert os.path.exists(f"{prefix}/share/a")
    missing = full[:-40] + "0" * 40
    hdist("make-prefix", missing, expect=3)
    hdist("artifact-path", missing, expect=3)


def test_plumbing(hdist, stack, write):
    """Ids go out alone on their lines, and a spec's document gives its id back."""
    commit = hdist("commit", "-m", "first").stdout.strip()
    assert hdist("rev-parse", "HEAD", "main", commit[:8]).stdout.split() == [commit] * 3
    spec = json.loads(hdist("list", "--json").stdout)["packages"][0]["spec"]
    document = hdist("cat-spec", spec).stdout
    write("spec.json", json.dumps(json.loads(document), indent=3))
    assert hdist("hash-spec", "spec.json").stdout.strip() == spec
    assert hdist("hash-spec", "-", stdin=document).stdout.strip() == spec
    hdist("hash-spec", "stack.toml", expect=1)


def test_builds_of_files_and_plans(hdist, stack, write):
    """A stack file that is not recorded can be built; -n only tells; a failure is exit 5."""
    assert "not recorded" in hdist("build", "stack.toml").stderr
    hdist("commit", "-m", "first")
    assert "0 of 2 to build" in hdist("build", "-n").stderr
    write("bad.toml", package("bad", "exit 3"))
    done = hdist("build", "bad.toml", expect=5)
    assert "status 3" in done.stderr and "build.sh" in done.stderr


def test_tags_and_branches(hdist, stack):
    """Profiles and tags are listed, made and deleted, each telling how to undo it."""
    hdist("commit", "-m", "first")
    for what in ("branch", "tag"):
        assert hdist(what, "x").stderr.endswith("; undo: hdist undo\n")
        assert "x " in hdist(what).stdout
        hdist(what, "x", expect=4)
        assert hdist(what, "-d", "x").stderr.endswith("; undo: hdist undo\n")
        hdist(what, "-d", "x", expect=3)
        hdist(what, "a..b", expect=1)
    hdist("branch", "-D", "main", expect=4)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["frobnicate"], 2, "no command 'frobnicate'"),
        (["comit"], 2, "did you mean 'hdist commit'"),
        (["commit", "--frob"], 2, "No such option"),
        (["commit"], 2, "--message"),
        (["set", "novalue"], 2, "KEY=VALUE"),
        (["add", "x"], 2, "NAME==VERSION"),
        (["checkout", "nope"], 3, "no profile, tag or commit named 'nope'"),
        (["checkout"], 3, "no commits yet"),
        (["log"], 3, "no commits yet"),
        (["commit", "nowhere.toml", "-m", "x"], 3, "no stack file"),
        (["commit", ".", "-m", "x"], 1, "is a directory"),
        (["artifact", "path", "x"], 3, "no artifact"),
        (["build", "nowhere.toml"], 3, "no stack file"),
        (["--store", "/nonexistent/x", "log"], 3, "no store at"),
        (["branch", "-D"], 2, "name the profile"),
    ],
)
def test_errors(hdist, words, code, text):
    """One clear line with the right exit code; nothing on stdout."""
    done = hdist(*words, expect=code)
    assert text in done.stderr
    assert done.stdout == ""


def test_usage_errors_speak_json(hdist):
    """A command line that cannot be understood is told in JSON too, where that was asked for."""
    for words in (["log", "--frob", "--json"], ["frob", "--json"]):
        assert json.loads(hdist(*words, expect=2).stdout)["error"]["code"] == "usage"


def test_bad_stack_leaves_the_store_alone(hdist, write, tmp_path):
    """All faults of a file are told with their lines, and nothing is recorded."""
    write("stack.toml", package("a", bogus="1") + package('"../x"'))
    done = hdist("commit", "-m", "x", expect=1)
    assert (
        done.stderr.splitlines()[0]
        == "hdist: stack.toml:4: packages.a.bogus: unknown key (known: base, build-only, builder, commands, cpu, description, env, inputs, jail, options, patches, prefix, requires, source, sources, version)"
    )
    assert len(done.stderr.splitlines()) == 2
    assert not (tmp_path / "store/git/refs/heads/main").exists()


def test_checkout_elsewhere(hdist, stack, tmp_path):
    """--to makes a link at a path; a real directory there is left alone."""
    hdist("commit", "-m", "first")
    hdist("checkout", "--build", "main", "--to", "tools")
    assert (tmp_path / "work/tools/share/a").read_text() == "a\n"
    (tmp_path / "work/dir").mkdir()
    assert "not a checkout" in hdist("checkout", "main", "--to", "dir", expect=4).stderr
    assert "commit  " not in hdist("status", "--to", "tools").stdout


def test_detached(hdist, stack):
    """A tag is checked out without following it; edits then ask for a profile."""
    hdist("commit", "-m", "first")
    hdist("checkout", "--build")
    hdist("tag", "v1")
    hdist("checkout", "v1")
    assert "(none)" in hdist("status").stdout
    assert "not on a profile" in hdist("set", "a=1", expect=3).stderr
    hdist("checkout", "main")


def test_the_default_store_makes_itself(stack, tmp_path):
    """Without HDIST_STORE the first thing that writes makes ~/.hashdist; a store that was named is not made."""
    env = {name: value for name, value in os.environ.items() if name != "HDIST_STORE"}

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "hashdist.cli", *words],
            cwd=tmp_path / "work",
            env=env,
            capture_output=True,
            text=True,
        )

    assert run("log").returncode == 3
    assert not (tmp_path / "home/.hashdist").exists()
    assert run("commit", "-m", "x").returncode == 0
    assert (tmp_path / "home/.hashdist/format").read_text() == f"{FORMAT}\n"
    assert run("--store", "other", "commit", "-m", "x").returncode == 3


def test_quick_commands_load_little(hdist, stack, tmp_path):
    """--help, a checkout between existing prefixes and a check with nothing changed load neither pygit2 nor tqdm, nor click."""
    hdist("commit", "-m", "first")
    hdist("checkout", "--build")
    hdist("branch", "other")
    hdist("host", "check", "main")
    for words in (["--help"], ["checkout", "other"], ["checkout", "main"], ["host", "check", "main"]):
        code = f"import sys; from hashdist.cli.main import main; assert main({words!r}) == 0; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "HDIST_STORE": str(tmp_path / "store")},
        )
        loaded = set(done.stdout.splitlines()[-1].split())
        assert not loaded & {"pygit2", "tqdm", "click", "dataclasses", "requests"}, words
    assert hdist("branch").stdout.startswith("* main")


def test_new_and_doctor(hdist, tmp_path):
    """A starter is written once; doctor looks around."""
    hdist("new")
    assert (tmp_path / "work/stack.toml").exists()
    hdist("new", expect=4)
    assert "patchelf" in hdist("doctor").stdout


def test_init(hdist, tmp_path):
    """A store of another pattern is made once; a bad pattern makes none."""
    hdist("--store", "s", "init", "--pattern", "{hash:20}")
    assert "already" in hdist("--store", "s", "init").stderr
    assert "must hold" in hdist("--store", "t", "init", "--pattern", "{name}", expect=1).stderr
    assert not (tmp_path / "work/t").exists()


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_command_has_help(hdist, name):
    """Each command of the table explains itself."""
    assert "--help" in hdist(name, "--help").stdout


def test_the_table():
    """Every command of the contract so far is in the table, and every module of commands too."""
    folder = os.path.join(os.path.dirname(sys.modules["hashdist.cli.table"].__file__), "commands")
    modules = {
        name.removesuffix(".py").replace("_", "-").rstrip("-")
        for name in os.listdir(folder)
        if not name.startswith("__")
    }
    assert modules == set(SUMMARIES)
    assert sum(map(len, COMMANDS.values())) == len(SUMMARIES)


def test_closed_stdout(hdist, stack, tmp_path):
    """A reader that goes away ends the command without a word."""
    hdist("commit", "-m", "first")
    done = subprocess.run(
        f"{sys.executable} -m hashdist.cli log | true",
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HDIST_STORE": str(tmp_path / "store")},
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["checkout", "a" * 300], 3),
        (["rev-parse", "../config"], 3),
        (["rev-parse", "main~" + "9" * 5000], 3),
        (["branch", b"x\xff".decode(errors="surrogateescape")], 1),
        (["hash-spec", "bad.json"], 1),
        (["build", "-j", "100000"], 2),
    ],
)
def test_hostile_words(hdist, stack, write, words, code):
    """Words that no ref, number or spec can be end in one line with the right code."""
    hdist("commit", "-m", b"m\xff".decode(errors="surrogateescape"))
    write("bad.json", '{"format":1,"name":"a","version":"1","platform":{"os":"l","arch":"x","cpu":"y"},"runner":[1]}')
    done = hdist(*words, expect=code)
    assert len(done.stderr.strip().splitlines()) <= 2
    hdist("gc")
    hdist("log")


def test_log_of_a_package(hdist, stack):
    """What stands behind -- is a package."""
    hdist("commit", "-m", "first")
    hdist("set", "packages.b.env.X=1")
    hdist("set", "packages.a.env.X=1")
    assert len(hdist("log", "--oneline", "--", "a").stdout.splitlines()) == 2
    assert len(hdist("log", "main", "--oneline", "--", "b").stdout.splitlines()) == 3


def test_profiles_before_tags(hdist, stack):
    """checkout prefers a profile to a tag of its name, and HEAD stays on its profile."""
    hdist("commit", "-m", "first")
    hdist("checkout", "--build")
    hdist("tag", "main")
    hdist("set", "packages.a.env.X=1")
    hdist("checkout", "--build", "main")
    hdist("checkout", "HEAD")
    assert hdist("status").stdout.startswith("profile   main@")


def test_a_file_with_all_that_came_since(hdist, stack, write, tmp_path):
    """A file that has what others recorded meanwhile can be committed again without force."""
    hdist("commit", "-m", "first")
    hdist("set", "packages.a.env.X=1")
    hdist("commit", "-m", "stale", expect=4)
    fresh = hdist("show", "main:stack.toml").stdout
    write("stack.toml", fresh + package("c"))
    hdist("commit", "-m", "fresh")


def test_edits_know_where_the_file_was(hdist, write, tmp_path):
    """update takes relative paths from the file's directory, wherever it is typed."""
    write("one/src/f", "one")
    write("one/stack.toml", package("a", builder='"copy"', source='{ path = "src" }'))
    write("src/f", "another")
    hdist("commit", "one/stack.toml", "-m", "m")
    write("one/src/f", "two")
    hdist("update", "a")
    hdist("checkout", "--build")
    assert (tmp_path / "store/current/f").read_text() == "two"


def test_a_failed_edit_keeps_the_text(hdist, stack):
    """What was written in an editor is kept when it has a fault."""
    hdist("commit", "-m", "first")
    done = hdist("edit", env={"EDITOR": "sed -i s/version/verzion/", "VISUAL": ""}, expect=1)
    path = done.stderr.split("what you wrote is in ")[1].split(":")[0]
    with open(path) as file:
        assert "verzion" in file.read()
    os.unlink(path)


def test_completion_runs_no_names(hdist, stack, tmp_path):
    """A profile whose name looks like a command is completed, not run."""
    hdist("commit", "-m", "first")
    hdist("branch", f"$(touch${{IFS}}{tmp_path}/pwned)")
    script = hdist("completion", "bash").stdout + (
        f'\nhdist() {{ {sys.executable} -m hashdist.cli "$@"; }}\nCOMP_WORDS=(hdist checkout ""); COMP_CWORD=2; _hdist; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "HDIST_STORE": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "main" in done.stdout.splitlines()
    assert not (tmp_path / "pwned").exists()


def test_the_directory_is_gone(hdist, stack, tmp_path):
    """A command in a deleted directory says so."""
    code = "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); from hashdist.cli.main import main; sys.exit(main(['commit', '-m', 'x']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "HDIST_STORE": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {1, 3}
    assert "Traceback" not in done.stderr


def test_small_source_commands_load_little(hdist, tmp_path):
    """Adding, getting and telling of what is on this machine loads neither libgit2 nor what talks to servers."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_text("x")
    id = hdist("source", "add", str(tmp_path / "d")).stdout.strip()
    for words in (
        ["source", "add", str(tmp_path / "d")],
        ["source", "get", id, "--to", str(tmp_path / "out")],
        ["source", "show", id],
        ["source", "list"],
    ):
        code = f"import sys; from hashdist.cli.main import main; assert main({words!r}) == 0; print(*sys.modules)"
        env = {**os.environ, "HDIST_STORE": str(tmp_path / "store")}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
        loaded = set(done.stdout.splitlines()[-1].split())
        assert loaded & {"pygit2", "tqdm", "requests", "urllib3", "hashdist.sources.network"} == set(), words


def test_several_sources_in_json(hdist, tmp_path):
    """With --json what came is told beside what did not, and the exit code is that of the first failure."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_text("x")
    done = hdist("source", "add", str(tmp_path / "d"), f"file://{tmp_path}/no.tar.gz", "--json", expect=7)
    document = json.loads(done.stdout)
    assert [one["declaration"]["path"] for one in document["sources"]] == [str(tmp_path / "d")]
    (failure,) = document["errors"]
    assert failure["thing"].endswith("/no.tar.gz")
    assert failure["code"] == document["error"]["code"] == "url_not_found"


def test_a_quick_answer_is_the_full_one(hdist, tmp_path):
    """A directory is added without click being loaded, with the same words and the same store as with it."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_text("x")
    quick = hdist("source", "add", str(tmp_path / "d"))
    told = hdist("source", "log", quick.stdout.strip()).stdout
    full = hdist("source", "add", str(tmp_path / "d"), "--no-progress")
    assert (quick.stdout, quick.stderr) == (full.stdout, full.stderr)
    assert hdist("source", "log", quick.stdout.strip()).stdout == told
    code = "import sys; from hashdist.cli.main import main; main(sys.argv[1:]); print('click' in sys.modules)"
    words = ["source", "add", str(tmp_path / "d")]
    env = {**os.environ, "HDIST_STORE": str(tmp_path / "store")}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=env, check=True)
    assert done.stdout == f"{quick.stdout}False\n"
    (tmp_path / "d/socket").mkdir()
    os.mkfifo(tmp_path / "d/socket/pipe")
    bad = hdist("source", "add", str(tmp_path / "d"), expect=1)
    assert bad.stdout == ""
    assert "is not a file, a link or a directory" in bad.stderr


def test_a_directory_with_the_name_of_another_kind(hdist, tmp_path):
    """What is typed means the same whether or not there is a directory of that name."""
    (tmp_path / "work/git+d").mkdir()
    done = hdist("source", "add", "git+d", expect=1)
    assert "is not of https" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(hdist, tmp_path, closed):
    """With standard streams closed a command does its work, and no file of the store stands in their place."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_text("x")
    env = {**os.environ, "HDIST_STORE": str(tmp_path / "store")}
    for words in ("source add", "source add --no-progress"):
        command = f"{sys.executable} -m hashdist.cli {words} {tmp_path}/d {closed}"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert len(hdist("source", "list", "-q").stdout.split()) == 1


def test_a_full_stderr(hdist, tmp_path):
    """Where an error cannot be told the code still tells."""
    command = f"{sys.executable} -m hashdist.cli nonsense 2> /dev/full"
    assert subprocess.run(["sh", "-c", command], check=False, cwd=tmp_path).returncode == 2


def test_a_config_of_other_bytes(hdist, tmp_path):
    """A setting that is not text is damage."""
    hdist("--store", f"{tmp_path}/s", "init")
    with open(tmp_path / "s/config.toml", "ab") as file:
        file.write(b"# \xff\n")
    assert "is not UTF-8" in hdist("--store", f"{tmp_path}/s", "branch", "x", expect=8).stderr


def test_a_full_stdout(hdist, tmp_path):
    """An answer that cannot be written is a failure, in one line."""
    env = {**os.environ, "HDIST_STORE": str(tmp_path / "store")}
    command = f"{sys.executable} -m hashdist.cli --help > /dev/full"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=env)
    assert done.returncode == 1
    assert done.stderr.startswith("hdist: No space left on device\n")


def test_help_to_nobody():
    """Help to a reader that goes away ends without a word."""
    done = subprocess.run(f"{sys.executable} -m hashdist.cli --help | true", shell=True, capture_output=True, text=True)
    assert done.stderr == ""
