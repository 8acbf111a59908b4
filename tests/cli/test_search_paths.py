"""What a loaded prefix gives the programs of the host: compilers, pkg-config, CMake, man, info, completions."""

import os
import shutil
import subprocess
import sys

import pytest
from support import package

COMMANDS = r"""
mkdir -p $PREFIX/lib/pkgconfig $PREFIX/lib/cmake/greet $PREFIX/include $PREFIX/share/man/man1 $PREFIX/share/info
mkdir -p $PREFIX/share/bash-completion/completions $PREFIX/share/zsh/site-functions $PREFIX/share/fish/vendor_completions.d
mkdir -p $PREFIX/share/aclocal $PREFIX/bin
echo 'const char *greet(void) { return "hello"; }' > greet.c
gcc -shared -fPIC -Wl,-soname,libgreet.so.1 -o $PREFIX/lib/libgreet.so.1 greet.c
ln -s libgreet.so.1 $PREFIX/lib/libgreet.so
echo 'const char *greet(void);' > $PREFIX/include/greet.h
printf 'Name: greet\nDescription: greets\nVersion: 1.5\nLibs: -L%s/lib -lgreet\nCflags: -I%s/include\n' $PREFIX $PREFIX > $PREFIX/lib/pkgconfig/greet.pc
echo 'set(greet_VERSION 1.5)' > $PREFIX/lib/cmake/greet/greetConfig.cmake
printf '.TH GREET 1\n.SH NAME\ngreet \\- greets people\n' > $PREFIX/share/man/man1/greet.1
printf 'This is greet.info\n\n\037\nFile: greet.info,  Node: Top,  Up: (dir)\n\nHow to greet.\n\037\nTag Table:\nNode: Top\17722\n\037\nEnd Tag Table\n' > $PREFIX/share/info/greet.info
echo 'complete -W "loudly softly" greet' > $PREFIX/share/bash-completion/completions/greet
printf '#compdef greet\n_arguments "1:how:(loudly softly)"\n' > $PREFIX/share/zsh/site-functions/_greet
echo 'complete -c greet -f -a "loudly softly"' > $PREFIX/share/fish/vendor_completions.d/greet.fish
echo 'AC_DEFUN([GREET], [])' > $PREFIX/share/aclocal/greet.m4
printf '#!/bin/sh\necho greet\n' > $PREFIX/bin/greet; chmod 755 $PREFIX/bin/greet
"""
OTHER = "mkdir -p $PREFIX/share/man/man1 $PREFIX/share/info $PREFIX/include && echo x > $PREFIX/share/man/man1/o.1 && echo 'an index of its own' > $PREFIX/share/info/dir && echo > $PREFIX/include/o.h"


@pytest.fixture
def run(hdist, write, tmp_path):
    """Run a line of a shell with the prefix loaded, and nothing of the test's environment but PATH."""
    text = '[host]\ngcc = "path:gcc"\n' + package("greet", COMMANDS, inputs='["gcc"]') + package("other", OTHER)
    write("stack.toml", text)
    hdist("commit", "stack.toml", "-m", "m")
    hdist("checkout", "--build")
    prefix = hdist("env", "--path").stdout.strip()
    env = {"PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin", "HOME": str(tmp_path / "home"), "TERM": "dumb"}

    def in_shell(line, shell="bash", expect=0, **more):
        program = shutil.which(shell) or pytest.skip(f"no {shell} here")
        end = ".fish" if shell == "fish" else ""
        words = ["-f"] if shell == "zsh" else ["--norc"] if shell == "bash" else []
        done = subprocess.run(
            [program, *words, "-c", f"source {prefix}/bin/activate{end}\n{line}"],
            env={**env, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == expect, done.stderr + done.stdout
        return done.stdout

    in_shell.prefix = prefix
    return in_shell


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here")


def test_what_is_compiled_runs(run, tmp_path):
    """A program compiled against the prefix by the host's compiler finds its library, with no variable set."""
    need("gcc")
    (tmp_path / "x.c").write_text("#include <stdio.h>\n#include <greet.h>\nint main(void) { puts(greet()); }\n")
    run("gcc -o x x.c -lgreet")
    assert subprocess.run([tmp_path / "x"], env={}, capture_output=True, text=True).stdout == "hello\n"


def test_pkg_config_and_aclocal(run):
    """pkg-config finds what is in the prefix, aclocal its macros."""
    need("pkg-config")
    assert run("pkg-config --modversion greet") == "1.5\n"
    assert run("echo $ACLOCAL_PATH").startswith(f"{run.prefix}/share/aclocal")


def test_cmake(run, tmp_path):
    """CMake finds the packages of the prefix."""
    need("cmake", "gcc")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(p NONE)\nfind_package(greet REQUIRED)\nmessage(STATUS ${greet_DIR})\n"
    )
    assert f"{run.prefix}/lib/cmake/greet" in run("cmake -S p -B b")


@pytest.mark.parametrize("manpath", [{}, {"MANPATH": "/nowhere:"}])
def test_man(run, manpath):
    """man finds the prefix's pages, and the system's as before."""
    need("man")
    assert os.path.samefile(run("man -w greet", **manpath).strip(), f"{run.prefix}/share/man/man1/greet.1")
    with_prefix = run("manpath -q", **manpath).split(":")
    assert "/usr/share/man" in [place.strip() for place in with_prefix]


def test_info(run):
    """info finds the prefix's manuals; that two packages bring an index of all manuals is no conflict."""
    need("info")
    assert "How to greet." in run("info greet 2>&1")
    assert not os.path.exists(f"{run.prefix}/share/info/dir")


def test_completions(run):
    """Completions of what is in the prefix: bash's loads them on demand, zsh and fish have them on their paths."""
    if os.path.exists("/usr/share/bash-completion/bash_completion"):
        line = ". /usr/share/bash-completion/bash_completion; _completion_loader greet; complete -p greet"
        assert "loudly softly" in run(line)
    if shutil.which("zsh"):
        assert run("autoload -Uz compinit && compinit -D -u && echo $_comps[greet]", "zsh") == "_greet\n"
    if shutil.which("fish"):
        assert run("complete -C 'greet l'", "fish").split() == ["loudly"]
