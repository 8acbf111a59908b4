/* hdistjail.so: a guard that is loaded into every process of a build (LD_PRELOAD) and looks at the paths they use.
 *
 * What may be used stands in a file of rules, whose path is in HDIST_JAIL_RULES; without it the library does nothing.
 * A path that no rule grants is told of in a log; where the rules say so it is also hidden: what would read it gets
 * ENOENT, what would change it EACCES. docs/explanation/jail.md tells what is judged and why.
 *
 * The house rules, as this code runs inside of programs that know nothing of it:
 * - nothing is allocated, and no descriptor is kept;
 * - rules and log are mapped, shared by all processes; the log has one atomic cursor;
 * - the function that was meant is called through RTLD_NEXT, so that others can be preloaded as well;
 * - our own look at the system goes by syscall(), so that nobody else sees it;
 * - it works between vfork and exec, and in many threads; errno is kept.
 *
 * No header that declares a wrapped function is included: glibc marks their arguments as never null, and then the
 * compiler removes our checks. Formats of the two files: hashdist/preload/{rules,log}.py.
 */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#define _GNU_SOURCE

#include <errno.h>
#include <limits.h>
#include <link.h> /* dlfcn.h, elf.h */
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define EXPORT __attribute__((visibility("default")))
#define NOINLINE __attribute__((noinline))
#define SETTING "HDIST_JAIL_RULES="
#define PRELOAD "LD_PRELOAD="

extern char **environ;
long syscall(long number, ...);
void free(void *pointer);
char *strdup(const char *text);
void *alloca(size_t size);
#define alloca(size) __builtin_alloca(size)

/* ---- rules and log ---- */

enum { RULES_MAGIC = 0x314a4448, LOG_MAGIC = 0x324a4448, RECORD_MAGIC = 0x334a4448 };
enum mode { REPORT, ENFORCE };
enum grant { EXACT = 1, TREE = 2, WRITE = 4 };

struct rules {
    uint32_t magic, size;
    uint32_t mode;
    uint32_t slots;   /* a power of two */
    uint32_t table;   /* where they begin */
    uint32_t library; /* texts, by where they begin */
    uint32_t setting; /* HDIST_JAIL_RULES=... */
    uint32_t log;
};

struct rule {
    uint64_t hash;
    uint32_t path;
    uint16_t length; /* 0 with hash 0: free */
    uint16_t grants;
};

struct log {
    uint32_t magic, size;
    uint32_t seen;  /* slots for hashes of what is in the log already, and as many for what was judged; a power of two */
    uint32_t begin; /* of the records */
    _Atomic uint64_t used;
    _Atomic uint32_t dropped;
    _Atomic uint32_t processes;
    uint32_t launcher;       /* the process that started the command */
    _Atomic uint32_t active; /* whether a child of that one came here */
    _Atomic uint64_t keys[];
};

struct record {
    _Atomic uint32_t magic; /* written last */
    uint32_t size;          /* with the texts, a multiple of 16 */
    uint32_t process;
    uint16_t program; /* length of its path, which comes first; then the path that was used, and a zero */
    uint8_t use;
    uint8_t verdict;
};

static struct {
    _Atomic int state; /* UNKNOWN, INERT, ACTIVE */
    const struct rules *rules;
    struct log *log;
    char program[PATH_MAX];
    size_t program_length;
    uint64_t program_hash;
    long process;
} jail;

enum { UNKNOWN, INERT, ACTIVE };

static const char *text_at(uint32_t offset) { return (const char *)jail.rules + offset; }

#define HASH_START 0xcbf29ce484222325u
static uint64_t hash_byte(uint64_t hash, char byte) { return (hash ^ (unsigned char)byte) * 0x100000001b3u; }

static uint64_t hash_text(const char *text)
{
    uint64_t hash = HASH_START;
    while (*text)
        hash = hash_byte(hash, *text++);
    return hash;
}

static unsigned rule_of(const char *path, size_t length, uint64_t hash)
{
    const struct rule *table = (const struct rule *)text_at(jail.rules->table);
    uint32_t mask = jail.rules->slots - 1;
    for (uint32_t at = (uint32_t)hash & mask;; at = (at + 1) & mask) {
        const struct rule *rule = &table[at];
        if (!rule->grants)
            return 0;
        if (rule->hash == hash && rule->length == length && !memcmp(text_at(rule->path), path, length))
            return rule->grants;
    }
}

/* What the rules grant of a plain absolute path. */
static unsigned grants_of(const char *path)
{
    uint64_t hash = HASH_START;
    unsigned found = rule_of(path, 0, hash);
    if (!path[1])
        return found;
    found &= TREE | WRITE;
    for (const char *at = path; !(found & WRITE);) {
        do
            hash = hash_byte(hash, *at++);
        while (*at && *at != '/');
        unsigned here = rule_of(path, (size_t)(at - path), hash);
        if (!*at)
            return found | here;
        found |= here & (TREE | WRITE);
    }
    return found;
}

/* ---- beginning ---- */

static const char *variable(char *const *list, const char *start)
{
    size_t length = strlen(start);
    for (; list && *list; list++)
        if (!strncmp(*list, start, length))
            return *list + length;
    return NULL;
}

static void *mapped(const char *path, int flags, int protection, size_t least)
{
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
    if (file < 0)
        return NULL;
    uint32_t head[2] = {0, 0};
    void *found = NULL;
    if (syscall(SYS_pread64, file, head, sizeof head, 0L) == (long)sizeof head && head[1] >= least) {
        found = mmap(NULL, head[1], protection, MAP_SHARED, file, 0);
        if (found == MAP_FAILED)
            found = NULL;
    }
    syscall(SYS_close, file);
    return found;
}

static void say(const char *text) { syscall(SYS_write, 2, text, strlen(text)); }

/* Rules that are gone: the command has ended, and what it left running starts something. Enforced, that may not be. */
static int without_rules(const char *path)
{
    const char *name = strrchr(path, '/');
    if (name && strcmp(name, "/enforce") != 0)
        return INERT;
    say("hdistjail: cannot use the rules in ");
    say(path);
    say("\n");
    syscall(SYS_exit_group, 126);
    return INERT;
}

static int begin(void)
{
    const char *path = variable(environ, SETTING);
    if (!path || !*path)
        return INERT;
    const struct rules *rules = mapped(path, O_RDONLY, PROT_READ, sizeof(struct rules));
    if (!rules || rules->magic != RULES_MAGIC)
        return without_rules(path);
    jail.rules = rules;
    struct log *log = mapped(text_at(rules->log), O_RDWR, PROT_READ | PROT_WRITE, sizeof(struct log));
    if (!log || log->magic != LOG_MAGIC)
        return without_rules(path);
    jail.log = log;
    long length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", jail.program, sizeof jail.program - 1);
    jail.program_length = length > 0 ? (size_t)length : 0;
    jail.program_hash = hash_text(jail.program);
    return ACTIVE;
}

/* Whether there is a jail. Others' constructors run before ours, so it may have to begin at any call. */
static bool active(void)
{
    int state = atomic_load_explicit(&jail.state, memory_order_acquire);
    if (state == UNKNOWN) {
        int kept = errno;
        state = begin();
        errno = kept;
        atomic_store_explicit(&jail.state, state, memory_order_release);
    }
    return state == ACTIVE;
}

/* ---- the log ---- */

enum verdict { TOLD = 'd', HIDDEN = 'D', NEEDED = 'n', UNSEEN = 'u', MADE_UNSEEN = 'm' };

static bool is_new(uint64_t key)
{
    uint32_t mask = jail.log->seen - 1;
    key |= !key;
    for (uint32_t at = (uint32_t)key & mask, tries = 0; tries < 16; at = (at + 1) & mask, tries++) {
        uint64_t found = 0;
        if (atomic_compare_exchange_strong(&jail.log->keys[at], &found, key))
            return true;
        if (found == key)
            return false;
    }
    return true; /* no room: it will be told more than once */
}

static uint64_t key_of(const char *path, char use, char verdict)
{
    return (hash_text(path) ^ jail.program_hash * 0x9e3779b97f4a7c15u) + (uint64_t)use * 0x100000001u + (uint64_t)verdict;
}

static void tell(const char *path, char use, char verdict)
{
    if (!is_new(key_of(path, use, verdict)))
        return;
    struct log *log = jail.log;
    size_t length = strlen(path);
    uint32_t size = (uint32_t)((sizeof(struct record) + jail.program_length + length + 1 + 15) & ~(size_t)15);
    uint64_t room = log->size - log->begin;
    uint64_t at = atomic_fetch_add(&log->used, size);
    if (at + size > room) {
        atomic_fetch_add(&log->dropped, 1);
        return;
    }
    struct record *record = (struct record *)((char *)log + log->begin + at);
    record->size = size;
    record->process = (uint32_t)syscall(SYS_getpid);
    record->program = (uint16_t)jail.program_length;
    record->use = (uint8_t)use;
    record->verdict = (uint8_t)verdict;
    char *texts = (char *)(record + 1);
    memcpy(texts, jail.program, jail.program_length);
    memcpy(texts + jail.program_length, path, length + 1);
    atomic_store_explicit(&record->magic, RECORD_MAGIC, memory_order_release);
}

/* ---- paths ---- */

static void name_of_descriptor(int number, char out[32])
{
    char digits[12];
    size_t end = strlen(strcpy(out, "/proc/self/fd/")), count = 0;
    unsigned left = (unsigned)number;
    do
        digits[count++] = (char)('0' + left % 10);
    while (left /= 10);
    while (count)
        out[end++] = digits[--count];
    out[end] = 0;
}

/* The path as it is written, made absolute, without '//' and '.'. `up` tells of '..', which are left in it.
 * False if it cannot be told: the system will refuse it anyway. */
static bool written(int dir, const char *path, char out[PATH_MAX], bool *up)
{
    size_t length = 0;
    *up = false;
    if (*path != '/') {
        if (dir == AT_FDCWD) {
            long got = syscall(SYS_getcwd, out, (unsigned long)PATH_MAX);
            if (got < 2 || out[0] != '/')
                return false;
            length = (size_t)got - 1;
        } else {
            char link[32];
            if (dir < 0)
                return false;
            name_of_descriptor(dir, link);
            long got = syscall(SYS_readlinkat, AT_FDCWD, link, out, (unsigned long)PATH_MAX - 1);
            if (got < 1 || out[0] != '/')
                return false;
            length = (size_t)got;
        }
        if (length == 1)
            length = 0;
    }
    while (*path) {
        while (*path == '/')
            path++;
        size_t size = 0;
        while (path[size] && path[size] != '/')
            size++;
        if (size == 1 && path[0] == '.')
            size = 0, path++;
        if (size == 2 && path[0] == '.' && path[1] == '.')
            *up = true;
        if (size) {
            if (length + size + 2 > PATH_MAX)
                return false;
            out[length++] = '/';
            memcpy(out + length, path, size);
            length += size;
            path += size;
        }
    }
    if (!length)
        out[length++] = '/';
    out[length] = 0;
    return true;
}

/* The same, link by link, where no descriptor can be had. */
static NOINLINE bool place_slowly(char path[PATH_MAX])
{
    char rest[PATH_MAX], target[PATH_MAX], name[NAME_MAX + 2];
    char *last = strrchr(path, '/');
    size_t size = strlen(last), length = 0, links = 0;
    bool whole = !strcmp(last, "/..");
    if (size > NAME_MAX + 1)
        return false;
    memcpy(name, last, size + 1);
    if (whole)
        *name = 0;
    else
        *last = 0;
    strcpy(rest, path);
    for (const char *at = rest;;) {
        at += strspn(at, "/");
        size = strcspn(at, "/");
        if (!size)
            break;
        const char *part = at;
        at += size;
        if (size == 1 && part[0] == '.')
            continue;
        if (size == 2 && part[0] == '.' && part[1] == '.') {
            while (length && path[--length] != '/')
                ;
            continue;
        }
        size_t before = length;
        if (length + size + 1 >= PATH_MAX)
            return false;
        path[length++] = '/';
        memcpy(path + length, part, size);
        length += size;
        path[length] = 0;
        long got = syscall(SYS_readlinkat, AT_FDCWD, path, target, (unsigned long)PATH_MAX);
        if (got < 0 && errno == EINVAL)
            continue;
        size_t left = strlen(at);
        if (got < 0 || ++links > 40 || (size_t)got + left >= PATH_MAX)
            return false;
        memmove(rest + got, at, left + 1);
        memcpy(rest, target, (size_t)got);
        at = rest;
        length = *rest == '/' ? 0 : before;
    }
    if (length + strlen(name) >= PATH_MAX)
        return false;
    strcpy(path + length, name);
    if (!*path)
        strcpy(path, "/");
    return true;
}

/* Replace an absolute path by canonical(parent)/name. False if there is no such parent. */
static bool place(char path[PATH_MAX])
{
    char name[NAME_MAX + 2], link[32];
    char *last = strrchr(path, '/');
    size_t size = strlen(last);
    if (size > NAME_MAX + 1)
        return false;
    memcpy(name, last, size + 1);
    if (strcmp(name, "/..") != 0)
        *last = 0;
    else
        *name = 0;
    int folder = (int)syscall(SYS_openat, AT_FDCWD, *path ? path : "/", O_PATH | O_CLOEXEC, 0);
    if (folder < 0) {
        if (errno != EMFILE && errno != ENFILE)
            return false;
        strcat(path, name);
        return place_slowly(path);
    }
    name_of_descriptor(folder, link);
    long got = syscall(SYS_readlinkat, AT_FDCWD, link, path, (unsigned long)PATH_MAX);
    syscall(SYS_close, folder);
    if (got < 1 || got + (long)strlen(name) >= PATH_MAX || path[0] != '/')
        return false;
    path[got] = 0;
    if (*name)
        strcpy(got > 1 ? path + got : path, name);
    return true;
}

enum { KIND = 0170000, REGULAR = 0100000, DIRECTORY = 0040000, SET_USER = 04000, SET_GROUP = 02010 };

static bool status_of(int dir, const char *path, struct stat *status, int at)
{
    return !syscall(SYS_newfstatat, dir, path, status, at);
}

static bool is_there(int dir, const char *path)
{
    struct stat status;
    return status_of(dir, path, &status, AT_SYMLINK_NOFOLLOW);
}

/* ---- the judgement ---- */

#define HERE AT_FDCWD

enum use {
    LOOK = 's',       /* is it there, what is it, where does it lead, what is in it */
    READ = 'r',       /* open it */
    RUN = 'x',        /* execute it */
    LOAD = 'l',       /* a library */
    WALK = 't',       /* it and all below it */
    CHANGE = 'w',     /* what is in it */
    ATTRIBUTES = 'a', /* its mode, owner or times */
    CREATE = 'c',     /* or change it */
    MAKE = 'm',       /* a directory, or whatever may not be there yet */
    ENTRY = 'e',      /* of a directory: remove or rename it */
    TOUCH = 'o',      /* read it, or make it */
    POINT = 'k',      /* make a link to it */
};

static bool is_write(enum use use)
{
    return use == CHANGE || use == ATTRIBUTES || use == CREATE || use == MAKE || use == ENTRY;
}

static bool suffices(unsigned grants, enum use use)
{
    return is_write(use) ? grants & WRITE : use == WALK ? grants & (TREE | WRITE) : grants != 0;
}

/* Whether the system would let it be written: what fails anyway is not worth a word. */
static bool is_writable(char *path, enum use use)
{
    enum { MAY_WRITE = 2 };
    struct stat status;
    bool there = status_of(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW);
    if (use == ATTRIBUTES && there) {
        long user = syscall(SYS_geteuid);
        if (!user || status.st_uid == (unsigned long)user)
            return true;
    }
    if (use != ENTRY && there)
        return !syscall(SYS_faccessat, AT_FDCWD, path, MAY_WRITE);
    char *name = strrchr(path, '/');
    if (name == path)
        return !syscall(SYS_faccessat, AT_FDCWD, "/", MAY_WRITE);
    *name = 0;
    bool may = !syscall(SYS_faccessat, AT_FDCWD, path, MAY_WRITE);
    *name = '/';
    return may;
}

/* Whether a path can be looked up as it stands: absolute, without '//', '.' and '..'. */
static bool is_plain(const char *path)
{
    if (*path != '/')
        return false;
    for (; *path; path++)
        if (*path == '/' && (path[1] == '/' || !path[1] ||
                             (path[1] == '.' && (path[2] == '/' || !path[2] ||
                                                 (path[2] == '.' && (path[3] == '/' || !path[3]))))))
            return false;
    return true;
}

/* The judgement of a path that needs more than a look at the rules. */
static NOINLINE bool judged_refused(int dir, const char *path, enum use use)
{
    char full[PATH_MAX];
    bool up, enforce = jail.rules->mode == ENFORCE && use != POINT;
    if (!written(dir, path, full, &up))
        return false;
    /* what is written must also lie where it may: a link in between could lead anywhere */
    if (!up && suffices(grants_of(full), use) && !is_write(use))
        return false;
    _Atomic uint64_t *judged = NULL;
    uint64_t key = 0;
    if (!enforce) { /* judged before: nothing is kept from the program either way */
        key = key_of(full, (char)use, '=');
        judged = &jail.log->keys[jail.log->seen + (key & (jail.log->seen - 1))];
        if (atomic_load_explicit(judged, memory_order_relaxed) == key)
            return false;
    }
    bool there = is_there(dir, path);
    if (use == TOUCH)
        use = there ? READ : CREATE;
    struct stat status;
    if (use == WALK && status_of(dir, path, &status, AT_SYMLINK_NOFOLLOW) && (status.st_mode & KIND) != DIRECTORY)
        use = LOOK; /* there is nothing below it */
    if (there ? use == MAKE : use != CREATE && use != MAKE)
        return false; /* ENOENT; or EEXIST, as mkdir -p wants it */
    if (!place(full))
        return false;
    bool granted = suffices(grants_of(full), use);
    if (!granted && is_write(use) && !is_writable(full, use))
        return false;
    if (!granted)
        tell(full, (char)use, enforce ? HIDDEN : TOLD);
    if (judged)
        atomic_store_explicit(judged, key, memory_order_relaxed);
    if (granted || !enforce)
        return false;
    errno = is_write(use) ? EACCES : ENOENT;
    return true;
}

/* Whether the path must be kept from the program; errno then says what it gets. Tells of what is not declared. */
static bool refused(int dir, const char *path, enum use use)
{
    if (!path || !*path || !active())
        return false;
    if (!is_write(use) && is_plain(path) && suffices(grants_of(path), use))
        return false;
    int kept = errno;
    bool result = judged_refused(dir, path, use);
    if (!result)
        errno = kept;
    return result;
}

/* A link is going to be made at `made`: tell of what it leads to, if that is not declared. */
static NOINLINE bool points(const char *target, int dir, const char *made)
{
    char full[PATH_MAX];
    bool up;
    int kept = errno;
    if (!target || !made || !active())
        return false;
    if (*target != '/') {
        if (!written(dir, made, full, &up))
            goto done;
        char *name = strrchr(full, '/') + 1;
        if ((size_t)(name - full) + strlen(target) >= PATH_MAX)
            goto done;
        strcpy(name, target);
        target = full;
    }
    refused(HERE, target, POINT);
done:
    errno = kept;
    return false;
}

/* ---- programs ---- */

static int inspect(int dir, const char *path, int depth);

static bool has_loader(int file, const Elf64_Ehdr *head)
{
    Elf64_Phdr part;
    for (unsigned i = 0; i < head->e_phnum; i++) {
        long offset = (long)(head->e_phoff + i * sizeof part);
        if (syscall(SYS_pread64, file, &part, sizeof part, offset) != (long)sizeof part)
            return true; /* the system will say what is wrong with it */
        if (part.p_type == PT_INTERP)
            return true;
    }
    return false;
}

#if defined __x86_64__
enum { OURS = EM_X86_64 };
#elif defined __aarch64__
enum { OURS = EM_AARCH64 };
#else
#error "the jail knows x86-64 and aarch64"
#endif

/* Whether the loader will preload nothing into a program. */
static bool is_unseen(int file, const Elf64_Ehdr *head, const struct stat *status, const char *path)
{
    if ((status->st_mode & SET_USER && status->st_uid != (unsigned long)syscall(SYS_geteuid)) ||
        ((status->st_mode & SET_GROUP) == SET_GROUP && status->st_gid != (unsigned long)syscall(SYS_getegid)))
        return true;
    if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_machine != OURS)
        return true;
    const char *name = strrchr(path, '/');
    return !has_loader(file, head) && strncmp(name ? name + 1 : path, "ld-linux", 8) != 0;
}

static int inspect_file(int file, int dir, const char *path, const struct stat *status, int depth)
{
    union {
        char text[257]; /* as much as the kernel reads */
        Elf64_Ehdr elf;
    } head;
    long got = syscall(SYS_pread64, file, head.text, sizeof head.text - 1, 0L);
    if (got < 4)
        return 0;
    head.text[got] = 0;
    if (head.text[0] == '#' && head.text[1] == '!') {
        char *name = head.text + 2;
        name += strspn(name, " \t");
        name[strcspn(name, " \t\r\n")] = 0;
        if (*name != '/')
            return 0;
        return refused(HERE, name, RUN) ? ENOENT : depth < 4 ? inspect(HERE, name, depth + 1) : 0;
    }
    if (memcmp(head.text, ELFMAG, SELFMAG) != 0 || got < (long)sizeof head.elf || !is_unseen(file, &head.elf, status, path))
        return 0;
    char full[PATH_MAX];
    bool up;
    if (written(dir, path, full, &up) && place(full))
        tell(full, RUN, grants_of(full) & WRITE ? MADE_UNSEEN : UNSEEN);
    return 0;
}

/* Look at a program that is going to be run: ours do not see into static and set-id ones, and the system opens the
 * interpreters of scripts itself. Gives an error number, or 0. */
static NOINLINE int inspect(int dir, const char *path, int depth)
{
    struct stat status;
    if (!path || !active())
        return 0;
    int kept = errno, error = 0;
    bool descriptor = dir >= 0 && !*path;
    /* opening anything else could wait, or do something */
    if (status_of(dir, path, &status, descriptor ? AT_EMPTY_PATH : 0) && (status.st_mode & KIND) == REGULAR) {
        char link[32];
        if (descriptor)
            name_of_descriptor(dir, link);
        int file = (int)syscall(SYS_openat, descriptor ? HERE : dir, descriptor ? link : path,
                                O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
        if (file >= 0) {
            error = inspect_file(file, dir, path, &status, depth);
            syscall(SYS_close, file);
        }
    }
    errno = kept;
    return error;
}

/* ---- environments: children stay inside ---- */

static bool holds(const char *list, const char *element)
{
    size_t length = strlen(element);
    while (list && *list) {
        size_t size = strcspn(list, ": ");
        if (size == length && !memcmp(list, element, size))
            return true;
        list += size + (list[size] != 0);
    }
    return false;
}

/* How many bytes `repair` needs; 0: the environment is as it must be. */
static size_t repair_size(char *const *list)
{
    if (!active())
        return 0;
    const char *library = text_at(jail.rules->library), *preload = variable(list, PRELOAD);
    const char *setting = variable(list, SETTING);
    if (preload && setting && !strcmp(setting, text_at(jail.rules->setting) + strlen(SETTING)) && holds(preload, library))
        return 0;
    size_t count = 0;
    while (list && list[count])
        count++;
    return (count + 3) * sizeof(char *) + strlen(PRELOAD) + strlen(library) + 1 + (preload ? strlen(preload) : 0) + 1;
}

static char **repair(char *const *list, void *memory)
{
    const char *library = text_at(jail.rules->library), *preload = variable(list, PRELOAD);
    char **out = memory;
    size_t count = 0;
    for (; list && *list; list++)
        if (strncmp(*list, PRELOAD, strlen(PRELOAD)) != 0 && strncmp(*list, SETTING, strlen(SETTING)) != 0)
            out[count++] = *list;
    char *text = (char *)(out + count + 3);
    out[count++] = text;
    out[count++] = (char *)text_at(jail.rules->setting);
    out[count] = NULL;
    text = strcpy(text, PRELOAD) + strlen(PRELOAD);
    if (!holds(preload, library)) {
        text = strcpy(text, library) + strlen(library);
        if (preload && *preload)
            *text++ = ':';
    }
    strcpy(text, preload ? preload : "");
    return out;
}

/* A macro, as what alloca gives ends with the function. */
#define INSIDE(list) \
    ({ \
        char *const *given_ = (list); \
        size_t size_ = repair_size(given_); \
        size_ ? (char *const *)repair(given_, alloca(size_)) : given_; \
    })

/* ---- the table of wrapped functions ----
 *
 * One entry for each function of glibc that takes a path; the tests make their probes from these lines. WRAP(since,
 * type, failed, name, parameters, arguments, refusal) is the whole wrapper; since is the glibc that brought it, for
 * x86-64; aarch64 begins with 2.17. OWN(since, type, name, parameters) has its wrapper below.
 */

struct next {
    const char *name;
    _Atomic(void *) function;
};

extern struct next __start_hdist_next[], __stop_hdist_next[];
#define DECLARE_NEXT(name) \
    static struct next next_##name __attribute__((section("hdist_next"), used)) = {#name, NULL};

/* All are found before the program begins; before that, others' constructors may ask. */
static NOINLINE void *find_next(struct next *next)
{
    void *found = dlsym(RTLD_NEXT, next->name);
    atomic_store_explicit(&next->function, found, memory_order_relaxed);
    return found;
}

#define NEXT(name) \
    ({ \
        void *found_ = atomic_load_explicit(&next_##name.function, memory_order_relaxed); \
        found_ ? found_ : find_next(&next_##name); \
    })

#define WRAP(since, type, failed, name, parameters, arguments, refusal) \
    DECLARE_NEXT(name) \
    EXPORT type name parameters; \
    EXPORT type name parameters \
    { \
        if (refusal) \
            return failed; \
        type(*next) parameters = NEXT(name); \
        return next ? next arguments : (errno = ENOSYS, failed); \
    }
#define OWN(since, type, name, parameters) \
    DECLARE_NEXT(name) \
    EXPORT type name parameters;

#define LOOKS(path) refused(HERE, path, LOOK)
#define READS(path) refused(HERE, path, READ)
#define WALKS(path) refused(HERE, path, WALK)
#define CHANGES(path) refused(HERE, path, CHANGE)
#define CREATES(path) refused(HERE, path, CREATE)
#define REMOVES(path) refused(HERE, path, ENTRY)
#define MAKES(path) refused(HERE, path, MAKE)
#define SETS(path) refused(HERE, path, ATTRIBUTES)

typedef struct file FILE;
typedef struct directory DIR;
typedef struct walk FTS;
typedef struct listing glob_t;
typedef struct actions actions_t;
typedef struct attributes attributes_t;
struct statfs;
struct statx;
struct statvfs;
struct dirent;
struct timeval;
struct timespec;
struct utimbuf;
struct file_handle;
typedef int walker(const char *, const struct stat *, int);
typedef int walker_at(const char *, const struct stat *, int, void *);
typedef int chooser(const struct dirent *);
typedef int comparer(const struct dirent **, const struct dirent **);
typedef int fts_comparer(const void **, const void **);
typedef int glob_error(const char *, int);

static enum use use_of(int flags)
{
    if (flags & O_PATH)
        return LOOK;
    bool reads = (flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC);
    if (flags & O_CREAT)
        return flags & O_EXCL ? MAKE : reads ? TOUCH : CREATE;
    return !reads ? CHANGE : flags & O_DIRECTORY ? LOOK : READ;
}

static enum use use_of_mode(const char *mode)
{
    if (!mode || *mode != 'r')
        return CREATE;
    return strchr(mode, '+') ? CHANGE : READ;
}

#define OPENS(dir, path, flags) refused(dir, path, use_of(flags))
#define OPENS_FILE(path, mode) refused(HERE, path, use_of_mode(mode))

/* open */
OWN("2.2.5", int, open, (const char *path, int flags, ...))
OWN("2.2.5", int, open64, (const char *path, int flags, ...))
OWN("2.2.5", int, __open, (const char *path, int flags, ...))
OWN("2.2.5", int, __open64, (const char *path, int flags, ...))
OWN("2.4", int, openat, (int dir, const char *path, int flags, ...))
OWN("2.4", int, openat64, (int dir, const char *path, int flags, ...))
WRAP("2.7", int, -1, __open_2, (const char *path, int flags), (path, flags), OPENS(HERE, path, flags))
WRAP("2.7", int, -1, __open64_2, (const char *path, int flags), (path, flags), OPENS(HERE, path, flags))
WRAP("2.7", int, -1, __openat_2, (int dir, const char *path, int flags), (dir, path, flags), OPENS(dir, path, flags))
WRAP("2.7", int, -1, __openat64_2, (int dir, const char *path, int flags), (dir, path, flags), OPENS(dir, path, flags))
WRAP("2.2.5", int, -1, creat, (const char *path, mode_t bits), (path, bits), CREATES(path))
WRAP("2.2.5", int, -1, creat64, (const char *path, mode_t bits), (path, bits), CREATES(path))
WRAP("2.2.5", FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode), OPENS_FILE(path, mode))
WRAP("2.2.5", FILE *, NULL, fopen64, (const char *path, const char *mode), (path, mode), OPENS_FILE(path, mode))
WRAP("2.2.5", FILE *, NULL, _IO_fopen, (const char *path, const char *mode), (path, mode), OPENS_FILE(path, mode))
OWN("2.2.5", FILE *, freopen, (const char *path, const char *mode, FILE *stream))
OWN("2.2.5", FILE *, freopen64, (const char *path, const char *mode, FILE *stream))
WRAP("2.2.5", FILE *, NULL, _IO_file_fopen, (FILE *stream, const char *path, const char *mode, int large), (stream, path, mode, large), OPENS_FILE(path, mode))
WRAP("2.2.5", FILE *, NULL, _IO_file_open, (FILE *stream, const char *path, int flags, int bits, int both, int large), (stream, path, flags, bits, both, large), OPENS(HERE, path, flags))
WRAP("2.2.5", FILE *, NULL, setmntent, (const char *path, const char *mode), (path, mode), OPENS_FILE(path, mode))
WRAP("2.2.5", FILE *, NULL, __setmntent, (const char *path, const char *mode), (path, mode), OPENS_FILE(path, mode))

/* look */
#if __GLIBC_PREREQ(2, 33)
WRAP("2.33", int, -1, stat, (const char *path, struct stat *out), (path, out), LOOKS(path))
WRAP("2.33", int, -1, stat64, (const char *path, struct stat *out), (path, out), LOOKS(path))
WRAP("2.33", int, -1, lstat, (const char *path, struct stat *out), (path, out), LOOKS(path))
WRAP("2.33", int, -1, lstat64, (const char *path, struct stat *out), (path, out), LOOKS(path))
WRAP("2.33", int, -1, fstatat, (int dir, const char *path, struct stat *out, int at), (dir, path, out, at), refused(dir, path, LOOK))
WRAP("2.33", int, -1, fstatat64, (int dir, const char *path, struct stat *out, int at), (dir, path, out, at), refused(dir, path, LOOK))
#endif
WRAP("2.2.5", int, -1, __xstat, (int version, const char *path, struct stat *out), (version, path, out), LOOKS(path))
WRAP("2.2.5", int, -1, __xstat64, (int version, const char *path, struct stat *out), (version, path, out), LOOKS(path))
WRAP("2.2.5", int, -1, __lxstat, (int version, const char *path, struct stat *out), (version, path, out), LOOKS(path))
WRAP("2.2.5", int, -1, __lxstat64, (int version, const char *path, struct stat *out), (version, path, out), LOOKS(path))
WRAP("2.4", int, -1, __fxstatat, (int version, int dir, const char *path, struct stat *out, int at), (version, dir, path, out, at), refused(dir, path, LOOK))
WRAP("2.4", int, -1, __fxstatat64, (int version, int dir, const char *path, struct stat *out, int at), (version, dir, path, out, at), refused(dir, path, LOOK))
#if __GLIBC_PREREQ(2, 28)
WRAP("2.28", int, -1, statx, (int dir, const char *path, int at, unsigned mask, struct statx *out), (dir, path, at, mask, out), refused(dir, path, LOOK))
#endif
WRAP("2.2.5", int, -1, access, (const char *path, int how), (path, how), LOOKS(path))
WRAP("2.2.5", int, -1, euidaccess, (const char *path, int how), (path, how), LOOKS(path))
WRAP("2.4", int, -1, eaccess, (const char *path, int how), (path, how), LOOKS(path))
WRAP("2.4", int, -1, faccessat, (int dir, const char *path, int how, int at), (dir, path, how, at), refused(dir, path, LOOK))
WRAP("2.2.5", ssize_t, -1, readlink, (const char *path, char *out, size_t size), (path, out, size), LOOKS(path))
WRAP("2.4", ssize_t, -1, readlinkat, (int dir, const char *path, char *out, size_t size), (dir, path, out, size), refused(dir, path, LOOK))
WRAP("2.4", ssize_t, -1, __readlink_chk, (const char *path, char *out, size_t size, size_t room), (path, out, size, room), LOOKS(path))
WRAP("2.5", ssize_t, -1, __readlinkat_chk, (int dir, const char *path, char *out, size_t size, size_t room), (dir, path, out, size, room), refused(dir, path, LOOK))
WRAP("2.2.5", char *, NULL, realpath, (const char *path, char *out), (path, out), LOOKS(path))
WRAP("2.4", char *, NULL, __realpath_chk, (const char *path, char *out, size_t room), (path, out, room), LOOKS(path))
WRAP("2.2.5", char *, NULL, canonicalize_file_name, (const char *path), (path), LOOKS(path))
WRAP("2.2.5", int, -1, statfs, (const char *path, struct statfs *out), (path, out), LOOKS(path))
WRAP("2.2.5", int, -1, statfs64, (const char *path, struct statfs *out), (path, out), LOOKS(path))
WRAP("2.2.5", int, -1, __statfs, (const char *path, struct statfs *out), (path, out), LOOKS(path))
WRAP("2.2.5", int, -1, statvfs, (const char *path, struct statvfs *out), (path, out), LOOKS(path))
WRAP("2.2.5", int, -1, statvfs64, (const char *path, struct statvfs *out), (path, out), LOOKS(path))
WRAP("2.2.5", long, -1, pathconf, (const char *path, int limit), (path, limit), LOOKS(path))
WRAP("2.3", ssize_t, -1, getxattr, (const char *path, const char *key, void *out, size_t size), (path, key, out, size), LOOKS(path))
WRAP("2.3", ssize_t, -1, lgetxattr, (const char *path, const char *key, void *out, size_t size), (path, key, out, size), LOOKS(path))
WRAP("2.3", ssize_t, -1, listxattr, (const char *path, char *out, size_t size), (path, out, size), LOOKS(path))
WRAP("2.3", ssize_t, -1, llistxattr, (const char *path, char *out, size_t size), (path, out, size), LOOKS(path))
WRAP("2.4", int, -1, inotify_add_watch, (int watcher, const char *path, uint32_t mask), (watcher, path, mask), LOOKS(path))
WRAP("2.14", int, -1, name_to_handle_at, (int dir, const char *path, struct file_handle *out, int *mount, int at), (dir, path, out, mount, at), refused(dir, path, LOOK))
WRAP("2.2.5", int, -1, ftok, (const char *path, int id), (path, id), LOOKS(path))
#if __GLIBC_PREREQ(2, 36)
WRAP("2.36", int, -1, open_tree, (int dir, const char *path, unsigned at), (dir, path, at), refused(dir, path, LOOK))
#endif
WRAP("2.2.5", int, -1, chdir, (const char *path), (path), LOOKS(path))

/* directories */
WRAP("2.2.5", DIR *, NULL, opendir, (const char *path), (path), LOOKS(path))
WRAP("2.2.5", int, -1, scandir, (const char *path, struct dirent ***out, chooser *choose, comparer *compare), (path, out, choose, compare), LOOKS(path))
WRAP("2.2.5", int, -1, scandir64, (const char *path, struct dirent ***out, chooser *choose, comparer *compare), (path, out, choose, compare), LOOKS(path))
WRAP("2.15", int, -1, scandirat, (int dir, const char *path, struct dirent ***out, chooser *choose, comparer *compare), (dir, path, out, choose, compare), refused(dir, path, LOOK))
WRAP("2.15", int, -1, scandirat64, (int dir, const char *path, struct dirent ***out, chooser *choose, comparer *compare), (dir, path, out, choose, compare), refused(dir, path, LOOK))
WRAP("2.2.5", int, -1, ftw, (const char *path, walker *visit, int count), (path, visit, count), WALKS(path))
WRAP("2.2.5", int, -1, ftw64, (const char *path, walker *visit, int count), (path, visit, count), WALKS(path))
WRAP("2.2.5", int, -1, nftw, (const char *path, walker_at *visit, int count, int how), (path, visit, count, how), WALKS(path))
WRAP("2.2.5", int, -1, nftw64, (const char *path, walker_at *visit, int count, int how), (path, visit, count, how), WALKS(path))
OWN("2.2.5", int, glob, (const char *pattern, int how, glob_error *failed, glob_t *out))
OWN("2.2.5", int, glob64, (const char *pattern, int how, glob_error *failed, glob_t *out))
OWN("2.2.5", FTS *, fts_open, (char *const *paths, int how, fts_comparer *compare))
#if __GLIBC_PREREQ(2, 23)
OWN("2.23", FTS *, fts64_open, (char *const *paths, int how, fts_comparer *compare))
#endif

/* change */
WRAP("2.2.5", int, -1, mkdir, (const char *path, mode_t bits), (path, bits), MAKES(path))
WRAP("2.4", int, -1, mkdirat, (int dir, const char *path, mode_t bits), (dir, path, bits), refused(dir, path, MAKE))
WRAP("2.2.5", int, -1, rmdir, (const char *path), (path), REMOVES(path))
WRAP("2.2.5", int, -1, unlink, (const char *path), (path), REMOVES(path))
WRAP("2.4", int, -1, unlinkat, (int dir, const char *path, int at), (dir, path, at), refused(dir, path, ENTRY))
WRAP("2.2.5", int, -1, remove, (const char *path), (path), REMOVES(path))
WRAP("2.2.5", int, -1, rename, (const char *path, const char *made), (path, made), REMOVES(path) || CREATES(made))
WRAP("2.4", int, -1, renameat, (int dir, const char *path, int to, const char *made), (dir, path, to, made), refused(dir, path, ENTRY) || refused(to, made, CREATE))
#if __GLIBC_PREREQ(2, 28)
WRAP("2.28", int, -1, renameat2, (int dir, const char *path, int to, const char *made, unsigned at), (dir, path, to, made, at), refused(dir, path, ENTRY) || refused(to, made, CREATE))
#endif
WRAP("2.2.5", int, -1, link, (const char *path, const char *made), (path, made), READS(path) || MAKES(made))
WRAP("2.4", int, -1, linkat, (int dir, const char *path, int to, const char *made, int at), (dir, path, to, made, at), refused(dir, path, READ) || refused(to, made, MAKE))
WRAP("2.2.5", int, -1, symlink, (const char *target, const char *made), (target, made), points(target, HERE, made) || MAKES(made))
WRAP("2.4", int, -1, symlinkat, (const char *target, int to, const char *made), (target, to, made), points(target, to, made) || refused(to, made, MAKE))
WRAP("2.2.5", int, -1, truncate, (const char *path, off_t size), (path, size), CHANGES(path))
WRAP("2.2.5", int, -1, truncate64, (const char *path, off_t size), (path, size), CHANGES(path))
#if __GLIBC_PREREQ(2, 33)
WRAP("2.33", int, -1, mknod, (const char *made, mode_t bits, dev_t device), (made, bits, device), MAKES(made))
WRAP("2.33", int, -1, mknodat, (int dir, const char *made, mode_t bits, dev_t device), (dir, made, bits, device), refused(dir, made, MAKE))
#endif
WRAP("2.2.5", int, -1, __xmknod, (int version, const char *made, mode_t bits, dev_t *device), (version, made, bits, device), MAKES(made))
WRAP("2.4", int, -1, __xmknodat, (int version, int dir, const char *made, mode_t bits, dev_t *device), (version, dir, made, bits, device), refused(dir, made, MAKE))
WRAP("2.2.5", int, -1, mkfifo, (const char *made, mode_t bits), (made, bits), MAKES(made))
WRAP("2.4", int, -1, mkfifoat, (int dir, const char *made, mode_t bits), (dir, made, bits), refused(dir, made, MAKE))
WRAP("2.2.5", int, -1, chmod, (const char *path, mode_t bits), (path, bits), SETS(path))
WRAP("2.3.2", int, -1, lchmod, (const char *path, mode_t bits), (path, bits), SETS(path))
WRAP("2.4", int, -1, fchmodat, (int dir, const char *path, mode_t bits, int at), (dir, path, bits, at), refused(dir, path, ATTRIBUTES))
WRAP("2.2.5", int, -1, chown, (const char *path, uid_t user, gid_t group), (path, user, group), SETS(path))
WRAP("2.2.5", int, -1, lchown, (const char *path, uid_t user, gid_t group), (path, user, group), SETS(path))
WRAP("2.4", int, -1, fchownat, (int dir, const char *path, uid_t user, gid_t group, int at), (dir, path, user, group, at), refused(dir, path, ATTRIBUTES))
WRAP("2.2.5", int, -1, utime, (const char *path, const struct utimbuf *times), (path, times), SETS(path))
WRAP("2.2.5", int, -1, utimes, (const char *path, const struct timeval *times), (path, times), SETS(path))
WRAP("2.3", int, -1, lutimes, (const char *path, const struct timeval *times), (path, times), SETS(path))
WRAP("2.4", int, -1, futimesat, (int dir, const char *path, const struct timeval *times), (dir, path, times), refused(dir, path, ATTRIBUTES))
WRAP("2.6", int, -1, utimensat, (int dir, const char *path, const struct timespec *times, int at), (dir, path, times, at), refused(dir, path, ATTRIBUTES))
WRAP("2.3", int, -1, setxattr, (const char *path, const char *key, const void *value, size_t size, int how), (path, key, value, size, how), SETS(path))
WRAP("2.3", int, -1, lsetxattr, (const char *path, const char *key, const void *value, size_t size, int how), (path, key, value, size, how), SETS(path))
WRAP("2.3", int, -1, removexattr, (const char *path, const char *key), (path, key), SETS(path))
WRAP("2.3", int, -1, lremovexattr, (const char *path, const char *key), (path, key), SETS(path))
WRAP("2.2.5", char *, NULL, mkdtemp, (char *made), (made), CREATES(made))
WRAP("2.2.5", int, -1, mkstemp, (char *made), (made), CREATES(made))
WRAP("2.2.5", int, -1, mkstemp64, (char *made), (made), CREATES(made))
WRAP("2.7", int, -1, mkostemp, (char *made, int flags), (made, flags), CREATES(made))
WRAP("2.7", int, -1, mkostemp64, (char *made, int flags), (made, flags), CREATES(made))
WRAP("2.11", int, -1, mkstemps, (char *made, int suffix), (made, suffix), CREATES(made))
WRAP("2.11", int, -1, mkstemps64, (char *made, int suffix), (made, suffix), CREATES(made))
WRAP("2.11", int, -1, mkostemps, (char *made, int suffix, int flags), (made, suffix, flags), CREATES(made))
WRAP("2.11", int, -1, mkostemps64, (char *made, int suffix, int flags), (made, suffix, flags), CREATES(made))
OWN("2.2.5", void, updwtmp, (const char *path, const void *entry))
OWN("2.2.5", void, updwtmpx, (const char *path, const void *entry))

/* run */
OWN("2.2.5", int, execve, (const char *path, char *const *arguments, char *const *variables))
OWN("2.2.5", int, execv, (const char *path, char *const *arguments))
OWN("2.2.5", int, execvp, (const char *path, char *const *arguments))
OWN("2.11", int, execvpe, (const char *path, char *const *arguments, char *const *variables))
OWN("2.2.5", int, execl, (const char *path, const char *argument, ...))
OWN("2.2.5", int, execle, (const char *path, const char *argument, ...))
OWN("2.2.5", int, execlp, (const char *path, const char *argument, ...))
#if __GLIBC_PREREQ(2, 34)
OWN("2.34", int, execveat, (int dir, const char *path, char *const *arguments, char *const *variables, int at))
#endif
OWN("2.3.2", int, fexecve, (int file, char *const *arguments, char *const *variables))
OWN("2.2.5", int, posix_spawn, (pid_t *process, const char *path, const actions_t *actions, const attributes_t *attributes, char *const *arguments, char *const *variables))
OWN("2.2.5", int, posix_spawnp, (pid_t *process, const char *path, const actions_t *actions, const attributes_t *attributes, char *const *arguments, char *const *variables))
#if __GLIBC_PREREQ(2, 39)
OWN("2.39", int, pidfd_spawn, (int *process, const char *path, const actions_t *actions, const attributes_t *attributes, char *const *arguments, char *const *variables))
OWN("2.39", int, pidfd_spawnp, (int *process, const char *path, const actions_t *actions, const attributes_t *attributes, char *const *arguments, char *const *variables))
#endif
WRAP("2.2.5", int, errno, posix_spawn_file_actions_addopen, (actions_t *actions, int file, const char *path, int flags, mode_t bits), (actions, file, path, flags, bits), path && *path == '/' && OPENS(HERE, path, flags))
#if __GLIBC_PREREQ(2, 29)
WRAP("2.29", int, errno, posix_spawn_file_actions_addchdir_np, (actions_t *actions, const char *path), (actions, path), path && *path == '/' && LOOKS(path))
#endif
OWN("2.2.5", int, system, (const char *command))
OWN("2.2.5", FILE *, popen, (const char *command, const char *mode))
OWN("2.2.5", FILE *, _IO_popen, (const char *command, const char *mode))
OWN("2.2.5", FILE *, _IO_proc_open, (FILE *stream, const char *command, const char *mode))

/* load */
OWN("2.2.5", void *, dlopen, (const char *path, int mode))
OWN("2.3.4", void *, dlmopen, (long space, const char *path, int mode))

/* ---- open ---- */

#define WRAP_OPEN(name, dir, parameters, types, arguments) \
    int name parameters \
    { \
        mode_t bits = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            bits = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        if (OPENS(dir, path, flags)) \
            return -1; \
        int(*next) types = NEXT(name); \
        return next ? next arguments : (errno = ENOSYS, -1); \
    }
#define WRAP_OPEN_HERE(name) WRAP_OPEN(name, HERE, (const char *path, int flags, ...), (const char *, int, ...), (path, flags, bits))
#define WRAP_OPEN_AT(name) WRAP_OPEN(name, dir, (int dir, const char *path, int flags, ...), (int, const char *, int, ...), (dir, path, flags, bits))
WRAP_OPEN_HERE(open)
WRAP_OPEN_HERE(open64)
WRAP_OPEN_HERE(__open)
WRAP_OPEN_HERE(__open64)
WRAP_OPEN_AT(openat)
WRAP_OPEN_AT(openat64)

/* Where nothing is. */
#define NOWHERE "/nonexistent/hidden-by-hdistjail.so"

/* The stream is closed, as it is when there is no such file. */
#define WRAP_REOPEN(name) \
    FILE *name(const char *path, const char *mode, FILE *stream) \
    { \
        FILE *(*next)(const char *, const char *, FILE *) = NEXT(name); \
        if (!OPENS_FILE(path, mode)) \
            return next ? next(path, mode, stream) : (errno = ENOSYS, NULL); \
        int error = errno; \
        FILE *failed = next ? next(NOWHERE, mode, stream) : NULL; \
        errno = error; \
        return failed; \
    }
WRAP_REOPEN(freopen)
WRAP_REOPEN(freopen64)

/* ---- many paths at once ---- */

struct listing { /* glob_t and glob64_t */
    size_t count;
    char **paths;
    size_t offset;
};
enum { GLOB_OFFSET = 1 << 3, GLOB_UNCHECKED = 1 << 4, GLOB_NONE = 3 };

/* Leave out what must be hidden. */
static int sift(int result, const char *pattern, int how, glob_t *out)
{
    if (result || !out->paths || !active())
        return result;
    char **paths = out->paths + (how & GLOB_OFFSET ? out->offset : 0);
    size_t left = 0;
    for (size_t i = 0; i < out->count; i++)
        if (refused(HERE, paths[i], LOOK))
            free(paths[i]);
        else
            paths[left++] = paths[i];
    if (!left && out->count && how & GLOB_UNCHECKED)
        paths[left++] = strdup(pattern);
    for (size_t i = left; i < out->count; i++)
        paths[i] = NULL;
    out->count = left;
    return left ? 0 : GLOB_NONE;
}

#define WRAP_GLOB(name) \
    int name(const char *pattern, int how, glob_error *failed, glob_t *out) \
    { \
        int (*next)(const char *, int, glob_error *, glob_t *) = NEXT(name); \
        return next ? sift(next(pattern, how, failed, out), pattern, how, out) : (errno = ENOSYS, GLOB_NONE); \
    }
WRAP_GLOB(glob)
WRAP_GLOB(glob64)

#define WRAP_FTS(name) \
    FTS *name(char *const *paths, int how, fts_comparer *compare) \
    { \
        for (char *const *one = paths; one && *one; one++) \
            if (WALKS(*one)) \
                return NULL; \
        FTS *(*next)(char *const *, int, fts_comparer *) = NEXT(name); \
        return next ? next(paths, how, compare) : (errno = ENOSYS, NULL); \
    }
WRAP_FTS(fts_open)
#if __GLIBC_PREREQ(2, 23)
WRAP_FTS(fts64_open)
#endif

#define WRAP_LOGIN(name) \
    void name(const char *path, const void *entry) \
    { \
        void (*next)(const char *, const void *) = NEXT(name); \
        if (!CREATES(path) && next) \
            next(path, entry); \
    }
WRAP_LOGIN(updwtmp)
WRAP_LOGIN(updwtmpx)

/* ---- run ---- */

typedef int execve_t(const char *, char *const *, char *const *);

static bool may_not_run(int dir, const char *path)
{
    if (refused(dir, path, RUN))
        return true;
    int error = inspect(dir, path, 0);
    if (error)
        errno = error;
    return error != 0;
}

int execve(const char *path, char *const *arguments, char *const *variables)
{
    if (may_not_run(HERE, path))
        return -1;
    return ((execve_t *)NEXT(execve))(path, arguments, INSIDE(variables));
}

int execv(const char *path, char *const *arguments) { return execve(path, arguments, environ); }

/* As execvp does: what no kernel can execute is a script for sh. */
static NOINLINE int run_or_interpret(const char *path, char *const *arguments, char *const *variables)
{
    execve(path, arguments, variables);
    if (errno != ENOEXEC)
        return -1;
    size_t count = 0;
    while (arguments && arguments[count])
        count++;
    const char **script = alloca((count + 3) * sizeof *script);
    script[0] = "/bin/sh";
    script[1] = path;
    size_t last = 2;
    for (size_t i = 1; i < count; i++)
        script[last++] = arguments[i];
    script[last] = NULL;
    return execve(script[0], (char *const *)script, variables);
}

/* Go through PATH from `*list` on: write the next candidate for `name` to `out`. */
static bool candidate(const char **list, const char *name, char out[PATH_MAX])
{
    size_t length = strlen(name);
    while (*list) {
        const char *start = *list;
        size_t size = strcspn(start, ":");
        *list = start[size] ? start + size + 1 : NULL;
        if (size + length + 2 > PATH_MAX)
            continue;
        memcpy(out, start, size);
        if (size)
            out[size++] = '/';
        memcpy(out + size, name, length + 1);
        return true;
    }
    return false;
}

static const char *search_path(void)
{
    const char *list = variable(environ, "PATH=");
    return list ? list : "/bin:/usr/bin";
}

int execvpe(const char *path, char *const *arguments, char *const *variables)
{
    if (!path || !*path || strchr(path, '/'))
        return run_or_interpret(path, arguments, variables);
    const char *list = search_path();
    char file[PATH_MAX];
    bool forbidden = false;
    errno = strlen(path) > NAME_MAX ? ENAMETOOLONG : ENOENT;
    while (candidate(&list, path, file)) {
        run_or_interpret(file, arguments, variables);
        forbidden = forbidden || errno == EACCES;
        if (errno != EACCES && errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT)
            return -1;
    }
    if (forbidden)
        errno = EACCES;
    return -1;
}

int execvp(const char *path, char *const *arguments) { return execvpe(path, arguments, environ); }

#define WRAP_EXECL(name, run, variables) \
    int name(const char *path, const char *argument, ...) \
    { \
        va_list rest; \
        size_t count = argument != NULL; \
        va_start(rest, argument); \
        while (count && va_arg(rest, char *)) \
            count++; \
        va_end(rest); \
        char **arguments = alloca((count + 1) * sizeof *arguments); \
        va_start(rest, argument); \
        arguments[0] = (char *)argument; \
        for (size_t i = 1; i <= count; i++) \
            arguments[i] = va_arg(rest, char *); \
        char *const *list = variables; \
        va_end(rest); \
        return run(path, arguments, list); \
    }
WRAP_EXECL(execl, execve, environ)
WRAP_EXECL(execle, execve, va_arg(rest, char *const *))
WRAP_EXECL(execlp, execvpe, environ)

#if __GLIBC_PREREQ(2, 34)
int execveat(int dir, const char *path, char *const *arguments, char *const *variables, int at)
{
    int (*next)(int, const char *, char *const *, char *const *, int) = NEXT(execveat);
    if (may_not_run(dir, path))
        return -1;
    return next ? next(dir, path, arguments, INSIDE(variables), at) : (errno = ENOSYS, -1);
}
#endif

int fexecve(int file, char *const *arguments, char *const *variables)
{
    int (*next)(int, char *const *, char *const *) = NEXT(fexecve);
    char full[PATH_MAX];
    bool up;
    if (active() && written(file, "", full, &up) && refused(HERE, full, RUN))
        return -1;
    int error = inspect(file, "", 0);
    if (error)
        return errno = error, -1;
    return next ? next(file, arguments, INSIDE(variables)) : (errno = ENOSYS, -1);
}

typedef int spawn_t(pid_t *, const char *, const actions_t *, const attributes_t *, char *const *, char *const *);

/* Where file actions may change the directory nobody knows what a relative path means: the program tells itself. */
static int may_not_spawn(const char *path, const actions_t *actions)
{
    int kept = errno, error = 0;
    if (!(actions && path && *path != '/') && may_not_run(HERE, path))
        error = errno;
    errno = kept;
    return error;
}

#define WRAP_SPAWN(name, pid) \
    int name(pid *process, const char *path, const actions_t *actions, const attributes_t *attributes, \
             char *const *arguments, char *const *variables) \
    { \
        spawn_t *next = NEXT(name); \
        int error = may_not_spawn(path, actions); \
        if (error) \
            return error; \
        return next ? next(process, path, actions, attributes, arguments, INSIDE(variables)) : ENOSYS; \
    }
WRAP_SPAWN(posix_spawn, pid_t)

/* What posix_spawnp will start: NULL if that is for itself to find, as nothing is hidden on the way there. */
static const char *spawn_instead(const char *name, char out[PATH_MAX], int *error)
{
    enum { MAY_RUN = 1 };
    const char *list = name && *name && !strchr(name, '/') ? search_path() : NULL;
    bool hidden = false;
    int kept = errno;
    struct stat status;
    *error = 0;
    if (!list && name && *name)
        *error = may_not_run(HERE, name) ? errno : 0;
    while (list && candidate(&list, name, out)) {
        if (!status_of(HERE, out, &status, 0))
            continue;
        if (refused(HERE, out, RUN)) {
            hidden = true;
        } else if ((status.st_mode & KIND) == REGULAR && !syscall(SYS_faccessat, HERE, out, MAY_RUN)) {
            *error = inspect(HERE, out, 0);
            errno = kept;
            return hidden ? out : NULL;
        }
    }
    if (hidden)
        *error = ENOENT;
    errno = kept;
    return NULL;
}

#define WRAP_SPAWNP(name, pid, plain) \
    int name(pid *process, const char *path, const actions_t *actions, const attributes_t *attributes, \
             char *const *arguments, char *const *variables) \
    { \
        spawn_t *next = NEXT(name), *direct = NEXT(plain); \
        char file[PATH_MAX]; \
        int error = 0; \
        const char *other = actions && path && strchr(path, '/') && *path != '/' ? NULL : spawn_instead(path, file, &error); \
        if (error) \
            return error; \
        if (!next || !direct) \
            return ENOSYS; \
        return other ? direct(process, other, actions, attributes, arguments, INSIDE(variables)) \
                     : next(process, path, actions, attributes, arguments, INSIDE(variables)); \
    }
WRAP_SPAWNP(posix_spawnp, pid_t, posix_spawn)
#if __GLIBC_PREREQ(2, 39)
WRAP_SPAWN(pidfd_spawn, int)
WRAP_SPAWNP(pidfd_spawnp, int, pidfd_spawn)
#endif

/* These start the shell with the program's own environment, which other threads may be using. Where that lacks what the
 * jail needs, the shell is told to become another one that has it: LD_PRELOAD='…' HDIST_JAIL_RULES='…' exec sh -c '…'. */

static size_t quoted_size(const char *text)
{
    size_t size = 3;
    for (; *text; text++)
        size += *text == '\'' ? 4 : 1;
    return size;
}

static char *quote(char *out, const char *text)
{
    *out++ = '\'';
    for (; *text; text++) {
        if (*text == '\'')
            out = strcpy(out, "'\\'") + 3;
        *out++ = *text;
    }
    *out++ = '\'';
    *out = 0;
    return out;
}

#define EXEC_SHELL " exec /bin/sh -c "

/* A variable of the program's own environment, which another thread may be giving a new place just now: what is not
 * mapped any more, or is something else by now, is only compared, by the kernel's copy of it. */
static const char *own_variable(const char *start)
{
    char *some[64], text[32];
    size_t length = strlen(start);
    pid_t self = (pid_t)syscall(SYS_getpid);
    for (char **list = environ; list;) {
        struct iovec here = {some, sizeof some}, there = {list, sizeof some};
        ssize_t got = process_vm_readv(self, &here, 1, &there, 1, 0);
        if (got < 0 && (errno == ENOSYS || errno == EPERM))
            return variable(environ, start);
        if (got < (ssize_t)sizeof *some)
            return NULL;
        for (size_t i = 0; i < (size_t)got / sizeof *some; i++) {
            if (!some[i])
                return NULL;
            here = (struct iovec){text, length};
            there = (struct iovec){some[i], length};
            if (process_vm_readv(self, &here, 1, &there, 1, 0) == (ssize_t)length && !memcmp(text, start, length))
                return some[i] + length;
        }
        list += (size_t)got / sizeof *some;
    }
    return NULL;
}

static size_t command_size(const char *command)
{
    if (!command || !active())
        return 0;
    int saved = errno;
    const char *library = text_at(jail.rules->library), *preload = own_variable(PRELOAD), *setting = own_variable(SETTING);
    errno = saved;
    if (preload && setting && !strcmp(setting, text_at(jail.rules->setting) + strlen(SETTING)) && holds(preload, library))
        return 0;
    return strlen(PRELOAD) + quoted_size(library) + (preload ? quoted_size(preload) : 0) + 2 +
           strlen(SETTING) + quoted_size(text_at(jail.rules->setting)) + strlen(EXEC_SHELL) + quoted_size(command);
}

static const char *command_inside(const char *command, char *out)
{
    int saved = errno;
    const char *preload = own_variable(PRELOAD), *library = text_at(jail.rules->library);
    errno = saved;
    char *at = quote(strcpy(out, PRELOAD) + strlen(PRELOAD), library);
    if (preload && *preload && !holds(preload, library)) {
        *at++ = ':';
        at = quote(at, preload);
    }
    at = strcpy(strcpy(at, " ") + 1, SETTING) + strlen(SETTING);
    at = quote(at, text_at(jail.rules->setting) + strlen(SETTING));
    quote(strcpy(at, EXEC_SHELL) + strlen(EXEC_SHELL), command);
    return out;
}

#define COMMAND_INSIDE(command) \
    ({ \
        const char *given_ = (command); \
        size_t size_ = command_size(given_); \
        size_ ? command_inside(given_, alloca(size_)) : given_; \
    })

int system(const char *command)
{
    int (*next)(const char *) = NEXT(system);
    if (may_not_run(HERE, "/bin/sh"))
        return command ? 127 << 8 : 0;
    return next(COMMAND_INSIDE(command));
}

#define WRAP_POPEN(name) \
    FILE *name(const char *command, const char *mode) \
    { \
        FILE *(*next)(const char *, const char *) = NEXT(name); \
        return may_not_run(HERE, "/bin/sh") ? NULL : next(COMMAND_INSIDE(command), mode); \
    }
WRAP_POPEN(popen)
WRAP_POPEN(_IO_popen)

FILE *_IO_proc_open(FILE *stream, const char *command, const char *mode)
{
    FILE *(*next)(FILE *, const char *, const char *) = NEXT(_IO_proc_open);
    return may_not_run(HERE, "/bin/sh") ? NULL : next(stream, COMMAND_INSIDE(command), mode);
}

/* ---- load ----
 *
 * The last call must be a jump (-O2): the linker takes the library that calls from the return address, and looks along
 * its run path. A hidden library is looked for where nothing is, so that dlerror has its usual words.
 */

#define LOADS(path) (path && strchr(path, '/') && refused(HERE, path, LOAD))

void *dlopen(const char *path, int mode)
{
    void *(*next)(const char *, int) = NEXT(dlopen);
    return next(LOADS(path) ? NOWHERE : path, mode);
}

void *dlmopen(long space, const char *path, int mode)
{
    void *(*next)(long, const char *, int) = NEXT(dlmopen);
    return next(space, LOADS(path) ? NOWHERE : path, mode);
}

/* ---- libraries that are loaded by the dynamic linker itself: seen, not hidden ---- */

/* Whether a library is one of those in LD_PRELOAD, where it may be called by its name alone, or with $LIB in its path. */
static bool is_preloaded(const char *list, const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    size_t length = strlen(name);
    while (list && *list) {
        size_t size = strcspn(list, ": ");
        if (size >= length && !memcmp(list + size - length, name, length) && (size == length || list[size - length - 1] == '/'))
            return true;
        list += size + (list[size] != 0);
    }
    return false;
}

static int look_at_library(struct dl_phdr_info *info, size_t size, void *preloaded)
{
    (void)size;
    const char *name = info->dlpi_name;
    char full[PATH_MAX];
    bool up;
    if (!name || *name != '/' || !strcmp(name, text_at(jail.rules->library)) || is_preloaded(preloaded, name))
        return 0;
    if (!written(HERE, name, full, &up) || (!up && grants_of(full)) || !place(full) || grants_of(full))
        return 0;
    tell(full, LOAD, NEEDED);
    return 0;
}

static void look_at_libraries(void)
{
    int kept = errno;
    dl_iterate_phdr(look_at_library, (void *)variable(environ, PRELOAD));
    errno = kept;
}

__attribute__((constructor)) static void enter(void)
{
    if (!active())
        return;
    for (struct next *next = __start_hdist_next; next < __stop_hdist_next; next++)
        if (!atomic_load_explicit(&next->function, memory_order_relaxed) && !find_next(next))
            dlerror(); /* this C library is older than the one we were compiled for; nobody asked */
    jail.process = syscall(SYS_getpid);
    atomic_fetch_add(&jail.log->processes, 1);
    if ((uint32_t)syscall(SYS_getppid) == jail.log->launcher)
        atomic_store(&jail.log->active, 1);
    if (jail.program_length && !grants_of(jail.program)) /* however it was started */
        tell(jail.program, RUN, NEEDED);
    look_at_libraries();
}

__attribute__((destructor)) static void leave(void)
{
    /* not in a child that was forked: another thread may have held the lock that this needs */
    if (atomic_load(&jail.state) == ACTIVE && jail.process == syscall(SYS_getpid))
        look_at_libraries();
}
