"""What shells are told of words that may come next, and what they make of it."""

import os
import shutil
import subprocess
import sys

import pytest
from support import package

from hashdist.cli.table import SUMMARIES


@pytest.fixture
def stack(hdist, write):
    write("stack.toml", package("one") + package("two"))
    hdist("commit", "stack.toml", "-m", "m")
    hdist("branch", "team/x")
    hdist("tag", "paper")
    hdist("build", "-q")


def asked(hdist, *words):
    return hdist("--complete", *words).stdout.splitlines()


def test_commands_come_with_what_they_do(hdist):
    assert [line.split("\t") for line in asked(hdist, "undo")] == [["undo", SUMMARIES["undo"]]]
    assert {line.split("\t")[0] for line in asked(hdist, "")} == set(SUMMARIES)
    assert asked(hdist, "export", "s") == ["squashfs", "sbom"]


def test_words_are_of_the_kind_that_a_command_takes(hdist, stack):
    assert asked(hdist, "checkout", "") == ["main", "team/x", "paper"]
    assert asked(hdist, "checkout", "t") == ["team/x"]
    assert asked(hdist, "branch", "") == ["main", "team/x"]
    assert asked(hdist, "remove", "") == ["one", "two"]
    assert asked(hdist, "show", "paper:o") == ["paper:one"]
    assert asked(hdist, "diff", "main", "p") == ["paper"]
    assert asked(hdist, "remove", "-b", "") == ["main", "team/x", "paper"], "an option's value"
    assert asked(hdist, "remove", "-b", "main", "t") == ["two"]
    assert asked(hdist, "export", "tar", "--host", "u") == ["unowned"]
    assert "--build" in asked(hdist, "checkout", "--")
    assert asked(hdist, "commit", "") == [":files"]
    assert asked(hdist, "run", "main", "--", "") == [":files"]


def test_artifacts_are_completed_by_parts_and_by_ids(hdist, stack):
    assert asked(hdist, "artifact", "show", "o") == ["one/"]
    assert asked(hdist, "artifact", "show", "one/") == ["one/1/"]
    (path,) = asked(hdist, "artifact", "show", "one/1/")
    digits = path.rpartition("/")[2]
    (id,) = asked(hdist, "artifact", "show", digits[:6])
    assert id.startswith(digits)
    assert len(id) == 40


def test_nothing_is_said_where_there_is_nothing(hdist, tmp_path):
    assert asked(hdist, "--store", str(tmp_path / "nowhere"), "checkout", "") == []
    assert asked(hdist, "nothing", "") == []
    assert asked(hdist, "remove", "") == [], "no profile yet"
    assert hdist("--complete").stdout


def completed(shell, script, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "hdist").write_text(f'#!/bin/sh\nexec {sys.executable} -m hashdist.cli "$@"\n')
    (folder / "hdist").chmod(0o755)
    env = {**os.environ, "HDIST_STORE": str(tmp_path / "store"), "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run([*shell, script], env=env, capture_output=True, text=True, check=True, cwd=folder)
    assert not done.stderr
    return done.stdout.splitlines()


def test_bash(hdist, stack, tmp_path):
    script = hdist("completion", "bash").stdout
    ask = 'COMP_WORDS=(hdist {}); COMP_CWORD={}; _hdist 2>/dev/null; printf "%s\\n" "${{COMPREPLY[@]}}"'
    assert completed(["bash", "-c"], script + ask.format("checkout t", 2), tmp_path) == ["team/x"]
    assert completed(["bash", "-c"], script + ask.format("und", 1), tmp_path) == ["undo"]
    assert completed(["bash", "-c"], script + ask.format('commit ""', 2), tmp_path) == ["hdist"], "a file"


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
def test_fish(hdist, stack, tmp_path):
    script = hdist("completion", "fish").stdout
    assert completed(["fish", "-c"], script + 'complete -C "hdist checkout t"', tmp_path) == ["team/x"]
    assert completed(["fish", "-c"], script + 'complete -C "hdist und"', tmp_path) == [f"undo\t{SUMMARIES['undo']}"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_zsh(hdist, stack, tmp_path):
    script = "compdef() { : }\n" + hdist("completion", "zsh").stdout
    ask = "compadd() { print -l -- ${(P)@[-1]} }\nwords=(hdist {}); CURRENT={}; _hdist\n"
    assert completed(["zsh", "-fc"], script + ask.replace("{}", "checkout t", 1).replace("{}", "3"), tmp_path) == [
        "team/x"
    ]
    assert completed(["zsh", "-fc"], script + ask.replace("{}", "und", 1).replace("{}", "2"), tmp_path) == ["undo"]
