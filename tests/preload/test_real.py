"""Real software, configured and built in the jail: what is undeclared is not found, and what is declared is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from hashdist.preload.base import base_rules
from hashdist.preload.rules import Rules
from hashdist.workflow.declaring import allow_host

pytestmark = pytest.mark.skipif(shutil.which("dpkg") is None, reason="captures packages of Debian")
TOOLS = ("base@1", "dpkg:gcc", "dpkg:make")


def is_installed(package: str) -> bool:
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True)
    return done.stdout == "install ok installed"


@pytest.fixture(scope="session")
def captured():
    """Rules for host software, captured once for all tests."""
    done: dict[tuple[str, ...], Rules] = {}

    def capture(*finders: str) -> Rules:
        for finder in finders:
            if (finder,) not in done:
                if finder.startswith("dpkg:") and not is_installed(finder[5:]):
                    pytest.skip(f"{finder[5:]} is not installed")
                done[finder,] = Rules()
                allow_host(done[finder,], [finder], ENV)
        rules = base_rules()
        for finder in finders:
            rules.add(done[finder,])
        return rules

    return capture


#: Nothing of the machine's own: what is found is found in the system's directories.
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def inside(around, captured, work):
    """`inside(finder, ...)`: a strict jail with the tools, this host software, and one directory to write in."""

    def make(*finders: str, mode: str = "enforce"):
        rules = captured(*TOOLS, *finders)
        rules.allow_writing(str(work))
        jail = around(mode, rules)
        env = {**ENV, "TMPDIR": str(work), "HOME": str(work)}
        return lambda *command, cwd=work: jail.run(*command, env=env, cwd=cwd), jail

    return make


def test_a_compiler(inside, work):
    """Undeclared, neither the header nor the library is there; declared, both are."""
    (work / "z.c").write_text("#include <zlib.h>\nint main(void) { return zlibVersion() == 0; }\n")
    (work / "l.c").write_text("int main(void) { return 0; }\n")
    run, jail = inside()
    assert "zlib.h: No such file or directory" in run("gcc", "z.c").stderr
    assert "cannot find -lz" in run("gcc", "l.c", "-lz").stderr
    assert "/usr/include/zlib.h" in {access.path for access in jail.report.hidden}
    assert jail.report.pure
    run, jail = inside("dpkg:zlib1g-dev")
    done = run("gcc", "z.c", "-lz", "-o", "z")
    assert done.returncode == 0, done.stderr
    assert run("./z").returncode == 0
    assert jail.report.accesses == ()


def test_configure_without_zlib_and_with(inside, work, upstream):
    """file's configure goes on without zlib where that is undeclared, builds, and takes it where it is declared."""
    found = {}
    for finders in ((), ("dpkg:zlib1g-dev",)):
        source = work / f"file-{len(finders)}"
        shutil.copytree(upstream("file"), source, symlinks=True)
        run, _ = inside(*finders)
        done = run("./configure", "--disable-libseccomp", "--disable-bzlib", "--disable-xzlib", cwd=source)
        assert done.returncode == 0, done.stderr
        found[finders] = re.search(r"#define ZLIBSUPPORT 1|undef ZLIBSUPPORT", (source / "config.h").read_text())[0]
        if not finders:
            done = run("make", "-j2", "-C", "src", cwd=source)
            assert done.returncode == 0, done.stderr[-500:]
            done = run(str(source / "src" / ".libs" / "file"), "--version", cwd=source)
            assert (
                "zlib"
                not in subprocess.run(
                    ["ldd", source / "src" / ".libs" / "libmagic.so"], capture_output=True, text=True
                ).stdout
            )
    assert found == {(): "undef ZLIBSUPPORT", ("dpkg:zlib1g-dev",): "#define ZLIBSUPPORT 1"}


def test_cmake_without_zlib_and_with(inside, work, upstream):
    """libharu's CMake does the same."""
    source = work / "libharu"
    shutil.copytree(upstream("libharu"), source, symlinks=True)
    found = {}
    for finders in ((), ("dpkg:zlib1g-dev",)):
        build = work / f"build-{len(finders)}"
        run, _ = inside("dpkg:cmake", "dpkg:ninja-build", *finders)
        done = run("cmake", "-S", str(source), "-B", str(build), "-G", "Ninja", "-DCMAKE_C_FLAGS=-O0 -w")
        assert done.returncode == 0, done.stderr
        found[finders] = "#define LIBHPDF_HAVE_LIBZ" in (build / "include" / "hpdf_config.h").read_text()
        if not finders:
            done = run("ninja", "-C", str(build), "src/libhpdf.so")
            assert done.returncode == 0, done.stdout[-500:]
    assert found == {(): False, ("dpkg:zlib1g-dev",): True}


def test_meson_without_zlib_and_with(inside, work, upstream):
    """zstd's Meson does the same: its option for zlib is 'auto'."""
    source = work / "zstd"
    shutil.copytree(upstream("libzstd"), source, symlinks=True)
    found = {}
    for finders in ((), ("dpkg:zlib1g-dev",)):
        build = work / f"build-{len(finders)}"
        run, _ = inside("dpkg:meson", "dpkg:ninja-build", "dpkg:pkgconf", "dpkg:g++", *finders)
        done = run(
            "meson", "setup", "-Doptimization=0", "-Dbin_programs=true", str(build), str(source / "build" / "meson")
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found[finders] = re.search(r"Run-time dependency zlib found: (\w+)", done.stdout)[1]
        if not finders:
            done = run("ninja", "-C", str(build))
            assert done.returncode == 0, done.stdout[-500:]
    assert found == {(): "NO", ("dpkg:zlib1g-dev",): "YES"}


def test_configure_with_everything_declared(inside, work, upstream):
    """Where all that configure finds is declared, its config.h has the same bytes as without a jail."""
    results = []
    optional = [f"dpkg:{name}" for name in ("libselinux1-dev", "libacl1-dev", "libattr1-dev") if is_installed(name)]
    for mode in ("enforce", "report", None):
        source = work / "sed"
        shutil.copytree(upstream("sed"), source, symlinks=True)
        if mode is None:
            env = {**ENV, "TMPDIR": str(work), "HOME": str(work)}
            done = subprocess.run(["./configure"], cwd=source, env=env, capture_output=True, text=True)
        else:
            run, _ = inside(*optional, mode=mode)
            done = run("./configure", cwd=source)
        assert done.returncode == 0, done.stderr
        results.append((source / "config.h").read_bytes())
        shutil.rmtree(source)
    assert results[0] == results[1] == results[2]
    assert len(results[0]) > 50_000


TOOLS_AT_WORK = {
    "bash": "bash -c 'echo \"$(echo nested)\"; cat <<< here; cat < <(echo sub); ls | head -1'",
    "dash": "dash -c 'echo $(echo nested) | tr a-z A-Z; ls *.c'",
    "perl": 'perl -MFile::Find -e \'find(sub { print $_, "\\n" if -f }, "."); print `echo sub`\'',
    "python": 'python3 -c \'import os, json, subprocess, tempfile; print(sorted(os.listdir("."))); print(subprocess.check_output(["echo", "sub"]))\'',
    "git": "git init -q repo && cd repo && git -c user.name=a -c user.email=b commit -q --allow-empty -m x && git log --format=%s && git clone -q . ../clone",
    "tar": "tar -czf a.tgz a.c && tar -tzf a.tgz && rm a.c && tar -xzf a.tgz && cat a.c",
    "make": "printf 'a: a.c\\n\\tgcc -o a a.c\\n' > Makefile && make -s -j2 && ./a && echo made",
    "ld": "gcc -c a.c && ld -r -o b.o a.o && ar rcs lib.a b.o && nm lib.a | grep main",
    "cmake": "printf 'cmake_minimum_required(VERSION 3.10)\\nproject(a C)\\nadd_executable(a a.c)\\n' > CMakeLists.txt && cmake -S . -B build > log && cmake --build build > log && build/a && echo made",
    "meson": "printf \"project('a', 'c')\\nexecutable('a', 'a.c')\\n\" > meson.build && meson setup build > log && ninja -C build > log && build/a && echo made",
}
NEEDED = {
    "perl": ["dpkg:perl"],
    "python": ["dpkg:python3"],
    "git": ["dpkg:git"],
    "cmake": ["dpkg:cmake"],
    "meson": ["dpkg:meson", "dpkg:ninja-build"],
}


@pytest.mark.parametrize("tool", TOOLS_AT_WORK)
def test_tools_run_as_outside(tool, inside, work):
    """The tools of builds do in a strict jail what they do outside, where they are declared."""
    for finder in NEEDED.get(tool, []):
        if not is_installed(finder[5:]):
            pytest.skip(f"{finder[5:]} is not installed")
    outputs = []
    for jailed in (True, False):
        for name in os.listdir(work):
            path = work / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (work / "a.c").write_text("int main(void) { return 0; }\n")
        if jailed:
            run, jail = inside(*NEEDED.get(tool, []), "dpkg:dash", "dpkg:bash")
            done = run("/bin/sh", "-c", TOOLS_AT_WORK[tool])
        else:
            env = {**ENV, "TMPDIR": str(work), "HOME": str(work)}
            done = subprocess.run(
                ["/bin/sh", "-c", TOOLS_AT_WORK[tool]], cwd=work, env=env, capture_output=True, text=True
            )
        assert done.returncode == 0, (jailed, done.stderr, jail.report.hidden)
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert jail.report.undeclared == ()
