"""Many processes and threads at once: the log stays whole, nothing hangs, nothing is lost unnoticed."""

from __future__ import annotations

import functools
import os
import subprocess

import pytest
from hypothesis import given, strategies as st
from jails import system_rules

from hashdist.preload import running
from hashdist.preload.jail import make_jail
from hashdist.preload.library import JailInactiveError
from hashdist.preload.log import ROOM, create_log, read_log

_WRITER = """
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char **given)
{
    int processes = atoi(given[2]), lines = atoi(given[3]);
    char path[4096];
    struct stat status;
    for (int p = 0; p < processes; p++)
        if (!fork()) {
            for (int i = 0; i < lines; i++) {
                snprintf(path, sizeof path, "%s/%d-%d", given[1], p, i);
                stat(path, &status);
            }
            _exit(0);
        }
    while (wait(NULL) > 0) ;
    return 0;
}
"""
_THREADS = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static char *path, *program;
static int failures;
static void *look(void *unused)
{
    for (int i = 0; i < 3000; i++) {
        struct stat status;
        if (!stat(path, &status) || open(path, O_RDONLY) >= 0) __sync_fetch_and_add(&failures, 1);
        free(malloc(100 + i));
        FILE *own = fopen("/dev/null", "r");
        if (!own) __sync_fetch_and_add(&failures, 1); else fclose(own);
    }
    return NULL;
}
static void *start(void *how)
{
    char *arguments[] = {program, path, NULL}, *none[] = {NULL};
    for (int i = 0; i < 50; i++) {
        pid_t process = 0;
        if (!how && !(process = fork())) { execve(program, arguments, none); _exit(99); }
        if (how == (void *)1 && !(process = vfork())) { execve(program, arguments, none); _exit(99); }
        if (how == (void *)2) posix_spawn(&process, program, NULL, NULL, arguments, none);
        int status = 1;
        waitpid(process, &status, 0);
        if (status) __sync_fetch_and_add(&failures, 1);
    }
    return NULL;
}
int main(int count, char **given)
{
    pthread_t threads[11];
    path = given[1]; program = given[2];
    for (long i = 0; i < 8; i++) pthread_create(&threads[i], NULL, look, NULL);
    for (long i = 0; i < 3; i++) pthread_create(&threads[8 + i], NULL, start, (void *)i);
    for (int i = 0; i < 11; i++) pthread_join(threads[i], NULL);
    printf("%d failures\\n", failures);
    return failures != 0;
}
"""
_HIDDEN = "#include <unistd.h>\nint main(int c, char **v) { return access(v[1], F_OK) == 0; }"


def test_sixteen_processes(around, compiled, tmp_path):
    """Of 16 processes that tell of 2,000 paths each, every line is there, whole, once."""
    writer = compiled("writer", _WRITER)
    (tmp_path / "f").mkdir()
    for process in range(16):
        for line in range(2000):
            os.close(os.open(tmp_path / "f" / f"{process}-{line}", os.O_CREAT))
    rules = system_rules()
    rules.allow(writer, str(tmp_path / "f"))
    inside = around("report", rules)
    inside.ok(writer, str(tmp_path / "f"), "16", "2000")
    report = inside.report
    assert {access.path for access in report.accesses} == {
        str(tmp_path / "f" / f"{process}-{line}") for process in range(16) for line in range(2000)
    }
    assert report.dropped == 0
    assert {access.programs for access in report.accesses} == {(writer,)}


def test_what_the_log_has_no_room_for_is_counted(around, compiled, tmp_path):
    """A full log loses lines, and says how many; the run is not pure then."""
    writer = compiled("writer", _WRITER)
    for process in range(4):
        for line in range(500):
            os.close(os.open(tmp_path / f"{process}-{line}", os.O_CREAT))
    rules = system_rules()
    rules.allow(writer)
    inside = around("enforce", rules, room=64 << 10)
    inside.ok(writer, str(tmp_path), "4", "500")
    report = inside.report
    assert len(report.accesses) > 100
    assert len(report.accesses) + report.dropped == 2000
    assert not report.pure


def test_threads_and_vfork(around, compiled, tmp_path):
    """Threads that look, open and allocate while others fork, vfork and spawn: nothing hangs, nothing is seen."""
    program, child = compiled("threads", _THREADS, "-pthread"), compiled("hidden-from", _HIDDEN)
    (tmp_path / "secret").write_text("x")
    rules = system_rules()
    rules.allow(program, child)
    inside = around("enforce", rules)
    assert inside.ok(program, str(tmp_path / "secret"), child, timeout=60) == "0 failures\n"
    assert subprocess.run([program, str(tmp_path / "secret"), child], capture_output=True).returncode == 1


@given(data=st.binary(max_size=600), used=st.integers(0, 1000), where=st.integers(0, 100))
def test_any_bytes_in_the_log(data, used, where, tmp_path_factory):
    """Whatever a process left there, reading does not fail."""
    path = str(tmp_path_factory.mktemp("log") / "log")
    create_log(path, launcher=1, room=1024)
    begin = os.path.getsize(path) - 1024
    with open(path, "r+b") as file:
        file.seek(16)
        file.write(used.to_bytes(8, "little"))
        file.seek(begin + where)
        file.write(data)
    read_log(path)


def test_a_process_that_was_killed_while_it_wrote(around, tmp_path):
    """A line that was begun and not finished is counted as lost; the lines around it are kept."""
    for name in ("one", "two"):
        (tmp_path / name).write_text("")
    inside = around("report")
    inside.ok("cat", str(tmp_path / "one"))
    log = inside.jail.log_path
    begin = os.path.getsize(log) - ROOM
    with open(log, "r+b") as file:
        file.seek(16)
        used = int.from_bytes(file.read(8), "little")
        file.seek(16)
        file.write((used + 64).to_bytes(8, "little"))
        file.seek(begin + used + 20)
        file.write(b"half a line")
    inside.ok("cat", str(tmp_path / "two"))
    assert {access.path for access in inside.report.accesses} == {str(tmp_path / "one"), str(tmp_path / "two")}
    assert inside.report.dropped == 1


def test_no_room_for_the_log(around, tmp_path, monkeypatch):
    """The log has its room before anything runs: a full disk is an error then, and no signal to a program later."""
    with pytest.raises(OSError, match=r"."):
        around("report", room=1 << 60)
    monkeypatch.setattr(running, "make_jail", functools.partial(make_jail, room=1 << 60))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(JailInactiveError, match="no room") as caught:
        running.run(["true"], system_rules(), "report", env=dict(os.environ), directory=str(tmp_path / "temporary"))
    assert "TMPDIR" in caught.value.hint
    assert os.listdir(tmp_path / "temporary") == []
