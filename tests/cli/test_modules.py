"""``hdist modulefile`` with the real Lmod and the real Environment Modules."""

import os
import subprocess

import pytest
from support import package

TOOL = "mkdir -p $PREFIX/bin $PREFIX/share/man/man1 $PREFIX/include && echo x > $PREFIX/share/man/man1/tool.1 && printf '#!/bin/sh\\necho {0}\\n' > $PREFIX/bin/tool && chmod 755 $PREFIX/bin/tool"


@pytest.fixture
def profiles(hdist, write):
    """Profiles main and other, both checked out; `tool` says which it is."""
    for name in ("other", "main"):
        write("stack.toml", package("tool", TOOL.format(name)) + package("more"))
        hdist("commit", "stack.toml", "-m", f"the {name} one", "-b", name)
        hdist("checkout", "--build", name)
    return hdist


@pytest.fixture
def modules(module_system, tmp_path):
    """Run lines in a bash that has ``module`` and the tree; no variable of the test's own."""
    init = f"{module_system['MODULESHOME']}/init/bash"

    def run(*lines, expect=0, **env):
        text = "\n".join([f". {init}", f"module use {tmp_path}/tree", *lines, ""])
        done = subprocess.run(
            ["bash", "-c", text],
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **env},
            capture_output=True,
            text=True,
        )
        assert done.returncode == expect, done.stderr
        return done.stdout, done.stderr

    return run


def names(tree):
    """The modules in a tree."""
    return sorted(
        os.path.relpath(os.path.join(folder, name), tree) for folder, _, files in os.walk(tree) for name in files
    )


def test_profiles_as_modules(profiles, modules, tmp_path):
    """Both systems show, explain, load and unload profiles; nothing stays behind, and no library path is set."""
    profiles("modulefile", "--tree", str(tmp_path / "tree"))
    out, error = modules("module -t avail 2>&1")
    tips = {name: profiles("rev-parse", name).stdout[:12] for name in ("main", "other")}
    for name, tip in tips.items():
        assert f"{name}/{tip}" in out + error
    out, error = modules("module help main 2>&1; module whatis main 2>&1")
    assert "Packages: more 1, tool 1" in out
    assert "Commit: the main one" in out
    dump = "env | grep -v '^_=\\|LMOD\\|MODULE\\|_LMFILES_\\|_ModuleTable' | sort"
    out, error = modules(
        f"{dump} > $HOME/before",
        "module load main",
        "tool",
        "env",
        "module unload main",
        f"{dump} | diff $HOME/before -",
    )
    assert error == ""
    assert out.startswith("main\n")
    assert "LD_LIBRARY_PATH" not in out
    assert "PYTHONPATH" not in out
    prefix = profiles("env", "--path", "main").stdout.strip()
    assert f"PATH={prefix}/bin:" in out
    assert "MANPATH" not in out, "unset it means the directories that belong to PATH"
    assert out.rstrip().splitlines()[-1].partition("=")[0] not in {">", "<"}
    show = 'echo "$MANPATH"'
    out, _ = modules(show, "module load main", show, "module unload main", show, MANPATH="/x:/y")
    before, inside, after = out.splitlines()
    assert inside == f"{prefix}/share/man:{before}"
    assert before == after


def test_versions_of_one_profile_exclude_each_other(profiles, modules, tmp_path):
    """A checkout brings the tree up to date; the newest version is the default, and two of one profile do not mix."""
    profiles("modulefile", "--tree", str(tmp_path / "tree"))
    first = profiles("rev-parse", "main").stdout[:12]
    profiles("set", "packages.tool.version=2", "-m", "newer")
    profiles("checkout", "--build")
    second = profiles("rev-parse", "main").stdout[:12]
    assert {f"main/{first}", f"main/{second}", "main/.version"} <= set(names(tmp_path / "tree"))
    out, _error = modules("module load main", "module -t list 2>&1")
    assert f"main/{second}" in out
    out, _ = modules(f"module load main/{first}", f"module load main/{second} 2>&1", "module -t list 2>&1")
    loaded = [line for line in out.splitlines() if line.strip() in {f"main/{first}", f"main/{second}"}]
    assert len(loaded) == 1, "Lmod swaps, Environment Modules refuses"


def test_hidden_artifacts_and_families(profiles, modules, tmp_path):
    """An artifact alone is a module too; hidden it is loaded by its full name but not shown. Families exclude each other."""
    tree = str(tmp_path / "tree")
    path = profiles("modulefile", "--artifact", "tool", "--tree", tree, "--hidden").stdout.strip()
    name = os.path.relpath(path, tree)
    assert name.startswith("tool/.1-")
    out, _ = modules("module -t avail 2>&1", f"module load {name}", "tool")
    assert name not in out
    assert out.endswith("main\n")
    for profile in ("main", "other"):
        profiles("modulefile", profile, "--tree", tree, "--family", "stack")
    out, _error = modules("module load main", "module load other 2>&1", "module -t list 2>&1", "tool")
    assert out.splitlines()[-1] in {"main", "other"}
    assert (
        len([line for line in out.splitlines() if line.startswith(("main/", "other/")) and " " not in line.strip()])
        == 1
    )


def test_odd_names(hdist, write, tmp_path, modules):
    """A profile with a name that one of the systems cannot read is there under one that both can, and hides no other."""
    write("stack.toml", package("tool", TOOL.format("x")))
    for name in ("main", "grün", "feature/x+y", "a=b"):
        hdist("commit", "stack.toml", "-m", name, "-b", name)
        hdist("checkout", "--build", name)
    hdist("modulefile", "--tree", str(tmp_path / "tree"))
    found = {os.path.dirname(name) for name in names(tmp_path / "tree")}
    assert len(found) == 4
    for plain in ("main", "gr_n-", "feature/x_y-", "a_b-"):
        (module,) = (one for one in found if one.startswith(plain))
        out, _ = modules(f"module load {module}", "tool")
        assert out == "x\n"


def test_families_and_defaults_are_kept(profiles, tmp_path):
    """What was said once of a profile holds for its next versions; a default of somebody else's stays."""
    tree = tmp_path / "tree"
    profiles("modulefile", "--tree", str(tree))
    profiles("modulefile", "main", "--tree", str(tree), "--family", "stack")
    (tree / "other" / ".version").write_text("#%Module1.0\n# mine\n")
    profiles("set", "packages.tool.version=2", "-m", "newer")
    profiles("checkout", "--build")
    tip = profiles("rev-parse", "main").stdout[:12]
    assert "\nfamily stack\n" in (tree / "main" / tip).read_text()
    profiles("checkout", "other")
    assert (tree / "other" / ".version").read_text() == "#%Module1.0\n# mine\n"
    profiles("modulefile", "main~1", "--tree", str(tree), expect=2)


def test_gc_prunes_trees(profiles, tmp_path):
    """With the prefix goes its module."""
    profiles("modulefile", "--tree", str(tmp_path / "tree"))
    profiles("branch", "-D", "other")
    profiles("gc", "--now")
    assert [name for name in names(tmp_path / "tree") if name.startswith("other")] == []


def test_trees(profiles, tmp_path, write):
    """Modules whose prefix has gone go too; others' files stay and are not overwritten; a tree can be forgotten."""
    tree = tmp_path / "tree"
    profiles("modulefile", "--tree", str(tree))
    (tree / "own").write_text("mine\n")
    profiles("branch", "-D", "other")
    profiles("gc", "--now")
    profiles("set", "packages.more.version=2")
    profiles("checkout", "--build")
    assert not any(name.startswith("other") for name in names(tree))
    assert (tree / "own").read_text() == "mine\n"
    tip = profiles("rev-parse", "main").stdout[:12]
    (tree / "main" / tip).write_text("mine\n")
    assert "and it is not ours" in profiles("modulefile", "main", "--tree", str(tree), expect=4).stderr
    assert "not ours" in profiles("checkout", "main").stderr, "told, and the switch is done"
    tree.rename(tmp_path / "moved")
    assert f"hint: hdist modulefile --forget {tree}" in profiles("checkout", "main").stderr
    profiles("modulefile", "--forget", str(tree))
    assert profiles("checkout", "main").stderr.count("\n") == 1
    profiles("modulefile", "--forget", str(tree), expect=3)
    profiles("modulefile", "main", "--hidden", expect=2)


def test_words_of_others_are_only_words(hdist, write, tmp_path, modules):
    """Nothing in a profile's name or message is run by Tcl."""
    evil = '[exec touch /tmp/never]"; exec touch /tmp/never; $env(HOME) {'
    write("stack.toml", package("tool", TOOL.format("x")))
    hdist("commit", "stack.toml", "-m", evil)
    hdist("checkout", "--build")
    hdist("modulefile", "--tree", str(tmp_path / "tree"))
    out, _ = modules("module help main 2>&1", "module load main", "tool")
    assert evil in out
    assert out.endswith("x\n")
