"""Load and unload: every shell does what `hashdist.environment.loading` says, byte for byte."""

import json
import os
import random
import shutil
import subprocess
import sys

import pytest
from support import make_prefix

from hashdist.environment.loading import load, loaded, unload, without
from hashdist.environment.variables import VARIABLES

SHELLS = {"bash": [], "dash": [], "zsh": ["-f"], "fish": ["--no-config"], "tcsh": ["-f"]}
DUMP = f"{sys.executable} -I -S -c 'import os,json; print(json.dumps(dict(os.environ)))'"
#: What shells set for themselves.
OWN = {"_", "SHLVL", "PWD", "OLDPWD", "HOSTTYPE", "VENDOR", "OSTYPE", "MACHTYPE", "LOGNAME", "USER", "GROUP", "HOST"}
OWN |= {"REMOTEHOST", "LC_CTYPE", "PYTHONDONTWRITEBYTECODE"}


@pytest.fixture(scope="module")
def prefixes(tmp_path_factory):
    """Three prefixes that have different things in them."""
    root = tmp_path_factory.mktemp("prefixes")
    everything = [folder for variable in VARIABLES for folder in variable.directories if folder]
    return {
        "a": make_prefix(root, "a" * 32, everything),
        "b": make_prefix(root, "b" * 32, ["share/man", "include", "lib", "share"]),
        "c": make_prefix(root, "c" * 32, ["sbin", "share/info"]),
    }


def run(shell, lines, env):
    """The environment after lines in a shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    text = "\n".join([*lines, DUMP, ""])
    command = [shutil.which(shell), *SHELLS[shell]]
    if shell == "tcsh":
        done = subprocess.run(command, input=text, env=env, capture_output=True, text=True, cwd="/")
    else:
        done = subprocess.run([*command, "-c", text], env=env, capture_output=True, text=True, cwd="/")
    assert done.stderr == "", done.stderr
    return {name: value for name, value in json.loads(done.stdout).items() if name not in OWN}


def act(shell, verb, name, prefix):
    """The lines that load a prefix as a name, or unload it."""
    script = f"{prefix}/bin/{'activate' if verb == 'load' else 'deactivate'}"
    if shell == "fish":
        return [f"set -g _hdist_name {name}", f"source {script}.fish"]
    if shell == "tcsh":
        return [f"set _hdist_name = {name}", f"source {script}.csh"]
    return [f"_hdist_name={name}", f". {script}"]


def put(shell, name, value):
    """The line by which a user sets a variable."""
    if shell == "fish":
        return f"set -gx {name} (string split -- : '{value}')" if name.endswith("PATH") else f"set -gx {name} '{value}'"
    return f"setenv {name} '{value}'" if shell == "tcsh" else f"export {name}='{value}'"


BASES = (
    {},
    {"MANPATH": "", "CPATH": "", "XDG_DATA_DIRS": ""},
    {
        "MANPATH": ":/m",
        "CPATH": "/with space:/it",
        "XDG_DATA_DIRS": "/x:/usr/share",
        "INFOPATH": "/i:",
        "LIBRARY_PATH": "/l::/m",
    },
    {"XDG_DATA_DIRS": "/usr/local/share:/usr/share", "MANPATH": ":", "PKG_CONFIG_PATH": "/p/$HOME*:/q"},
)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("number", range(len(BASES)))
def test_shells_follow_the_rule(shell, number, prefixes):
    """After each of many loads, unloads and edits in any order a shell's variables are those of the rule."""
    chance = random.Random(f"{shell}{number}")
    path = f"{os.path.dirname(shutil.which('dash') or '/bin/sh')}:/usr/bin:/bin:/usr/bin"
    env = {"PATH": path, "HOME": "/nowhere", **BASES[number]}
    before, lines = run(shell, [], env), []
    model = dict(before)
    for _ in range(14):
        step = chance.random()
        if step < 0.15:
            name = chance.choice(["MANPATH", "CPATH", "XDG_DATA_DIRS", "PATH"])
            value = f"/mine{len(lines)}:{model[name]}" if model.get(name) else f"/mine{len(lines)}"
            lines.append(put(shell, name, value))
            model[name] = value
        elif step < 0.6:
            name = chance.choice("abc")
            lines += act(shell, "load", name, prefixes[name])
            model = load(model, name, prefixes[name])
        else:
            name = chance.choice("abc")
            lines += act(shell, "unload", name, prefixes[name])
            model = unload(model, prefixes[name])
        if len(lines) > 8:
            assert run(shell, lines, env) == model, lines
    assert run(shell, lines, env) == model, lines


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("order", ["abc", "cab", "bca"])
def test_undo_is_exact(shell, order, prefixes):
    """Three prefixes loaded, and unloaded in another order: every variable is as it was, or as unset as it was."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "CPATH": "", "MANPATH": "/a::/b"}
    loads = [line for name in "abc" for line in act(shell, "load", name, prefixes[name])]
    unloads = [line for name in order for line in act(shell, "unload", name, prefixes[name])]
    assert run(shell, [*loads, *unloads], env) == run(shell, [], env)
    there = run(shell, loads, env)
    assert [one.name for one in loaded(there)] == ["c", "b", "a"]
    assert there["PATH"].split(":")[:4] == [
        f"{prefixes['c']}/bin",
        f"{prefixes['c']}/sbin",
        f"{prefixes['b']}/bin",
        f"{prefixes['a']}/bin",
    ]
    assert "LD_LIBRARY_PATH" not in there
    assert "PYTHONPATH" not in there


@pytest.mark.parametrize("shell", SHELLS)
def test_one_name_one_prefix(shell, prefixes):
    """What is loaded under a name makes room for the next of that name; what is loaded already stays."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere"}
    lines = [*act(shell, "load", "main", prefixes["a"]), *act(shell, "load", "main", prefixes["b"])]
    assert run(shell, lines, env) == run(shell, act(shell, "load", "main", prefixes["b"]), env)
    twice = [*lines, *act(shell, "load", "other", prefixes["b"])]
    assert run(shell, twice, env) == run(shell, lines, env)


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_strict_shells(shell, prefixes):
    """Nothing in the scripts trips over set -eu."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere"}
    lines = [
        "set -eu",
        f". {prefixes['a']}/bin/activate",
        f". {prefixes['a']}/bin/activate",
        f". {prefixes['a']}/bin/deactivate",
    ]
    assert run(shell, lines, env) == run(shell, [], env)


def test_nothing_is_left_behind(prefixes):
    """The scripts leave neither functions nor variables in the shell."""
    lines = f"before=$(set | grep -c hdist); . {prefixes['a']}/bin/activate; . {prefixes['a']}/bin/deactivate; set | grep hdist"
    done = subprocess.run(["bash", "-c", lines], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if not line.startswith(("BASH", "_="))] == []


@pytest.mark.parametrize(
    ("value", "entry", "left"),
    [
        ("a", "a", ""),
        ("a:b", "a", "b"),
        (":a:", "a", ":"),
        ("a::b", "a", ":b"),
        ("ab", "a", "ab"),
        ("b:a:a", "a", "b:a"),
    ],
)
def test_without(value, entry, left):
    """One element is taken out; all else stays byte for byte."""
    assert without(value, entry) == left
