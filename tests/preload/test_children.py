"""What a program starts stays inside, whatever it does to the environment."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from jails import system_rules

from hashdist.preload.library import LIBRARY, JailInactiveError

#: Each starts `probe` with an empty environment, or one that lacks what the jail needs.
_STARTER = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
int main(int count, char **given)
{
    char *how = given[1], *probe = given[2], *path = given[3];
    char *arguments[] = {probe, path, NULL}, *none[] = {NULL}, *other[] = {"A=1", "LD_PRELOAD=", "B=2", NULL};
    char command[8192];
    snprintf(command, sizeof command, "exec %s %s", probe, path);
    pid_t process = 0;
    if (!strcmp(how, "execve")) execve(probe, arguments, none);
    if (!strcmp(how, "execve-null")) execve(probe, arguments, NULL);
    if (!strcmp(how, "execve-other")) execve(probe, arguments, other);
    if (!strcmp(how, "execle")) execle(probe, probe, path, NULL, none);
    if (!strcmp(how, "execvpe")) execvpe(probe, arguments, none);
    if (!strcmp(how, "fexecve")) fexecve(open(probe, O_RDONLY | O_CLOEXEC), arguments, none);
    if (!strcmp(how, "execveat")) execveat(AT_FDCWD, probe, arguments, none, 0);
    if (!strcmp(how, "posix_spawn") && !posix_spawn(&process, probe, NULL, NULL, arguments, none)) goto wait;
    if (!strcmp(how, "posix_spawnp") && !posix_spawnp(&process, probe, NULL, NULL, arguments, none)) goto wait;
    if (!strcmp(how, "vfork")) { if (!(process = vfork())) { execve(probe, arguments, none); _exit(9); } goto wait; }
    clearenv();
    if (!strcmp(how, "system")) { fflush(stdout); return system(command) != 0; }
    if (!strcmp(how, "popen")) {
        FILE *pipe = popen(command, "r");
        int byte;
        while ((byte = fgetc(pipe)) != EOF) putchar(byte);
        return pclose(pipe) != 0;
    }
    if (!strcmp(how, "execv")) execv(probe, arguments);
    if (!strcmp(how, "execl")) execl(probe, probe, path, NULL);
    if (!strcmp(how, "execlp")) execlp(probe, probe, path, NULL);
    if (!strcmp(how, "execvp")) execvp(probe, arguments);
    setenv("LD_PRELOAD", "", 1);
    if (!strcmp(how, "system-set")) { fflush(stdout); return system(command) != 0; }
    perror(how);
    return 3;
wait:;
    int status;
    waitpid(process, &status, 0);
    return status != 0;
}
"""
_PROBE = """
#include <stdio.h>
#include <unistd.h>
int main(int count, char **given) { puts(access(given[1], F_OK) ? "hidden" : "there"); return 0; }
"""
HOW = (
    "execve execve-null execve-other execle execvpe fexecve execveat posix_spawn posix_spawnp vfork "
    "system popen execv execl execlp execvp system-set"
).split()


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("x")
    return str(path)


@pytest.mark.parametrize("how", HOW)
def test_an_emptied_environment(how, secret, around, compiled):
    """A child that was given no environment is in the jail all the same; outside it sees everything."""
    starter, probe = compiled("starter", _STARTER), compiled("looker", _PROBE)
    rules = system_rules()
    rules.allow(starter, probe)
    assert around("enforce", rules).ok(starter, how, probe, secret) == "hidden\n"
    assert subprocess.run([starter, how, probe, secret], capture_output=True, text=True).stdout == "there\n"


@pytest.mark.parametrize(
    "script",
    [
        "env -i {probe} {path}",
        "bash -c 'exec -c {probe} {path}'",
        "unset LD_PRELOAD; {probe} {path}",
        "HDIST_JAIL_RULES= {probe} {path}",
        "HDIST_JAIL_RULES=/nonexistent/rules {probe} {path}",
        "LD_PRELOAD=/nonexistent.so {probe} {path} 2>/dev/null",
        "perl -e '%ENV=(); exec @ARGV' {probe} {path}",
        "perl -e '%ENV=(); print `{probe} {path}`'",
        "/usr/bin/python3 -c 'import subprocess, sys; subprocess.run(sys.argv[1:], env={{}})' {probe} {path}",
        "/usr/bin/python3 -c 'import os, sys; os.posix_spawn(sys.argv[1], sys.argv[1:], {{}}); os.wait()' {probe} {path}",
        "echo {probe} {path} | xargs env -i",
        "find {probe} -exec env -i {{}} {path} \\;",
        "make -s -f /dev/null --eval 'all: ; @env -i {probe} {path}'",
    ],
)
def test_real_programs_that_empty_it(script, secret, around, compiled):
    """So it is for what shells, interpreters and tools start."""
    probe = compiled("looker", _PROBE)
    rules = system_rules()
    rules.allow(probe)
    inside = around("enforce", rules)
    assert inside.ok("/bin/sh", "-c", script.format(probe=probe, path=secret)) == "hidden\n"


def test_others_that_are_preloaded_stay(around, compiled, tmp_path):
    """What is preloaded already, such as a site's accounting, comes after the jail, also where a child had none."""
    other = compiled("other.so", "int other(void) { return 1; }", "-shared", "-fPIC")
    rules = system_rules()
    inside = around("report", rules)
    env = {**os.environ, "LD_PRELOAD": f"{other} {LIBRARY}"}
    shown = inside.ok("/bin/sh", "-c", "echo $LD_PRELOAD; grep -c other.so /proc/self/maps", env=env).splitlines()
    assert shown[0] == f"{LIBRARY}:{other}"
    assert int(shown[1]) > 0
    again = inside.ok("/usr/bin/env", f"LD_PRELOAD={other}", "/bin/sh", "-c", "echo $LD_PRELOAD")
    assert again.strip() == f"{LIBRARY}:{other}"


def test_a_hidden_program_is_not_found(around, tmp_path):
    """The search along PATH goes on behind a hidden program, as if it were not there."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").write_text(f"#!/bin/sh\necho {name}\n")
        (tmp_path / name / "tool").chmod(0o755)
    rules = system_rules()
    rules.allow_tree(str(tmp_path / "second"))
    path = f"{tmp_path}/first:{tmp_path}/second:/usr/bin:/bin"
    inside = around("enforce", rules)
    for command in (["/usr/bin/env", "tool"], ["/bin/sh", "-c", "tool"], ["/usr/bin/perl", "-e", "exec 'tool'"]):
        assert inside.ok(*command, env={**os.environ, "PATH": path}) == "second\n"
    spawn = "import os; os.posix_spawnp('tool', ['tool'], os.environ); os.wait()"
    assert inside.ok("/usr/bin/python3", "-c", spawn, env={**os.environ, "PATH": path}) == "second\n"
    assert around("report", rules).ok("/usr/bin/env", "tool", env={**os.environ, "PATH": path}) == "first\n"


def test_what_no_kernel_can_execute(around, tmp_path):
    """A script without its first line is run by the shell, as execvp does outside."""
    script = tmp_path / "script"
    script.write_text('echo "ran $1"\n')
    script.chmod(0o755)
    rules = system_rules()
    rules.allow(str(script))
    assert around("enforce", rules).ok("/usr/bin/env", str(script), "so") == "ran so\n"


def test_a_hidden_interpreter(around, tmp_path):
    """A script whose interpreter is undeclared does not start: the kernel would not ask us."""
    shutil.copy("/bin/dash", tmp_path / "shell")
    script = tmp_path / "work" / "script"
    script.parent.mkdir()
    script.write_text(f"#!{tmp_path}/shell\necho ran\n")
    script.chmod(0o755)
    rules = system_rules()
    rules.allow_tree(str(script.parent))
    done = around("enforce", rules).run("/bin/sh", "-c", str(script))
    assert (done.returncode, done.stdout) == (127, "")
    assert around("report", rules).ok("/bin/sh", "-c", str(script)) == "ran\n"


def test_without_the_shell(around, compiled):
    """Where the shell is undeclared, system and popen fail as where there is none."""
    program = compiled(
        "shells",
        '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { printf("%d %d %d\\n", system("true"), system(NULL), popen("true", "r") != NULL); }',
    )
    from hashdist.preload.base import base_rules

    rules = base_rules()
    rules.allow(program)
    assert around("enforce", rules).ok(program) == f"{127 << 8} 0 0\n"


def test_jails_do_not_nest(around, monkeypatch):
    """One inside of another could only loosen it, so it is refused."""
    inside = around("report")
    monkeypatch.setenv("HDIST_JAIL_RULES", inside.jail.rules_path)
    with pytest.raises(JailInactiveError, match="do not nest"):
        around("report")


def test_rules_that_are_gone(around, compiled, tmp_path):
    """What a command left running may start more: told only, that runs; enforced, it does not."""
    for mode, code in (("report", 0), ("enforce", 126)):
        inside = around(mode)
        shutil.rmtree(inside.jail.directory)
        assert inside.run("/bin/true").returncode == code
