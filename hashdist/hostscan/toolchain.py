"""A C compiler with all it uses, asked of itself: cc1, as, ld, start files, libraries, headers of the C library."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping

from hashdist import elf, process

from .capture import Found, HostNotFoundError

_COMPILER = re.compile(r"(?:.*-)?(?:gcc|g\+\+|cc|c\+\+)(?:-[\d.]+)?\Z")
_PROGRAMS = ("cc1", "cc1plus", "collect2", "lto1", "lto-wrapper")
_BINUTILS = tuple(
    """
    as ld ld.bfd ld.gold ar nm ranlib strip objcopy objdump readelf addr2line size strings c++filt
    """.split()
)
_LINKED = tuple(
    """
    crt1.o crti.o crtn.o Scrt1.o gcrt1.o Mcrt1.o rcrt1.o crtbegin.o crtbeginS.o crtbeginT.o crtend.o crtendS.o
    crtfastmath.o libgcc.a libgcc_eh.a libgcc_s.so libc.so libc.a libc_nonshared.a libm.so libm.a libmvec.so
    libmvec.a libpthread.a libpthread_nonshared.a libdl.a librt.a libutil.a libresolv.so libresolv.a libanl.a
    libcrypt.so libstdc++.so libstdc++.a libstdc++fs.a libsupc++.a libatomic.so libatomic.a libgomp.so libgomp.a
    libgomp.spec libquadmath.so libquadmath.a libssp_nonshared.a liblto_plugin.so
    """.split()
)
#: Loaded when programs run: a security fix of the C library need not rebuild the world.
_RUNTIME = tuple(
    """
    libc.so.6 libm.so.6 libmvec.so.1 libgcc_s.so.1 libstdc++.so.6 libpthread.so.0 libdl.so.2 librt.so.1
    ld-linux-x86-64.so.2 ld-linux-aarch64.so.1
    """.split()
)
#: ISO C, POSIX and the usual extensions; what they include in turn is asked of the preprocessor.
_HEADERS = tuple(
    """
    aio alloca ar argp argz arpa/ftp arpa/inet arpa/nameser arpa/telnet asm/types assert byteswap complex cpio
    crypt ctype dirent dlfcn elf endian envz err errno error execinfo fcntl features fenv float fmtmsg fnmatch
    fstab fts ftw gconv getopt glob gnu-versions gnu/libc-version grp gshadow iconv ifaddrs inttypes iso646
    langinfo lastlog libgen libintl limits link linux/errno linux/fs linux/futex linux/if linux/if_ether
    linux/if_packet linux/ioctl linux/limits linux/magic linux/netlink linux/perf_event linux/random
    linux/rtnetlink linux/sockios linux/stat linux/types linux/unistd linux/version locale malloc math mcheck
    memory mntent monetary mqueue net/ethernet net/if net/if_arp net/route netdb netinet/icmp6 netinet/in
    netinet/in_systm netinet/ip netinet/ip6 netinet/ip_icmp netinet/tcp netinet/udp nl_types nss obstack paths
    poll printf proc_service pthread pty pwd re_comp regex resolv sched search semaphore setjmp sgtty shadow
    signal spawn stab stdalign stdarg stdatomic stdbool stddef stdint stdio stdio_ext stdlib stdnoreturn string
    strings sys/acct sys/auxv sys/cdefs sys/epoll sys/eventfd sys/fanotify sys/file sys/fsuid sys/gmon
    sys/inotify sys/io sys/ioctl sys/ipc sys/kd sys/klog sys/mman sys/mount sys/msg sys/mtio sys/param sys/pci
    sys/personality sys/poll sys/prctl sys/profil sys/ptrace sys/queue sys/quota sys/random sys/reboot sys/reg
    sys/resource sys/select sys/sem sys/sendfile sys/shm sys/signal sys/signalfd sys/single_threaded sys/socket
    sys/soundcard sys/stat sys/statfs sys/statvfs sys/swap sys/syscall sys/sysinfo sys/syslog sys/sysmacros
    sys/termios sys/time sys/timeb sys/timerfd sys/times sys/timex sys/ttydefaults sys/types sys/ucontext
    sys/uio sys/un sys/unistd sys/user sys/utsname sys/vfs sys/vlimit sys/wait sys/xattr syscall sysexits syslog
    tar termios tgmath thread_db threads time ttyent uchar ucontext ulimit unistd utime utmp utmpx values wait
    wchar wctype wordexp immintrin x86intrin cpuid omp quadmath unwind
    """.split()
)


def is_compiler(path: str) -> bool:
    """Whether a program's name, or that of the file it is a link to, is a C or C++ compiler's."""
    return bool(_COMPILER.match(os.path.basename(os.path.realpath(path))))


def find_toolchain(path: str, *, env: Mapping[str, str]) -> Found:
    """Ask the compiler at `path` for all it uses; raises `HostNotFoundError` when it does not work."""
    asker = _Asker(path, env)
    version = asker.say("-dumpfullversion") or asker.say("-dumpversion")
    if not version:
        raise HostNotFoundError(f"'{path}' is not a compiler that works", hint="try it by hand: cc -v")
    drivers = _drivers(asker, version)
    tools = {name: place for name in _BINUTILS if (place := asker.program(name))}
    links = {f"bin/{name}": place for name, place in (drivers | tools).items()}
    programs = [place for name in _PROGRAMS if (place := asker.program(name))]
    linked = [place for name in _LINKED if (place := asker.file(name))]
    libraries = set().union(*(elf.closure(program) for program in (*programs, *tools.values(), path)))
    runtime = {os.path.realpath(place) for name in _RUNTIME if (place := asker.file(name))}
    headers = _headers(asker, cxx="g++" in drivers)
    files = {os.path.realpath(place) for place in (*programs, *linked, *headers)} | (libraries - runtime)
    facts = {"target": asker.say("-dumpmachine"), "version": version}
    return Found("toolchain", version, version, "content", links, sorted(files), sorted(runtime), facts)


class _Asker:
    """Puts questions to a compiler."""

    def __init__(self, path: str, env: Mapping[str, str]) -> None:
        self.path = path
        self._env = {"PATH": env.get("PATH", ""), "LC_ALL": "C"}

    def beside(self, path: str) -> _Asker:
        """Put questions to another program in the same way."""
        return _Asker(path, self._env)

    def say(self, *arguments: str, stdin: bytes = b"") -> str:
        """Its answer; empty when it fails."""
        try:
            return process.run([self.path, *arguments], env=self._env, stdin=stdin, timeout=60).decode().strip()
        except (process.ProgramFailedError, process.ProgramMissingError, UnicodeDecodeError):
            return ""

    def program(self, name: str) -> str | None:
        """Where it finds a program: its own, or on the PATH."""
        place = self.say(f"-print-prog-name={name}")
        if os.path.isabs(place):
            return os.path.normpath(place) if os.access(place, os.X_OK) else None
        found = shutil.which(name, path=self._env["PATH"])
        return _canonical_parent(found) if found else None

    def file(self, name: str) -> str | None:
        """Where it finds a file to link with."""
        place = self.say(f"-print-file-name={name}")
        return place if os.path.isabs(place) and os.path.isfile(place) else None


def _drivers(asker: _Asker, version: str) -> dict[str, str]:
    """The compiler's own commands beside it: cc and gcc are the one that was asked, others must be of its version."""
    path = _canonical_parent(asker.path)
    found = {"gcc": path, "cc": path}
    folder, name = os.path.split(path)
    for command in ("g++", "c++", "cpp", "gcc-ar", "gcc-nm", "gcc-ranlib", "gcov"):
        kind = {"c++": "g++"}.get(command, command)
        sibling = os.path.join(folder, name.replace("gcc", kind) if "gcc" in name else kind)
        if os.access(sibling, os.X_OK):
            same = command.startswith("gcc-") or asker.beside(sibling).say("-dumpfullversion") == version
            if same or command == "gcov":
                found[command] = sibling
    return found


def _headers(asker: _Asker, *, cxx: bool) -> set[str]:
    lines = ["#define _GNU_SOURCE 1"]
    lines += [f"#if __has_include(<{name}.h>)\n#include <{name}.h>\n#endif" for name in _HEADERS]
    found = _dependencies(asker.say("-E", "-M", "-x", "c", "-", stdin="\n".join(lines).encode()))
    if cxx:
        found |= _dependencies(asker.say("-E", "-M", "-x", "c++", "-", stdin=b"#include <bits/stdc++.h>\n"))
    return found


def _dependencies(rule: str) -> set[str]:
    """The files of a make rule, as ``-M`` writes it."""
    words: Iterable[str] = rule.partition(":")[2].replace("\\\n", " ").split()
    return {os.path.realpath(word) for word in words if os.path.isabs(word)}


def _canonical_parent(path: str) -> str:
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
