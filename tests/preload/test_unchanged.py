"""Under 'report' no program does anything else than outside: results, error numbers, and what it does besides."""

from __future__ import annotations

import os
import subprocess

import pytest
from jails import system_rules

_CASES = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static char *root;
static char path[8192];
static char *in(const char *name) { snprintf(path, sizeof path, "%s/%s", root, name); return path; }
static void say(const char *what, long result) { printf("%s %ld %d\n", what, result < 0 ? -1L : result > 0, errno); errno = 77; }
#define TRY(call) say(#call, (long)(call))

static void spawn(const char *name, const char *list)
{
    pid_t process = 0;
    char *arguments[] = {(char *)name, NULL};
    int status = -1;
    setenv("PATH", list, 1);
    errno = 77;
    int error = posix_spawnp(&process, name, NULL, NULL, arguments, environ);
    int kept = errno;
    if (!error) waitpid(process, &status, 0);
    printf("spawnp %.20s in %s: %d errno %d status %d\n", name, list, error, kept, status);
    if (!(process = fork())) { execvp(name, arguments); _exit(errno); }
    waitpid(process, &status, 0);
    printf("execvp %.20s in %s: status %d\n", name, list, WEXITSTATUS(status));
}
static void *popen_often(void *unused)
{
    for (int i = 0; i < 200; i++) { FILE *pipe = popen("true", "r"); if (pipe) pclose(pipe); }
    return NULL;
}
static int count_object(struct dl_phdr_info *info, size_t size, void *data) { usleep(10); return 0; }
static volatile int stop;
static void *iterate(void *unused) { while (!stop) dl_iterate_phdr(count_object, NULL); return NULL; }
static void *open_secret(void *unused) { int file = open(in("file"), O_RDONLY); return (void *)(long)(file >= 0); }
static void on_signal(int number) { int file = open(in("file"), O_RDONLY); if (file >= 0) close(file); }

int main(int count, char **given)
{
    root = given[2];
    int dir = open(root, O_RDONLY | O_DIRECTORY);
    errno = 77;
    if (!strcmp(given[1], "errors")) {
        TRY(open(in("file"), O_RDONLY));
        TRY(open(in("file"), O_CREAT | O_EXCL | O_WRONLY, 0600));
        TRY(open(in("file"), O_RDONLY | O_CREAT, 0600));
        TRY(open(in("no/file"), O_RDONLY));
        TRY(open(in("file/no"), O_RDONLY));
        TRY(open(in("loop"), O_RDONLY));
        TRY(openat(dir, "file", O_RDONLY));
        TRY(openat(dir, "new", O_WRONLY | O_CREAT | O_EXCL, 0644));
        TRY(openat(dir, ".", O_TMPFILE | O_RDWR, 0640));
        TRY(openat(-5, "file", O_RDONLY));
        TRY(fstatat(dir, "", &(struct stat){0}, AT_EMPTY_PATH));
        TRY(open("", O_RDONLY));
        TRY(open(NULL, O_RDONLY));
        TRY(mkdir(in("directory"), 0700));
        TRY(mkdirat(dir, "made", 0700));
        TRY(rmdir(in("directory")));
        TRY(unlinkat(dir, "made", AT_REMOVEDIR));
        TRY(symlink("x", in("file")));
        TRY(symlinkat("x", dir, "link"));
        TRY(link(in("file"), "/proc/none"));
        TRY(linkat(dir, "file", dir, "hard", 0));
        TRY(renameat(dir, "hard", dir, "soft"));
        TRY(mkfifo(in("file"), 0600));
        TRY(chmod(in("file"), 0640));
        TRY(fchmodat(dir, "file", 0644, 0));
        TRY(truncate(in("no"), 0));
        TRY(readlink(in("file"), (char[9]){0}, 9));
        TRY(access(in("no"), F_OK));
        TRY(faccessat(dir, "file", R_OK, 0));
        TRY(chdir(in("file")));
        TRY(execve(in("file"), (char *[]){"x", NULL}, environ));
        TRY(execve(in("fifo"), (char *[]){"x", NULL}, environ));
        TRY(execve(in("directory"), (char *[]){"x", NULL}, environ));
        memset(path, 'a', 5000); path[0] = '/';
        TRY(open(path, O_RDONLY));
        TRY((long)opendir(in("file")));
        TRY((long)fopen(in("no"), "r"));
        TRY((long)freopen(in("file"), "r", stdin));
        TRY((long)realpath(in("no/x"), NULL));
    }
    if (!strcmp(given[1], "search")) {
        char longest[300];
        memset(longest, 'n', sizeof longest - 1); longest[sizeof longest - 1] = 0;
        chdir(root);
        const char *names[] = {"tool", "plain", "directory", "nothing", "scripted", "fifo", "longest", "./tool", "no/tool", ""};
        const char *places[] = {"bin", "no:bin", "file:bin", "loop:bin", "bin:/usr/bin", "", ":bin", "closed:bin"};
        for (size_t p = 0; p < sizeof places / sizeof *places; p++)
            for (size_t n = 0; n < sizeof names / sizeof *names; n++)
                spawn(strcmp(names[n], "longest") ? names[n] : longest, places[p]);
    }
    if (!strcmp(given[1], "environment")) {
        pthread_t thread;
        pthread_create(&thread, NULL, popen_often, NULL);
        int lost = 0;
        for (int i = 0; i < 3000; i++) {
            char name[32];
            snprintf(name, sizeof name, "NAME_%d", i);
            setenv(name, "x", 1);
            lost += !getenv(name);
        }
        pthread_join(thread, NULL);
        for (int i = 0; i < 3000; i++) { char name[32]; snprintf(name, sizeof name, "NAME_%d", i); lost += !getenv(name); }
        printf("lost %d\n", lost);
    }
    if (!strcmp(given[1], "fork")) {
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, iterate, NULL);
        for (int i = 0; i < 300; i++) {
            pid_t process = fork();
            if (!process) exit(0);
            waitpid(process, NULL, 0);
        }
        stop = 1;
        for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
        puts("forked");
    }
    if (!strcmp(given[1], "stack")) {
        pthread_attr_t small;
        pthread_t thread;
        void *result = NULL;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN + 4096);
        pthread_create(&thread, &small, open_secret, NULL);
        pthread_join(thread, &result);
        stack_t other = {.ss_sp = malloc(16384), .ss_size = 16384};
        sigaltstack(&other, NULL);
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_ONSTACK}, NULL);
        raise(SIGUSR1);
        printf("opened %ld\n", (long)result);
    }
    if (!strcmp(given[1], "dlerror")) {
        dlopen("/nonexistent.so", RTLD_NOW);
        access("/tmp", F_OK);
        chdir("/");
        struct stat status;
        lstat("/etc", &status);
        char *said = dlerror();
        printf("%s\n", said ? said : "nothing");
        printf("%p\n", dlsym(RTLD_DEFAULT, "a_function_of_the_future"));
    }
    return 0;
}
"""
CASES = "errors search environment fork stack dlerror".split()


@pytest.fixture
def place(tmp_path):
    """Makes the same directory again and again, with what can stand in the way."""

    def make(name: str):
        root = tmp_path / name
        (root / "bin").mkdir(parents=True)
        (root / "directory").mkdir()
        (root / "directory" / "inside").write_text("")
        (root / "file").write_text("text\n")
        (root / "loop").symlink_to("loop")
        os.mkfifo(root / "fifo", 0o755)
        (root / "closed").mkdir(mode=0)
        for tool, text, mode in (
            ("tool", "#!/bin/sh\nexit 3\n", 0o755),
            ("plain", "exit 4\n", 0o755),
            ("nothing", "", 0o644),
        ):
            (root / "bin" / tool).write_text(text)
            (root / "bin" / tool).chmod(mode)
        (root / "bin" / "scripted").write_text("#!/nonexistent/interpreter\n")
        (root / "bin" / "scripted").chmod(0o755)
        (root / "bin" / "directory").mkdir()
        os.mkfifo(root / "bin" / "fifo", 0o755)
        return str(root)

    return make


@pytest.mark.parametrize("case", CASES)
def test_a_program_does_what_it_does_outside(case, place, around, compiled):
    """Its output, with every result and error number, is the same; it neither crashes nor hangs."""
    program = compiled("cases", _CASES, "-pthread", "-ldl")
    rules = system_rules()
    rules.allow(program)
    outputs = []
    for name, run in (("outside", None), ("inside", around("report", rules))):
        root = place(name)
        command = [program, case, root]
        if run is None:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        else:
            done = run.run(*command, timeout=60)
        os.chmod(f"{root}/closed", 0o755)
        assert done.returncode == 0, (name, done.returncode, done.stderr)
        outputs.append(done.stdout.replace(root, "ROOT"))
    assert outputs[1] == outputs[0]
    assert len(outputs[0]) > 5


@pytest.mark.skipif(not os.path.exists("/usr/bin/gcc"), reason="no gcc here")
def test_the_address_sanitizer(around, compiled):
    """A program that gcc made for its sanitizer starts, though its run-time library does not come first."""
    program = compiled("sanitized", '#include <stdio.h>\nint main(void) { puts("ran"); }', "-fsanitize=address")
    rules = system_rules()
    rules.allow(program)
    assert around("enforce", rules).ok(program) == "ran\n"
