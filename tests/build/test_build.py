"""The rules of a build: environment, jobserver, sealing, presets with real tools."""

import os
import pathlib
import shutil
import threading
import time

import pytest
from support import package

from hashdist.build.environment import Input, Workplace, as_shell, directory_variable, environment
from hashdist.build.jobserver import Cancelled, Jobserver
from hashdist.build.running import missing_command_hint
from hashdist.objects.ids import SpecId
from hashdist.objects.spec import HostPart, Platform, Spec
from hashdist.workflow import checkout as checkouts
from hashdist.workflow.commit import commit_file

LINUX = Platform("linux", "x86_64", "x86-64")


def test_environment(tmp_path):
    """Packages come before host software and base last; only directories that exist are named."""
    for name in (
        "zlib/bin",
        "zlib/include",
        "zlib/lib/pkgconfig",
        "gcc/bin",
        "base/bin",
        "py/lib/python3.11/site-packages",
    ):
        (tmp_path / name).mkdir(parents=True)
    host = HostPart("path", "content", {})

    def put(name, **keys):
        return Input(name, str(tmp_path / name), Spec(name, "1", LINUX, **(keys or {"runner": 1})))

    inputs = [put("base", host=host), put("gcc", host=host), put("py"), put("zlib")]
    spec = Spec("x", "1", LINUX, runner=1, env={"CFLAGS": "-O2"}, inputs={one.name: SpecId("0" * 40) for one in inputs})
    env = environment(spec, inputs, Workplace("/w", "/p"), jobs=3)
    assert env["PATH"] == ":".join(f"{tmp_path}/{name}/bin" for name in ("zlib", "gcc", "base"))
    assert env["CPATH"] == f"{tmp_path}/zlib/include"
    assert env["PKG_CONFIG_LIBDIR"] == f"{tmp_path}/zlib/lib/pkgconfig"
    assert env["LD_RUN_PATH"] == f"/p/lib:{tmp_path}/py/lib:{tmp_path}/zlib/lib"
    assert env["PYTHONPATH"] == f"{tmp_path}/py/lib/python3.11/site-packages"
    assert (env["ZLIB_DIR"], env["HDIST_JOBS"], env["CFLAGS"]) == (f"{tmp_path}/zlib", "3", "-O2")
    assert "LD_LIBRARY_PATH" not in env
    assert environment(spec, [], Workplace("/w", "/p"), jobs=1)["PKG_CONFIG_LIBDIR"] == "/nonexistent"


def test_names_of_directories():
    """An input's variable is a shell variable, whatever its name."""
    assert [directory_variable(name) for name in ("zlib-ng", "7zip", "libstdc++")] == [
        "ZLIB_NG_DIR",
        "_7ZIP_DIR",
        "LIBSTDC___DIR",
    ]


def test_script_by_hand(tmp_path):
    """The kept script sets the very same environment, quotes included."""
    import subprocess

    script = as_shell(
        {"A": 'it\'s "x" $y', "B": "2"}, directory="/", commands=['test "$A$B" = "it\'s \\"x\\" \\$y2"', "echo fine"]
    )
    assert subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True).stdout == "fine\n"


def test_jobserver_shares_slots():
    """No more than the slots are held at once; who is cancelled gives up."""
    held, most = 0, 0
    lock = threading.Lock()
    with Jobserver(2) as jobserver:

        def work():
            nonlocal held, most
            with jobserver.slot():
                with lock:
                    held += 1
                    most = max(most, held)
                time.sleep(0.05)
                with lock:
                    held -= 1

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 2
        jobserver.cancel()
        with pytest.raises(Cancelled), jobserver.slot():
            pass
    assert Jobserver(1).variables == {}


def test_make_gets_the_slots(session, write):
    """make inside a build runs as many jobs as there are slots, told by the jobserver and not by -j."""
    rule = (
        "all: "
        + " ".join(f"t{n}" for n in range(4))
        + "\nt%:\n\t@date +%s%N > $(PREFIX)/$@s; sleep 0.4; date +%s%N > $(PREFIX)/$@e\ninstall:\n"
    )
    write("src/Makefile", rule)
    text = package("m", builder='"make"', source='{ path = "src" }', options='["--no-print-directory"]')
    target = commit_file(session, write("stack.toml", text), message="m")
    prefix = checkouts.ready(session, target.commit)
    times = [
        (name[-1], int(pathlib.Path(os.path.join(prefix, name)).read_text()))
        for name in os.listdir(prefix)
        if name.startswith("t")
    ]
    moments = sorted((moment, 1 if kind == "s" else -1) for kind, moment in times)
    running, most = 0, 0
    for _, step in moments:
        running += step
        most = max(most, running)
    assert most == 2


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["x", "sh: 1: cmake: not found"], "path:cmake"),
        (["make: gcc: No such file or directory"], "comes with a compiler"),
        (["/s/bin/sh: 3: python3: not found"], "path:python3"),
        (["bash: line 1: foo: command not found", "make: *** [x] Error 127"], "path:foo"),
        (["error: no such luck"], None),
    ],
)
def test_missing_commands(lines, words):
    """A command that was not found is told with the line that would bring it."""
    hint = missing_command_hint(lines)
    assert hint is None if words is None else words in hint


CMAKE = """\
cmake_minimum_required(VERSION 3.10)
project(hello C)
add_library(hello SHARED hello.c)
add_executable(say say.c)
target_link_libraries(say hello)
install(TARGETS hello say)
"""


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake on this machine")
def test_cmake(session, write):
    """The cmake preset builds and installs a library with a program that finds it."""
    import subprocess

    write("src/CMakeLists.txt", CMAKE)
    write("src/hello.c", 'const char *hello(void) { return "hello"; }\n')
    write("src/say.c", "#include <stdio.h>\nconst char *hello(void);\nint main(void) { return puts(hello()) < 0; }\n")
    text = '[host]\ngcc = "path:gcc"\ncmake = "path:cmake"\n' + package(
        "hello", builder='"cmake"', source='{ path = "src" }', inputs='["gcc", "cmake"]'
    )
    recorded = commit_file(session, write("stack.toml", text), message="m")
    prefix = checkouts.ready(session, recorded.commit)
    assert subprocess.run([f"{prefix}/bin/say"], env={}, capture_output=True, text=True, check=True).stdout == "hello\n"


CONFIGURE = """\
#!/bin/sh
for argument; do case $argument in --prefix=*) prefix=${argument#--prefix=};; --with-greeting=*) word=${argument#*=};; esac; done
printf 'all:\\n\\techo %s > out\\ninstall:\\n\\tmkdir -p %s/share && cp out %s/share/out\\n' "$word" "$prefix" "$prefix" > Makefile
"""


def test_autotools_and_sources_beside(session, write):
    """The autotools preset passes options; a second source lies where the stack says."""
    os.chmod(write("src/configure", CONFIGURE), 0o755)
    write("data/file", "beside\n")
    text = (
        '[packages.a]\nversion = "1"\nbuilder = "autotools"\noptions = ["--with-greeting=good day"]\nsource = { path = "src" }\n'
        '[packages.b]\nversion = "1"\ncommands = ["mkdir -p $PREFIX && cp third/party/file $PREFIX/copied"]\n[packages.b.sources]\n"third/party" = { path = "data" }\n'
    )
    recorded = commit_file(session, write("stack.toml", text), message="m")
    prefix = checkouts.ready(session, recorded.commit)
    assert pathlib.Path(f"{prefix}/share/out").read_text() == "good day\n"
    assert pathlib.Path(f"{prefix}/copied").read_text() == "beside\n"


def test_sealing_cuts_hard_links_and_set_ids(session, write):
    """A hard link becomes a file of its own, and set-id bits go."""
    text = package("a", "mkdir -p $PREFIX; echo x > $PREFIX/one; ln $PREFIX/one $PREFIX/two; chmod 4755 $PREFIX/one")
    recorded = commit_file(session, write("stack.toml", text), message="m")
    prefix = checkouts.ready(session, recorded.commit)
    for name in ("one", "two"):
        status = os.stat(os.path.join(prefix, name))
        assert (status.st_nlink, oct(status.st_mode & 0o7777)) == (1, "0o555")


def test_odd_files_are_refused(session, write):
    """A pipe in an artifact is a failure that names it."""
    from hashdist.errors import HashdistError

    recorded = commit_file(
        session, write("stack.toml", package("a", "mkdir -p $PREFIX; mkfifo $PREFIX/pipe")), message="m"
    )
    with pytest.raises(HashdistError, match="left 'pipe'"):
        checkouts.ready(session, recorded.commit)


def test_no_base(session, write):
    """Without base nothing is on PATH."""
    from hashdist.build.scheduler import BuildsFailedError

    recorded = commit_file(session, write("stack.toml", package("a", base="false")), message="m")
    with pytest.raises(BuildsFailedError, match="mkdir"):
        checkouts.ready(session, recorded.commit)


def test_many_makes_at_once(session, write):
    """make leaves the shared pipe without blocking; whoever finds it empty then just waits on."""
    write(
        "src/Makefile",
        "all: "
        + " ".join(f"t{n}" for n in range(40))
        + "\nt%:\n\t@true\ninstall:\n\tmkdir -p $(PREFIX) && touch $(PREFIX)/$(NAME)\n",
    )
    text = "".join(
        package(f"p{number}", builder='"make"', source='{ path = "src" }', env=f'{{ NAME = "f{number}" }}')
        for number in range(12)
    )
    from dataclasses import replace

    recorded = commit_file(session, write("stack.toml", text), message="m")
    prefix = checkouts.ready(replace(session, jobs=4), recorded.commit)
    assert len([name for name in os.listdir(prefix) if name.startswith("f")]) == 12
