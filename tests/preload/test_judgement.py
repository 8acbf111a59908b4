"""What is judged, and how: paths as written, then in their canonical directory; reads, writes, links, listings."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings, strategies as st
from jails import system_rules

from hashdist.preload.log import read_log
from hashdist.preload.rules import Rules

_LOOK = """
#include <stdio.h>
#include <unistd.h>
int main(int count, char **given)
{
    for (int i = 1; i < count; i++) putchar(access(given[i], F_OK) ? '-' : '+');
    return 0;
}
"""
NAMES = st.sampled_from("abc")
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(
    files=st.sets(PATHS, min_size=1, max_size=8),
    exact=st.sets(PATHS, max_size=4),
    trees=st.sets(PATHS, max_size=2),
    links=st.dictionaries(st.sampled_from("xyz"), PATHS, max_size=2),
    dots=st.booleans(),
)
@settings(max_examples=60)
def test_the_library_and_the_model_agree(files, exact, trees, links, dots, around, compiled, tmp_path_factory):
    """For any tree, rules and links, a program sees exactly what `Rules.allows` says of the canonical path."""
    root = str(tmp_path_factory.mktemp("tree"))
    for name in sorted(files, key=len, reverse=True):
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path):
            open(path, "w").close()
    for name, target in links.items():
        os.symlink(target, os.path.join(root, name))
    looker = compiled("look-many", _LOOK)
    rules = system_rules()
    rules.allow(looker, *(os.path.join(root, one) for one in exact))
    rules.allow_tree(*(os.path.join(root, one) for one in trees))
    asked = sorted({*files, *exact, *trees, *links, *(f"{link}/{name}" for link in links for name in "abc")})
    asked = [f"a/../{one}" if dots else one for one in asked]
    seen = around("enforce", rules).ok(looker, *(os.path.join(root, one) for one in asked))
    for one, said in zip(asked, seen, strict=True):
        path = os.path.join(root, one)
        place = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        there = os.path.exists(path)
        assert said == ("+" if there and rules.allows(place) else "-"), one
    shutil.rmtree(root)


def test_relative_paths_and_directories_that_are_open(around, compiled, tmp_path):
    """A path is judged from the working directory, or from the directory that its descriptor means."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine").write_text("")
    (tmp_path / "theirs").write_text("")
    rules = system_rules()
    rules.allow_tree(str(tmp_path / "own"))
    inside = around("enforce", rules)
    for script in (
        "import os; print([os.path.exists(p) for p in ('mine', './/mine', '../theirs', '../own/mine')])",
        (
            "import os\nd = os.open('.', os.O_RDONLY)\nos.chdir('/')\n"
            "def see(p):\n  try: return bool(os.stat(p, dir_fd=d))\n  except FileNotFoundError: return False\n"
            "print([see(p) for p in ('mine', './/mine', '../theirs', '../own/mine')])"
        ),
    ):
        said = inside.ok("/usr/bin/python3", "-c", script, cwd=tmp_path / "own")
        assert said == "[True, True, False, True]\n"


def test_a_link_in_a_declared_directory_grants_no_more_than_its_way(around, tmp_path):
    """An undeclared link to a declared file is hidden: what finds libz.so through it must have declared it."""
    for name in ("libz.so.1.2", "other"):
        (tmp_path / name).write_text("x")
    (tmp_path / "libz.so").symlink_to("libz.so.1.2")
    rules = system_rules()
    rules.allow(str(tmp_path / "libz.so.1.2"))
    inside = around("enforce", rules)
    assert inside.run("cat", str(tmp_path / "libz.so")).returncode == 1
    assert inside.ok("cat", str(tmp_path / "libz.so.1.2")) == "x"
    assert list(inside.used()) == [str(tmp_path / "libz.so")]


def test_a_link_to_a_directory_opens_nothing_below_it(around, tmp_path):
    """That /lib leads to /usr/lib is no reason to see all of it."""
    (tmp_path / "usr" / "lib").mkdir(parents=True)
    for name in ("declared", "undeclared"):
        (tmp_path / "usr" / "lib" / name).write_text("x")
    (tmp_path / "lib").symlink_to("usr/lib")
    rules = system_rules()
    rules.allow(str(tmp_path / "lib" / "declared"))
    inside = around("enforce", rules)
    for folder in ("lib", "usr/lib"):
        assert inside.ok("cat", str(tmp_path / folder / "declared")) == "x"
        assert inside.run("cat", str(tmp_path / folder / "undeclared")).returncode == 1
        assert inside.ok("readlink", str(tmp_path / "lib")) == "usr/lib\n"
    assert list(inside.used()) == [str(tmp_path / "usr" / "lib" / "undeclared")]


def test_report_changes_nothing(around, tmp_path):
    """With 'report' reads and writes succeed; each is told once for each program, with what was done."""
    secret = tmp_path / "secret"
    secret.write_text("text\n")
    inside = around("report")
    script = (
        f"cat {secret}; cat {secret}; test -e {secret}; echo more >> {secret}; mkdir {tmp_path}/new; cat {tmp_path}/no"
    )
    done = inside.run("/bin/sh", "-c", script)
    assert done.stdout == "text\ntext\n"
    assert secret.read_text() == "text\nmore\n"
    report = inside.report
    by_path = {access.path: access for access in report.accesses}
    assert by_path[str(secret)].uses == ("look", "read", "write")
    assert {os.path.basename(one) for one in by_path[str(secret)].programs} == {"cat", "dash"}
    assert by_path[str(tmp_path / "new")].uses == ("write",)
    lines = [line for line in read_log(inside.jail.log_path).lines if (line.path, line.use) == (str(secret), "r")]
    assert len(lines) == 1, "two processes, one program"
    assert str(tmp_path / "no") not in by_path, "what is not there was not used"
    assert not report.pure
    assert not report.hidden


def test_hidden_and_closed(around, tmp_path):
    """With 'enforce' what would be read is not there, what would be written is closed, and directories exist."""
    (tmp_path / "there").mkdir()
    (tmp_path / "secret").write_text("x")
    (tmp_path / "work").mkdir()
    rules = system_rules()
    rules.allow_writing(str(tmp_path / "work"))
    inside = around("enforce", rules)
    inside.ok("mkdir", "-p", str(tmp_path / "work" / "a" / "b"))
    assert "No such file" in inside.run("cat", str(tmp_path / "secret")).stderr
    assert "Permission denied" in inside.run("touch", str(tmp_path / "new")).stderr
    assert "File exists" in inside.run("mkdir", str(tmp_path / "there")).stderr
    assert sorted(os.listdir(tmp_path)) == ["home", "jail-0", "secret", "there", "work"]
    assert inside.report.pure
    assert {access.path for access in inside.report.hidden} == {str(tmp_path / "secret"), str(tmp_path / "new")}


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_what_fails_anyway_is_not_told(around):
    """A write that the system refuses used nothing."""
    inside = around("report")
    assert inside.run("touch", "/usr/new").returncode == 1
    assert inside.report.pure


def test_the_links_a_build_makes_are_told(around, tmp_path):
    """A link to an undeclared file would be a way around: it is made, and told of."""
    (tmp_path / "secret").write_text("x")
    (tmp_path / "work").mkdir()
    rules = system_rules()
    rules.allow_writing(str(tmp_path / "work"))
    inside = around("enforce", rules)
    inside.ok("ln", "-s", str(tmp_path / "secret"), str(tmp_path / "work" / "link"))
    assert inside.used()[str(tmp_path / "secret")] == ("link",)
    assert not inside.report.pure


def test_relative_links_are_told_too(around, tmp_path):
    """Whether a link says where it leads from the root or from where it stands is the same."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "work").mkdir()
    rules = system_rules()
    rules.allow_writing(str(tmp_path / "work"))
    inside = around("enforce", rules)
    inside.ok("ln", "-s", "../hidden", "link", cwd=tmp_path / "work")
    assert inside.used()[str(tmp_path / "hidden")] == ("link",)
    done = inside.run("sh", "-c", "echo x > link/new", cwd=tmp_path / "work")
    assert "Permission denied" in done.stderr, "nothing is written through it"
    assert os.listdir(tmp_path / "hidden") == []


def test_attributes_of_what_one_may_not_write(around, tmp_path):
    """Mode and times of a file without write bits are its owner's to change: that is a write like another."""
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o444)
    rules = system_rules()
    rules.allow(str(tmp_path / "file"))
    inside = around("enforce", rules)
    assert inside.run("chmod", "755", str(tmp_path / "file")).returncode == 1
    assert inside.run("touch", "-d", "2001-01-01", str(tmp_path / "file")).returncode == 1
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o444
    assert inside.used() == {str(tmp_path / "file"): ("write",)}


@pytest.mark.skipif(shutil.which("setpriv") is None or os.getuid() != 0, reason="only root can become somebody else")
def test_who_becomes_somebody_else(around, tmp_path, tmp_path_factory):
    """What root starts as another user is inside all the same, and its doings are told."""
    place = tmp_path_factory.mktemp("open")
    for folder in (place, *place.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    (place / "secret").write_text("x")
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    command = ["setpriv", "--reuid", "65534", "--clear-groups", "cat", str(place / "secret")]
    told = around("report")
    assert told.ok(*command) == "x"
    assert told.used() == {str(place / "secret"): ("read",)}
    hidden = around("enforce")
    assert "No such file" in hidden.run(*command).stderr


def test_a_static_interpreter(around, compiled, tmp_path):
    """A script whose interpreter cannot be looked into is no way around: that it was run is told."""
    static = compiled("static", _LOOK, "-static")
    script = tmp_path / "script"
    script.write_text(f"#!{static}\n")
    script.chmod(0o755)
    rules = system_rules()
    rules.allow(static, str(script))
    inside = around("enforce", rules)
    inside.ok("/usr/bin/env", str(script))
    assert inside.report.unseen == (static,)
    assert inside.report.pure, "it is declared"


def test_static_programs_of_ones_own(around, compiled, tmp_path):
    """One that the command may have made itself is nobody's declared software: nothing is known then."""
    static = compiled("static", _LOOK, "-static")
    rules = system_rules()
    rules.allow_writing(os.path.dirname(static))
    inside = around("enforce", rules)
    inside.ok("/usr/bin/env", static)
    assert (inside.report.unseen, inside.report.made_unseen) == ((static,), (static,))
    assert not inside.report.pure


@pytest.mark.parametrize(
    "call",
    [
        "os.open('{name}', os.O_RDONLY, dir_fd=d)",
        "os.stat('{name}', dir_fd=d)",
        "os.readlink('{name}', dir_fd=d)",
        "os.access('{name}', os.F_OK, dir_fd=d) or 1/0",
        "os.unlink('{name}', dir_fd=d)",
        "os.rename('{name}', 'new', src_dir_fd=d, dst_dir_fd=d)",
        "os.link('{name}', 'new', src_dir_fd=d, dst_dir_fd=d)",
        "os.symlink('x', 'new-{name}', dir_fd=d)",
        "os.mkdir('new-{name}', dir_fd=d)",
        "os.mkfifo('new-{name}', dir_fd=d)",
        "os.chmod('{name}', 0o600, dir_fd=d)",
        "os.chown('{name}', -1, -1, dir_fd=d)",
        "os.utime('{name}', dir_fd=d)",
    ],
)
def test_descriptors_of_directories(call, around, tmp_path):
    """Whatever takes a directory's descriptor judges the path from there, not from where the program stands."""
    for name in ("hidden", "work"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "link").symlink_to("nowhere")
        (tmp_path / name / "file").write_text("")
    rules = system_rules()
    rules.allow_writing(str(tmp_path / "work"))
    name = "link" if "readlink" in call else "file"
    results = []
    for place in ("hidden", "work"):
        script = (
            f"import os\nd = os.open('../{place}', os.O_RDONLY | os.O_PATH)\n{call.format(name=name)}\nprint('done')"
        )
        if place == "hidden":
            rules.allow(str(tmp_path / "hidden"))
        results.append(around("enforce", rules).run("/usr/bin/python3", "-c", script, cwd=tmp_path / "work").stdout)
    assert results == ["", "done\n"]


def test_globs_leave_out_what_is_hidden(around, compiled, tmp_path):
    """glob looks by itself, so its results are sifted; of none left, or of the pattern itself, it says so as ever."""
    for name in ("one.h", "two.h"):
        (tmp_path / name).write_text("")
    program = compiled(
        "globber",
        """
        #include <glob.h>
        #include <stdio.h>
        int main(int count, char **given)
        {
            glob_t found;
            int result = glob(given[1], GLOB_DOOFFS | (count > 2 ? GLOB_NOCHECK : 0), (found.gl_offs = 2, NULL), &found);
            printf("%d", result);
            for (size_t i = 0; !result && i < found.gl_pathc; i++) printf(" %s", found.gl_pathv[found.gl_offs + i]);
            if (!result) globfree(&found);
            return 0;
        }
        """,
    )
    rules = system_rules()
    rules.allow(program)
    nothing = around("enforce", rules)
    rules.allow(str(tmp_path / "one.h"))
    some = around("enforce", rules)
    pattern = f"{tmp_path}/*.h"
    assert some.ok(program, pattern) == f"0 {tmp_path}/one.h"
    assert nothing.ok(program, pattern) == "3"
    assert nothing.ok(program, pattern, "unchecked") == f"0 {pattern}"
    assert around("report", rules).ok(program, pattern) == f"0 {tmp_path}/one.h {tmp_path}/two.h"


def test_libraries_the_linker_loads_are_told(around, compiled, tmp_path):
    """A library by DT_NEEDED is loaded before we can say no: it is told of, also when the rules are enforced."""
    library = compiled("libneeded.so", "int needed(void) { return 0; }", "-shared", "-fPIC")
    folder = os.path.dirname(library)
    program = compiled(
        "needing",
        "int needed(void); int main(void) { return needed(); }",
        f"-L{folder}",
        "-lneeded",
        f"-Wl,-rpath,{folder}",
    )
    rules = system_rules()
    rules.allow(program)
    inside = around("enforce", rules)
    inside.ok(program)
    assert inside.used() == {library: ("load",)}
    assert not inside.report.pure


def test_libraries_that_are_loaded_by_name(around, compiled, tmp_path):
    """dlopen of a hidden path says what it always says; one that the linker finds by name is told at the end."""
    library = compiled("libplugin.so", "int plugin;", "-shared", "-fPIC")
    program = compiled(
        "loader",
        '#include <dlfcn.h>\n#include <stdio.h>\nint main(int c, char **v) { puts(dlopen(v[1], RTLD_NOW) ? "loaded" : dlerror()); }',
        "-ldl",
        f"-Wl,-rpath,{os.path.dirname(library)}",
    )
    rules = system_rules()
    rules.allow(program)
    inside = around("enforce", rules)
    assert "cannot open shared object file: No such file" in inside.ok(program, library)
    assert inside.used() == {library: ("load",)}
    again = around("enforce", rules)
    assert again.ok(program, "libplugin.so") == "loaded\n"
    assert again.used() == {library: ("load",)}
    assert not again.report.pure


def test_a_library_finds_its_neighbours(around, compiled, tmp_path):
    """dlopen looks along the run path of the library that calls it, not along ours: $ORIGIN must stay its own."""
    (tmp_path / "lib").mkdir()
    compiled_plugin = compiled("libneighbour.so", "int neighbour;", "-shared", "-fPIC")
    shutil.copy(compiled_plugin, tmp_path / "lib" / "libonly-here.so")
    caller = compiled(
        "libcaller.so",
        '#include <dlfcn.h>\nint call(void) { return dlopen("libonly-here.so", RTLD_NOW) != 0; }',
        "-shared",
        "-fPIC",
        "-Wl,-rpath,$ORIGIN",
    )
    shutil.copy(caller, tmp_path / "lib" / "libcaller.so")
    program = compiled(
        "asker",
        '#include <dlfcn.h>\n#include <stdio.h>\nint main(int c, char **v) { int (*f)(void) = dlsym(dlopen(v[1], RTLD_NOW), "call"); printf("%d", f()); }',
        "-ldl",
    )
    rules = system_rules()
    rules.allow(program)
    rules.allow_tree(str(tmp_path / "lib"))
    assert around("enforce", rules).ok(program, str(tmp_path / "lib" / "libcaller.so")) == "1"


def test_programs_that_cannot_be_looked_into(around, compiled, tmp_path):
    """A static program sees everything; that it was run is told, and so are its dynamic children's doings."""
    (tmp_path / "secret").write_text("x")
    static = compiled("static", _LOOK, "-static")
    rules = system_rules()
    rules.allow(static)
    inside = around("enforce", rules)
    assert inside.ok("/usr/bin/env", static, str(tmp_path / "secret")) == "+", "it escapes"
    assert inside.report.unseen == (static,)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a program somebody else's")
def test_programs_that_change_who_they_are(around, compiled):
    """The loader preloads nothing into a set-user-id program: that it was run is told."""
    program = shutil.copy("/bin/true", os.path.join(os.path.dirname(compiled("look-many", _LOOK)), "set-id"))
    os.chown(program, 65534, 65534)
    os.chmod(program, 0o4755)
    rules = system_rules()
    rules.allow(program)
    inside = around("enforce", rules)
    inside.ok("/usr/bin/env", program)
    assert inside.report.unseen == (program,)


def test_raw_system_calls_are_not_seen(around, compiled, tmp_path):
    """A limit: what asks the kernel by itself is not looked at."""
    (tmp_path / "secret").write_text("x")
    raw = compiled(
        "raw",
        "#include <fcntl.h>\n#include <stdio.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
        'int main(int c, char **v) { puts(syscall(SYS_openat, AT_FDCWD, v[1], O_RDONLY) < 0 ? "hidden" : "seen"); }',
    )
    rules = system_rules()
    rules.allow(raw)
    inside = around("enforce", rules)
    assert inside.ok(raw, str(tmp_path / "secret")) == "seen\n"
    assert inside.report.pure


def test_names_that_are_no_text(around, compiled, tmp_path):
    """Names are bytes: those that are no UTF-8, and long ones, are granted and told as they are."""
    odd = os.path.join(os.fsencode(tmp_path), b"\xff name\n" + b"n" * 200)
    for name in (odd, odd + b"-undeclared"):
        with open(name, "w") as file:
            file.write("x")
    rules = system_rules()
    rules.allow(os.fsdecode(odd))
    inside = around("enforce", rules)
    assert inside.ok("cat", os.fsdecode(odd)) == "x"
    assert inside.run("cat", os.fsdecode(odd) + "-undeclared").returncode == 1
    assert list(inside.used()) == [os.fsdecode(odd) + "-undeclared"]


def test_a_path_that_is_too_long(around):
    """It is the system's to refuse."""
    done = around("enforce").run("cat", "/" + "a/" * 3000)
    assert "File name too long" in done.stderr


def test_rules_by_themselves():
    """Grants go down trees, ancestors may be looked at, and writing is a grant of its own."""
    rules = Rules()
    rules.allow("/a/b/c")
    rules.allow_tree("/t/u")
    rules.allow_writing("/w")
    assert [rules.allows(path) for path in ("/a/b/c", "/a/b", "/", "/a/b/d", "/a/b/c/d", "/t/u/v/w", "/t")] == [
        *(True, True, True, False, False, True, True)
    ]
    assert [rules.allows(path, write=True) for path in ("/w/x", "/w", "/t/u", "/a/b/c")] == [True, True, False, False]


def test_nothing_stays_open(around):
    """No descriptor is kept in a program."""
    script = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd')))"
    outside = subprocess.run(["/usr/bin/python3", "-c", script], capture_output=True, text=True).stdout
    assert around("enforce").ok("/usr/bin/python3", "-c", script) == outside
