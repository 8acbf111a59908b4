/* Run a command, and let one of its system calls that change files fail, or be the last thing a process does.

   faulty ROOT KIND NUMBER LOG COMMAND [ARGUMENT]...

   The calls of the command and all it starts are counted, in one row, as far as they change something below ROOT. At
   number NUMBER (0: never) of those that KIND can meet:

     kill     the process that makes it is killed before it is made
     enospc   it fails with ENOSPC; enospc+: so do all that need room from then on
     eio      it fails with EIO; eio+: so do all from then on

   LOG gets a line for each call that counts. The exit status is the command's. Linux on x86-64; needs ptrace and
   seccomp filters, no root. Sources: ptrace(2), seccomp(2). */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOM = 1, CREATES = 2 };

struct call {
    long number;
    const char *name;
    int fd;    /* the argument that is a file, or -1 */
    int at;    /* the argument that is the directory that a path is relative to, -1: the working directory */
    int path;  /* the argument that is a path, or -1 */
    int flags; /* the argument with open's flags, or -1 */
    int kind;
};

static const struct call calls[] = {
    {SYS_open, "open", -1, -1, 0, 1, ROOM},
    {SYS_openat, "openat", -1, 0, 1, 2, ROOM},
    {SYS_creat, "creat", -1, -1, 0, -1, ROOM},
    {SYS_write, "write", 0, -1, -1, -1, ROOM},
    {SYS_pwrite64, "pwrite", 0, -1, -1, -1, ROOM},
    {SYS_writev, "writev", 0, -1, -1, -1, ROOM},
    {SYS_pwritev, "pwritev", 0, -1, -1, -1, ROOM},
    {SYS_copy_file_range, "copy_file_range", 2, -1, -1, -1, ROOM},
    {SYS_sendfile, "sendfile", 0, -1, -1, -1, ROOM},
    {SYS_fallocate, "fallocate", 0, -1, -1, -1, ROOM},
    {SYS_ftruncate, "ftruncate", 0, -1, -1, -1, 0},
    {SYS_truncate, "truncate", -1, -1, 0, -1, 0},
    {SYS_mkdir, "mkdir", -1, -1, 0, -1, ROOM},
    {SYS_mkdirat, "mkdirat", -1, 0, 1, -1, ROOM},
    {SYS_symlink, "symlink", -1, -1, 1, -1, ROOM},
    {SYS_symlinkat, "symlinkat", -1, 1, 2, -1, ROOM},
    {SYS_link, "link", -1, -1, 1, -1, ROOM},
    {SYS_linkat, "linkat", -1, 2, 3, -1, ROOM},
    {SYS_rename, "rename", -1, -1, 1, -1, 0},
    {SYS_renameat, "renameat", -1, 2, 3, -1, 0},
    {SYS_renameat2, "renameat2", -1, 2, 3, -1, 0},
    {SYS_unlink, "unlink", -1, -1, 0, -1, 0},
    {SYS_unlinkat, "unlinkat", -1, 0, 1, -1, 0},
    {SYS_rmdir, "rmdir", -1, -1, 0, -1, 0},
    {SYS_chmod, "chmod", -1, -1, 0, -1, 0},
    {SYS_fchmod, "fchmod", 0, -1, -1, -1, 0},
    {SYS_fchmodat, "fchmodat", -1, 0, 1, -1, 0},
    {SYS_utimensat, "utimensat", -1, 0, 1, -1, 0},
    {SYS_fsync, "fsync", 0, -1, -1, -1, 0},
    {SYS_fdatasync, "fdatasync", 0, -1, -1, -1, 0},
    {SYS_syncfs, "syncfs", 0, -1, -1, -1, 0},
};
#define CALLS (sizeof calls / sizeof calls[0])

static const char *root, *kind;
static long wanted, counted;
static FILE *log_file;

static void die(const char *what)
{
    perror(what);
    exit(125);
}

static void filter(void)
{
    struct sock_filter program[CALLS + 4];
    size_t at = 0;
    program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS; i++)
        program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, CALLS - i, 0);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    struct sock_fprog whole = {at, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole))
        die("seccomp");
}

static int link_of(char *out, const char *format, pid_t pid, long number)
{
    char place[64];
    snprintf(place, sizeof place, format, (int)pid, number);
    ssize_t length = readlink(place, out, PATH_MAX - 1);
    if (length < 0)
        return -1;
    out[length] = 0;
    return 0;
}

/* The path that a call is about, as well as it can be told; empty if none. */
static void path_of(pid_t pid, const struct call *call, const long *arguments, char *out)
{
    char text[PATH_MAX], folder[PATH_MAX];
    *out = 0;
    if (call->fd >= 0) {
        link_of(out, "/proc/%d/fd/%ld", pid, arguments[call->fd]);
        return;
    }
    if (arguments[call->path] == 0) { /* utimensat of a descriptor */
        link_of(out, "/proc/%d/fd/%ld", pid, arguments[call->at]);
        return;
    }
    struct iovec here = {text, sizeof text - 1}, there = {(void *)arguments[call->path], sizeof text - 1};
    ssize_t length = -1;
    /* the page after the text may not be there */
    while (there.iov_len > 64 && (length = process_vm_readv(pid, &here, 1, &there, 1, 0)) < 0)
        there.iov_len /= 2;
    if (length < 0)
        return;
    text[length] = 0;
    if (text[0] == '/') {
        snprintf(out, PATH_MAX, "%s", text);
        return;
    }
    int at = call->at >= 0 ? (int)arguments[call->at] : AT_FDCWD;
    if (at == AT_FDCWD ? link_of(folder, "/proc/%d/cwd%.0ld", pid, 0) : link_of(folder, "/proc/%d/fd/%ld", pid, at))
        return;
    snprintf(out, PATH_MAX, "%.2000s/%.2000s", folder, text);
}

static int meets(const struct call *call)
{
    return strncmp(kind, "enospc", 6) || call->kind & ROOM;
}

/* Look at a call; what becomes of it is in the tracee's registers then. */
static void look(pid_t pid)
{
    struct user_regs_struct registers;
    char path[PATH_MAX];
    if (ptrace(PTRACE_GETREGS, pid, 0, &registers))
        return;
    const struct call *call = NULL;
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].number == (long)registers.orig_rax)
            call = &calls[i];
    long arguments[] = {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9};
    if (!call || !meets(call))
        return;
    if (call->flags >= 0 && !(arguments[call->flags] & (O_CREAT | O_TRUNC)))
        return;
    path_of(pid, call, arguments, path);
    if (strncmp(path, root, strlen(root)))
        return;
    counted++;
    fprintf(log_file, "%ld\t%d\t%s\t%s\n", counted, (int)pid, call->name, path);
    fflush(log_file);
    size_t length = strlen(kind);
    int on = length && kind[length - 1] == '+';
    if (wanted == 0 || counted < wanted || (counted > wanted && !on))
        return;
    if (!strcmp(kind, "kill")) {
        kill(pid, SIGKILL);
        return;
    }
    registers.orig_rax = -1;
    registers.rax = -(strncmp(kind, "eio", 3) ? ENOSPC : EIO);
    ptrace(PTRACE_SETREGS, pid, 0, &registers);
}

int main(int count, char **words)
{
    if (count < 6)
        return 125;
    root = words[1];
    kind = words[2];
    wanted = atol(words[3]);
    if (!(log_file = fopen(words[4], "we")))
        die(words[4]);
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0))
            die("ptrace");
        raise(SIGSTOP);
        filter();
        execvp(words[5], words + 5);
        die(words[5]);
    }
    int status;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        return 125;
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, child, 0, options))
        die("ptrace");
    ptrace(PTRACE_CONT, child, 0, 0);
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            return errno == ECHILD ? 0 : 125;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == child)
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        long signal = 0;
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8))
            look(pid);
        else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP && WSTOPSIG(status) != SIGTRAP)
            signal = WSTOPSIG(status);
        ptrace(PTRACE_CONT, pid, 0, signal);
    }
}
