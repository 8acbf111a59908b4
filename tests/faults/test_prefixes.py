"""Prefixes: killed at any change of the file system, full, taken by gc."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from support import make_wheel, package

TWO = "".join(
    package(
        name,
        f"mkdir -p $PREFIX/s/{name} $PREFIX/etc; echo {{0}} > $PREFIX/s/{name}/x; cp $PREFIX/s/{name}/x $PREFIX/etc/{name}",
    )
    for name in "ab"
)


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here")
@pytest.mark.parametrize("call", ["mkdir", "symlink", "symlinkat", "rename", "fchmod", "chmod"])
def test_killed_at_each_change(hdist, write, tmp_path, call):
    """After kill -9 at any of these system calls the checkout shows wholly the old or the new, and the next one works."""
    for number in ("1", "2"):
        write("stack.toml", TWO.format(number))
        hdist("commit", "stack.toml", "-m", number, "-b", f"p{number}")
        hdist("build", f"p{number}")
    hdist("checkout", "p1")
    store = tmp_path / "store"
    killed = 0
    for when in range(1, 40):
        inject = f"inject={call}:signal=SIGKILL:when={when}"
        words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
        done = subprocess.run(
            [*words, sys.executable, "-m", "hashdist.cli", "checkout", "p2"],
            env={**os.environ, "HDIST_STORE": str(store)},
            capture_output=True,
            cwd=tmp_path,
        )
        shown = {name: (store / "current" / "s" / name / "x").read_text() for name in "ab"}
        assert shown in ({"a": "1\n", "b": "1\n"}, {"a": "2\n", "b": "2\n"})
        if done.returncode == 0:
            break
        killed += 1
        hdist("checkout", "p2")
        assert (store / "current" / "etc" / "b").read_text() == "2\n"
        hdist("checkout", "p1")
        for name in os.listdir(store / "prefixes"):
            if ".tmp-" not in name and name != os.path.basename(os.readlink(store / "current")):
                subprocess.run(["chmod", "-R", "u+w", store / "prefixes" / name], check=True)
                shutil.rmtree(store / "prefixes" / name)
    else:
        raise AssertionError("it never came to its end")
    assert killed or call in {"symlink", "chmod"}, "some spellings of a call are not used"
    hdist("gc", "--now")
    assert not [name for name in os.listdir(store / "prefixes") if ".tmp-" in name]


def test_an_environment_is_a_root(hdist, write, tmp_path):
    """What an environment is on top of stays, also without its profile, until it is forgotten."""
    make_wheel(tmp_path / "wheels", "words", {"words.py": "HELLO = 1"})
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    write("stack.toml", f'[host]\npython = "path:{sys.executable}"\n')
    hdist("commit", "stack.toml", "-m", "m", "-b", "tried")
    hdist("add", "--pip", "words", "-b", "tried", env=env)
    hdist("build", "tried", env=env)
    place = str(tmp_path / "try")
    hdist("venv", place, "--of", "tried")
    write("stack.toml", package("other"))
    hdist("commit", "stack.toml", "-m", "m", "-b", "main")
    hdist("checkout", "--build", "main")
    hdist("branch", "-D", "tried")
    hdist("gc", "--now")
    check = [f"{place}/bin/python", "-c", "import words"]
    assert subprocess.run(check, env={}).returncode == 0
    shutil.rmtree(place)
    hdist("gc", "--now")
    assert len(os.listdir(tmp_path / "store" / "prefixes")) == 2, "gone by accident or on purpose, nobody knows"
    hdist("checkout", "--forget", place)
    hdist("gc", "--now")
    assert len(os.listdir(tmp_path / "store" / "prefixes")) == 1


def test_an_environment_that_was_killed_on_the_way(hdist, write, tmp_path):
    """Whatever happens while an environment moves to another prefix, gc takes neither of both, and it moves next time."""
    for number in ("1", "2"):
        text = f'[host]\npython = "path:{sys.executable}"\n' + package(
            "script", SCRIPT, requires='["python"]', version=f'"{number}"'
        )
        write("stack.toml", text)
        hdist("commit", "stack.toml", "-m", number, "-b", f"p{number}")
        hdist("build", f"p{number}")
    place = tmp_path / "v"
    hdist("venv", str(place), "--of", "p1")
    command = [sys.executable, "-m", "hashdist.cli", "venv", str(place), "--of", "p2"]
    env = {**os.environ, "HDIST_STORE": str(tmp_path / "store")}
    process = subprocess.Popen(command, env=env, cwd=tmp_path, start_new_session=True)
    while not (place / ".hashdist-next").is_symlink() and process.poll() is None:
        time.sleep(0.01)
    # with the virtualenv that it has started, if it has: that one uses the prefix for as long as it lives
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    write("stack.toml", package("other"))
    hdist("commit", "stack.toml", "-m", "m", "-b", "main")
    hdist("checkout", "--build", "main")
    for name in ("p1", "p2"):
        hdist("branch", "-D", name)
    hdist("gc", "--now")
    assert subprocess.run([place / "bin" / "hello"], env={}).returncode == 0
    hdist("checkout", "--forget", str(place))
    hdist("gc", "--now")
    assert len(os.listdir(tmp_path / "store" / "prefixes")) == 1


def test_environments_in_odd_places(hdist, write, tmp_path):
    """`.`, dots in paths and spaces are what they say; what no script can name is refused, and a failure leaves nothing."""
    write("stack.toml", f'[host]\npython = "path:{sys.executable}"\n')
    hdist("commit", "stack.toml", "-m", "m")
    write(
        "stack.toml", f'[host]\npython = "path:{sys.executable}"\n' + package("script", SCRIPT, requires='["python"]')
    )
    hdist("commit", "stack.toml", "-m", "m")
    hdist("checkout", "--build")
    (tmp_path / "work" / "foo").mkdir()
    hdist("venv", "foo/.")
    assert (tmp_path / "work" / "foo" / "bin" / "python").exists()
    hdist("venv", "a b/../c d")
    assert subprocess.run([tmp_path / "work" / "c d" / "bin" / "hello"], env={}, capture_output=True).stdout == b"one\n"
    for place in ("", "/", 'qu"o', "$x", "new\nline"):
        hdist("venv", place, expect=1)
    assert sorted(os.listdir(tmp_path / "work")) == ["c d", "foo", "stack.toml"]
    # a script that another prefix has otherwise, and one that the user has made their own
    hdist("set", "packages.script.version=2")
    hdist("edit", env={"EDITOR": "sed -i s/one/two/"})
    hdist("checkout", "--build")
    hdist("venv", "foo")
    assert subprocess.run([tmp_path / "work" / "foo" / "bin" / "hello"], env={}, capture_output=True).stdout == b"two\n"
    (tmp_path / "work" / "c d" / "bin" / "hello").write_text("#!/bin/sh\necho mine\n")
    hdist("venv", "c d")
    assert (
        subprocess.run([tmp_path / "work" / "c d" / "bin" / "hello"], env={}, capture_output=True).stdout == b"mine\n"
    )


SCRIPT = "mkdir -p $PREFIX/bin; printf '#!/usr/bin/env python3\\nprint(\"one\")\\n' > $PREFIX/bin/hello; chmod 755 $PREFIX/bin/hello"
