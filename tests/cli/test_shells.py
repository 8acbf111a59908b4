"""The environment from the command line: load and unload in every shell, run, shell, compare, env, direnv."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from support import package

SHELLS = {"bash": [], "dash": [], "zsh": ["-f"], "fish": ["--no-config"], "tcsh": ["-f"]}
TOOL = (
    "mkdir -p $PREFIX/bin && printf '#!/bin/sh\\necho {0} \"$@\"\\n' > $PREFIX/bin/tool && chmod 755 $PREFIX/bin/tool"
)


@pytest.fixture
def profiles(hdist, write):
    """Profiles main, of two commits, and other; main~1 was never checked out. `tool` says which it is."""
    write("stack.toml", package("tool", TOOL.format("one")))
    hdist("commit", "stack.toml", "-m", "one")
    hdist("build")
    write("stack.toml", package("tool", TOOL.format("two")))
    hdist("commit", "stack.toml", "-m", "two")
    hdist("checkout", "--build")
    hdist("branch", "other", "main~1")
    hdist("checkout", "other")
    hdist("checkout", "main")
    return hdist


@pytest.fixture
def shell(profiles, tmp_path):
    """Run lines in a shell that has the hdist function."""
    env = {"PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin", "HOME": str(tmp_path / "home")}
    env["HDIST_STORE"] = str(tmp_path / "store")

    def run(name, *lines, expect=0):
        program = shutil.which(name) or pytest.skip(f"no {name} here")
        init = {"fish": "hdist init-shell fish | source", "tcsh": 'eval "`hdist init-shell tcsh`"'}
        text = "\n".join([init.get(name, f'eval "$(hdist init-shell {name})"'), *lines, ""])
        # csh knows an alias only from the next line on that it reads
        words = [program, *SHELLS[name], *([] if name == "tcsh" else ["-c", text])]
        done = subprocess.run(words, input=text if name == "tcsh" else "", env=env, capture_output=True, text=True)
        assert done.returncode == expect, done.stderr
        return done.stdout.splitlines(), done.stderr

    return run


@pytest.mark.parametrize("name", SHELLS)
def test_load_and_unload(shell, name):
    """Profiles and revisions are loaded by name, listed, and unloaded in any order; the environment is as it was."""
    out, error = shell(
        name,
        "env | sort > $HOME/before",
        "hdist load",
        "tool a",
        "hdist load main~1",
        "tool 'b c'",
        "hdist loaded",
        "hdist unload main",
        "tool",
        "hdist unload",
        "hdist loaded",
        "env | sort > $HOME/after",
        "diff $HOME/before $HOME/after",
        "hdist rev-parse main",
    )
    assert error == ""
    assert out[:2] == ["two a", "one b c"]
    assert [line.split()[0] for line in out[2:4]] == ["main~1", "main"]
    assert out[4] == "one"
    assert len(out) == 6, "nothing differs"


@pytest.mark.parametrize("name", SHELLS)
def test_bad_names(shell, name, tmp_path):
    """What is not there, not loaded or no prefix is told in one line, and nothing changes."""
    status = "$status" if name in {"fish", "tcsh"} else "$?"
    out, error = shell(
        name,
        "hdist load nobody",
        f"echo {status}",
        "hdist unload main",
        f"echo {status}",
        f"hdist load {tmp_path}",
        f"echo {status}",
        "hdist load --help > /dev/null",
        "hdist load ../../etc",
        f"echo {status}",
    )
    assert out == ["3", "1", "3", "3"]
    assert "no profile, tag or commit named 'nobody'" in error
    assert "main is not loaded\nhint: hdist loaded" in error


@pytest.mark.parametrize("name", SHELLS)
def test_loading_starts_no_python(shell, name, tmp_path):
    """What was checked out before is loaded without the program, also when git has packed its refs."""
    subprocess.run(["git", "-C", str(tmp_path / "store" / "git"), "pack-refs", "--all"], check=True)
    broken = "set _hdist_program = /bin/false" if name == "tcsh" else "_hdist_program=/bin/false"
    out, error = shell(
        name, "set -g _hdist_program /bin/false" if name == "fish" else broken, "hdist load main other", "tool"
    )
    assert (out, error) == (["one"], "")


@pytest.mark.parametrize("name", ["bash", "fish", "tcsh"])
def test_a_prefix_that_is_gone(shell, name, tmp_path):
    """What gc took meanwhile is unloaded all the same."""
    out, error = shell(
        name, "hdist load main", f"mv {tmp_path}/store/prefixes {tmp_path}/gone", "hdist unload main", "hdist loaded"
    )
    assert (out, error) == ([], "")


@pytest.mark.parametrize("name", ["bash", "zsh", "dash"])
def test_strict_shells(shell, name):
    """The function works under set -eu."""
    assert shell(name, "set -eu", "hdist load main", "tool", "hdist unload main", "hdist load", "hdist unload") == (
        ["two"],
        "",
    )


def test_in_front(profiles, tmp_path):
    """What is run in, or loaded again, is in front, though others were loaded since."""
    main, other = (profiles("env", "--path", name).stdout.strip() for name in ("main", "other"))
    env = {"PATH": f"{other}/bin:{main}/bin:{os.environ['PATH']}", "HDIST_LOADED": f"other {other}:main {main}"}
    assert profiles("run", "main", "--", "tool", env=env).stdout == "two\n"
    assert profiles("run", "other", "--", "tool", env=env).stdout == "one\n"
    found = json.loads(profiles("env", "main", "--json", env=env).stdout)
    assert found["variables"]["PATH"].startswith(f"{main}/bin:{other}/bin:")
    profiles("env", "--unload", "", expect=2)


@pytest.mark.parametrize("name", SHELLS)
def test_loaded_again_is_in_front(shell, name):
    """A profile that is loaded again comes in front, and one unload takes it out."""
    out, error = shell(
        name,
        "hdist load main",
        "hdist load other",
        "tool",
        "hdist load main",
        "tool",
        "hdist unload main",
        "tool",
        "hdist unload",
        "hdist loaded",
    )
    assert (out, error) == (["one", "two", "one"], "")


@pytest.mark.parametrize("name", ["bash", "dash", "zsh", "fish"])
def test_what_was_not_exported(shell, name):
    """A variable that was the shell's own is so again when nothing is loaded any more."""
    put = "set -g CPATH /x" if name == "fish" else "CPATH=/x"
    out, error = shell(
        name,
        put,
        "hdist load main",
        "hdist load other",
        "env | grep -c ^CPATH",
        "hdist unload main",
        "hdist unload other",
        "env | grep -c ^CPATH; true",
        "echo $CPATH",
    )
    assert error == ""
    assert out[-2:] == ["0", "/x"]


def test_csh_passes_words_on(shell, tmp_path):
    """In csh quotes, variables and redirections mean what they always mean, also without clobbering."""
    out, error = shell(
        "tcsh",
        "set noclobber",
        "set name = main",
        "hdist load $name",
        "hdist load 'other'",
        'hdist unload "other"',
        "hdist loaded > $HOME/out",
        "cat $HOME/out",
        "\\hdist loaded | wc -l",
        "hdist > /dev/null",
        "tool",
    )
    assert error == ""
    assert out[0].startswith("main ")
    assert [line.strip() for line in out[1:]] == ["1", "two"]


def test_load_needs_the_function(profiles):
    """The program itself cannot change a shell, and says what can."""
    for verb in ("load", "unload"):
        assert 'eval "$(hdist init-shell bash)"' in profiles(verb, "main", expect=2).stderr


def test_direnv(profiles, tmp_path):
    """With direnv: use hdist main."""
    direnv = shutil.which("direnv") or pytest.skip("no direnv here")
    home = tmp_path / "home"
    (home / ".config/direnv/lib").mkdir(parents=True)
    (home / ".config/direnv/lib/hdist.sh").write_text(profiles("init-shell", "direnv").stdout)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / ".envrc").write_text("use hdist main\n")
    env = {
        "PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin",
        "HOME": str(home),
        "HDIST_STORE": str(tmp_path / "store"),
    }
    subprocess.run([direnv, "allow", tmp_path / "project"], env=env, check=True, capture_output=True)
    done = subprocess.run([direnv, "exec", tmp_path / "project", "tool"], env=env, capture_output=True, text=True)
    assert done.stdout == "two\n", done.stderr


def test_env(profiles, tmp_path):
    """The lines that load a prefix, in each family of shells, and what they are as JSON."""
    prefix = profiles("env", "--path", "main").stdout.strip()
    assert prefix.startswith(f"{tmp_path}/store/prefixes/")
    for name, words in (("sh", "/bin/activate"), ("fish", "/bin/activate.fish"), ("csh", "/bin/activate.csh")):
        assert words in profiles("env", "main", "--shell", name).stdout
    found = json.loads(profiles("env", "main", "other", "--json").stdout)
    assert [one["name"] for one in found["prefixes"]] == ["main", "other"]
    assert found["prefixes"][0]["prepend"]["PATH"] == [f"{prefix}/bin"]
    assert found["variables"]["HDIST_LOADED"].startswith("other ")
    assert found["variables"]["PATH"].startswith(found["prefixes"][1]["path"])
    assert not {"LD_LIBRARY_PATH", "PYTHONPATH"} & set(found["variables"])
    done = subprocess.run(
        ["sh", "-c", 'eval "$1"; tool', "sh", profiles("env", "main").stdout], capture_output=True, text=True
    )
    assert done.stdout == "two\n"


def test_run(profiles, tmp_path):
    """A command runs with any revision's prefix, whatever is checked out, and its status is ours."""
    assert profiles("run", "main~1", "--", "tool", "a b").stdout == "one a b\n"
    assert profiles("run", "main", "--", "tool").stdout == "two\n"
    assert profiles("run", f"{tmp_path}/store/current", "tool").stdout == "two\n"
    profiles("run", "main", "--", "sh", "-c", "exit 7", expect=7)
    profiles("run", "main", "--", "sh", "-c", "kill -TERM $$", expect=-15)
    assert "no program 'nothing'" in profiles("run", "main", "--", "nothing", expect=127).stderr
    profiles("run", "main", "--", "", expect=2)
    (tmp_path / "plain").write_text("echo no first line\n")
    (tmp_path / "bad").write_text("#!/no/such/interpreter\n")
    (tmp_path / "closed").write_text("#!/bin/sh\n")
    for name, mode in (("plain", 0o755), ("bad", 0o755), ("closed", 0o644)):
        (tmp_path / name).chmod(mode)
    assert profiles("run", "main", "--", str(tmp_path / "plain")).stdout == "no first line\n"
    assert "its interpreter is not there" in profiles("run", "main", "--", str(tmp_path / "bad"), expect=126).stderr
    assert "Permission denied" in profiles("run", "main", "--", str(tmp_path / "closed"), expect=126).stderr
    profiles("run", "main", expect=2)
    profiles("set", "packages.tool.env.X=1")
    assert "hint: hdist build main" in profiles("run", "main", "--", "tool", expect=3).stderr


def test_a_pipe_that_is_closed(profiles):
    """A command that runs in a prefix dies of a closed pipe as it would outside."""
    text = f"{sys.executable} -m hashdist.cli run main -- yes | head -1; echo ${{PIPESTATUS[0]}}"
    env = {**os.environ, "HDIST_STORE": os.environ.get("HDIST_STORE", ""), "PATH": os.environ["PATH"]}
    env["HDIST_STORE"] = json.loads(profiles("doctor", "--json").stdout)["facts"]["store"]
    done = subprocess.run(["bash", "-c", text], env=env, capture_output=True, text=True)
    assert done.stdout == "y\n141\n", done.stderr


def test_shell(profiles):
    """A shell of the user's with prefixes in it."""
    done = profiles("shell", "main~1", "main", env={"SHELL": "/bin/sh"}, stdin="tool\nhdist_x=1\nexit 5\n", expect=5)
    assert done.stdout == "two\n"


def test_compare(profiles):
    """A command under two stacks in turn: medians, and the ratio pair by pair."""
    out = profiles("compare", "main~1", "main", "-r", "3", "--", "tool").stdout.splitlines()
    assert [line.split()[0] for line in out] == ["seconds", "main~1", "main", "B"]
    found = json.loads(profiles("compare", "main~1", "main", "--runs", "2", "--json", "--", "tool").stdout)
    assert len(found["a"]["runs"]) == len(found["b"]["runs"]) == 2
    assert found["ratio"]["seconds"] > 0
    assert found["a"]["median"]["seconds"] > found["a"]["median"]["cpu"] * 0.1
    quick = json.loads(
        profiles("compare", "main~1", "main", "-r", "1", "--json", "--", "sh", "-c", "sleep 9 & exit 0").stdout
    )
    assert quick["a"]["median"]["seconds"] < 5, "what is left in the background is not waited for"
    error = profiles("compare", "main~1", "main", "--", "sh", "-c", "echo no >&2; exit 9", expect=9).stderr
    assert "'sh' failed with status 9: no" in error
    profiles("compare", "main", "main~1", "--", "nothing", expect=127)


def test_an_interrupted_comparison(profiles, tmp_path):
    """What it was running does not outlive it."""
    mark = tmp_path / "pid"
    words = ["compare", "main", "main~1", "--", "sh", "-c", f"echo $$ > {mark}; exec sleep 300"]
    env = {**os.environ, "HDIST_STORE": str(tmp_path / "store")}
    process = subprocess.Popen([sys.executable, "-m", "hashdist.cli", *words], env=env, stderr=subprocess.PIPE)
    while not mark.exists() or not mark.read_text().strip():
        assert process.poll() is None
        time.sleep(0.02)
    process.terminate()
    assert process.wait(20) == 143
    process.stderr.close()
    assert not os.path.exists(f"/proc/{mark.read_text().strip()}")


def test_forget(profiles, tmp_path):
    """A checkout elsewhere keeps its commit alive until it is forgotten; the link stays."""
    profiles("checkout", "other", "--to", str(tmp_path / "here"))
    profiles("checkout", "--forget", str(tmp_path / "here"))
    assert (tmp_path / "here").is_symlink()
    assert "no checkout of this store" in profiles("checkout", "--forget", str(tmp_path / "here"), expect=3).stderr
    assert "never forgotten" in profiles("checkout", "--forget", f"{tmp_path}/store/current", expect=3).stderr


def test_dry_run(profiles, tmp_path):
    """What a prefix would hold is printed, and nothing is made or switched."""
    before = sorted(os.listdir(tmp_path / "store" / "prefixes"))
    out = profiles("checkout", "-n", "main~1").stdout.splitlines()
    assert out[0].startswith(f"prefix {tmp_path}/store/prefixes/")
    assert any(line.startswith("link bin/tool -> ") for line in out)
    assert {"directory bin", "file bin/activate", "file .hashdist.json"} <= set(out)
    profiles("set", "packages.tool.env.X=1")
    assert "1 of 1 to build" in profiles("checkout", "-n", expect=3).stderr
    assert sorted(os.listdir(tmp_path / "store" / "prefixes")) == before
    artifact = json.loads(profiles("artifact", "list", "--json").stdout)["artifacts"][-1]["artifact"]
    assert "file bin/activate" in profiles("make-prefix", "-n", artifact).stdout
