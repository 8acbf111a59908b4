"""Every function of glibc that takes a path: none is forgotten, each is hidden or refused, and told of."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import subprocess

import entry_points as table
import pytest
from jails import system_rules

from hashdist.preload.library import LIBRARY
from hashdist.preload.report import _USES

VECTORS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "vectors")

FUNCTIONS = table.functions()
WRITES = {"CREATES", "CHANGES", "REMOVES", "MAKES", "SETS", "CHANGE", "CREATE", "ENTRY", "MAKE", "ATTRIBUTES"}
PROGRAMS = re.compile(r"exec|_spawnp?\Z")
LIBRARIES = re.compile(r"dlm?open\Z")
DIRECTORIES = re.compile(r"opendir|scandir|chdir|ftw|fts|rmdir")
CREATING = re.compile(r"creat|updwtmp")


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


GLIBC = number(os.confstr("CS_GNU_LIBC_VERSION").split()[1])


def known() -> list[tuple[str, str, str, str]]:
    with open(os.path.join(VECTORS, "glibc-paths.tsv"), encoding="utf-8") as file:
        return [tuple(line.rstrip("\n").split("\t")) for line in file if not line.startswith("#")]


def test_no_function_is_forgotten():
    """Each function of glibc 2.17 to 2.41 that takes a path has a wrapper, or a reason for having none."""
    wrapped = {one.name for one in FUNCTIONS}
    assert {name for name, _, _, reason in known() if not reason} == wrapped - {"fexecve"}
    assert not {name for name, _, _, reason in known() if reason} & wrapped


def test_every_use_has_a_word():
    """What the library writes into its log as a letter is a word in reports, but for what it settles before."""
    with open(table.SOURCE, encoding="utf-8") as file:
        uses = re.search(r"enum use \{(.*?)\n\};", file.read(), re.DOTALL)[1]
    assert set(re.findall(r"'(\w)'", uses)) - {"o"} == set(_USES)


def test_the_table_says_since_when():
    """The glibc that brought a function is the one that glibc's own lists of symbols name."""
    since = {name: version for name, version, _, _ in known()}
    assert {one.name: one.since for one in FUNCTIONS if one.name in since} == {
        one.name: since[one.name] for one in FUNCTIONS if one.name in since
    }


def test_the_library_exports_the_table_and_nothing_else():
    """What is exported takes the place of something: one name more would take the place of a stranger's."""
    lines = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, text=True, check=True)
    exported = {line.split()[2] for line in lines.stdout.splitlines()}
    own = {"_init", "_fini", "__start_hdist_next", "__stop_hdist_next"}  # made by the linker
    assert exported - own == {one.name for one in FUNCTIONS if number(one.since) <= GLIBC}


def test_this_libc_has_what_it_should():
    """A function that this glibc lacks is younger than it: a misspelt one would wrap nothing."""
    libc = ctypes.CDLL(None)
    for one in FUNCTIONS:
        assert hasattr(libc, one.name) == (number(one.since) <= GLIBC), one.name


def test_headers_declare_no_other():
    """Whatever this glibc's headers declare with a parameter named as paths are is wrapped, or known to need nothing."""
    headers = "dirent dlfcn fcntl fts ftw glob mntent spawn stdio stdlib unistd utime sys/inotify sys/stat sys/statfs sys/statvfs sys/time sys/xattr"
    text = "#define _GNU_SOURCE\n" + "".join(f"#include <{name}.h>\n" for name in headers.split())
    done = subprocess.run(["cc", "-E", "-P", "-O0", "-"], input=text, capture_output=True, text=True, check=True)
    names = r"(?:path|file|filename|dir|pathname|name|from|to|old|new|oldpath|newpath|template|pattern|path_argv)"
    prototypes = re.sub(r"\s+", " ", done.stdout).split(";")
    found = set()
    for prototype in prototypes:
        match = re.search(r"\bextern [^(]*?(\w+) \((.*)\)", prototype)
        if match and re.search(rf"char ?\*(?: ?const ?\*)?(?: ?__restrict)? ?__{names}\b", match[2]):
            found.add(match[1])
    assert len(found) > 60, "the pattern fits"
    harmless = {"getdomainname", "setdomainname", "gethostname", "sethostname", "getlogin_r", "setlogin"}
    harmless |= {"getenv", "secure_getenv", "setenv", "unsetenv", "ttyname_r", "ptsname_r"}
    harmless |= {"tempnam", "glob_pattern_p", "fgetxattr", "fsetxattr", "fremovexattr", "dlsym", "dlvsym"}
    assert found - {name for name, *_ in known()} - harmless == set()


@pytest.fixture
def places(tmp_path):
    """An undeclared directory and a writable one, each with a file, a program, a library and a directory."""
    for name in ("hidden", "work"):
        folder = tmp_path / name
        (folder / "directory").mkdir(parents=True)
        (folder / "file").write_text("text\n")
        shutil.copy("/bin/true", folder / "program")
        library = next(line.split("=> ")[1].split()[0] for line in _ldd("/bin/sh") if "=> /" in line)
        shutil.copy(library, folder / "library")
    return tmp_path


def _ldd(program: str) -> list[str]:
    return subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.splitlines()


CASES = [(one, path) for one in FUNCTIONS if number(one.since) <= GLIBC for path in one.paths]


def thing(function: table.Function) -> str:
    if PROGRAMS.search(function.name):
        return "program"
    if LIBRARIES.search(function.name):
        return "library"
    return "directory" if DIRECTORIES.search(function.name) else "file"


def expected(function: table.Function, role: str) -> int:
    """What a program gets when that path is undeclared."""
    if role == "made" or CREATING.search(function.name):
        return errno.EACCES
    first = function.refusal.partition(" || ")[0]
    return errno.EACCES if set(re.findall(r"[A-Z]+", first)) & WRITES else errno.ENOENT


def arguments(function: table.Function, role: str, places) -> list[str]:
    """The paths to call it with: that one in the undeclared directory, the other in the writable one."""
    first, second = ("hidden", "work") if role != "made" else ("work", "hidden")
    name = thing(function)
    if re.search(r"MAKES\(path\)|path, MAKE", function.refusal):
        name = "new"
    return [function.name, str(places / first / name), str(places / second / "new-XXXXXX")]


@pytest.mark.parametrize(("function", "role"), CASES, ids=[f"{one.name}-{role}" for one, role in CASES])
def test_what_is_undeclared_is_kept(function, role, places, around, compiled):
    """Enforced, each function fails as if the path were not there, or closed; and it works outside, and if declared."""
    probe = compiled("probe", table.program(), "-ldl")
    call = arguments(function, role, places)
    rules = rules_for(places / "work", probe)
    inside = around("enforce", rules)
    said = inside.ok(probe, *call)
    if role == "target":
        assert inside.used()[call[1]] == ("link",)
        return
    code = expected(function, role)
    assert said == f"failed {code}\n"
    undeclared = call[1] if role != "made" else call[2]
    hidden = [access for access in inside.report.accesses if os.path.dirname(access.path) == str(places / "hidden")]
    assert [access.hidden for access in hidden] == [True]
    assert re.sub("new-.*", "new", hidden[0].path) == re.sub("new-.*", "new", undeclared)
    everything = rules_for(places, probe)
    for said in (around("enforce", everything).ok(probe, *call), run_outside(probe, *call, places=places)):
        assert said not in {f"failed {code}\n", "unknown\n"}


def run_outside(probe: str, *call: str, places) -> str:
    """The same without a jail, on untouched files."""
    for path in (places / "work").glob("new-*"):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    for folder in ("hidden", "work"):
        for path in (places / folder).glob("new*"):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        (places / folder / "directory").mkdir(exist_ok=True)
        (places / folder / "file").write_text("text\n")
    return subprocess.run([probe, *call], capture_output=True, text=True, check=True).stdout


def rules_for(writable, probe: str):
    rules = system_rules()
    rules.allow_writing(str(writable))
    rules.allow(probe)
    return rules
