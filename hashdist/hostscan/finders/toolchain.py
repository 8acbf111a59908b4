"""A compiler with all it uses, asked of itself: cc1, as, ld, start files, libraries, headers of the C library."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hashdist import process
from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.found import Found
from hashdist.hostscan.libc import libc_version
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.trees import folders_of, tree_files

_COMPILER = re.compile(
    r"(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|gfortran|flang|flang-new|icx|icpx|ifx)(?:-[\d.]+)?\Z"
)
_PROGRAMS = ("cc1", "collect2", "lto1", "lto-wrapper")
_BINUTILS = tuple(
    """
    as ld ld.bfd ld.gold ld.lld ar nm ranlib strip objcopy objdump readelf addr2line size strings c++filt
    """.split()
)
#: What belongs to the C library: by its ABI, as a fix of it need not rebuild the world.
_LIBC = tuple(
    """
    crt1.o crti.o crtn.o Scrt1.o gcrt1.o Mcrt1.o rcrt1.o libc.so libc.a libc_nonshared.a libm.so libm.a libmvec.so
    libmvec.a libpthread.a libpthread_nonshared.a libdl.a librt.a libutil.a libresolv.so libresolv.a libanl.a
    libcrypt.so libc.so.6 libm.so.6 libmvec.so.1 libpthread.so.0 libdl.so.2 librt.so.1 ld-linux-x86-64.so.2
    ld-linux-aarch64.so.1
    """.split()
)
#: What belongs to the compiler, where it does not lie in a directory of its own.
_LINKED = tuple(
    """
    crtbegin.o crtbeginS.o crtbeginT.o crtend.o crtendS.o crtfastmath.o libgcc.a libgcc_eh.a libgcc_s.so libstdc++.so
    libstdc++.a libstdc++fs.a libsupc++.a libatomic.so libatomic.a libgomp.so libgomp.a libgomp.spec libquadmath.so
    libquadmath.a libgfortran.so libgfortran.a libgfortran.spec libssp_nonshared.a liblto_plugin.so libgcc_s.so.1
    libstdc++.so.6 libgfortran.so.5 libgomp.so.1
    """.split()
)
#: Where a package owns the compiler, one file tells of the package that has the rest.
_ANCHORS = ("crt1.o", "libc.so", "crtbegin.o", "libgcc.a")
#: What each language has besides C: programs, and files that tell of packages.
_LANGUAGE = {"c++": (("cc1plus",), ("libstdc++.a",)), "fortran": (("f951",), ("libgfortran.a", "libquadmath.a"))}
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
_GCC_FAMILY = ("g++", "c++", "cpp", "gcc-ar", "gcc-nm", "gcc-ranlib", "gcov")
_SECONDS = 60


def is_compiler(path: str) -> bool:
    """Whether a program's name, or that of the file it is a link to, is a compiler's."""
    return any(_COMPILER.match(os.path.basename(one)) for one in (path, os.path.realpath(path)))


def find_toolchain(path: str, host: LiveHost, *, siblings: bool = True, folders: Sequence[str] = ()) -> Found:
    """Ask the compiler at `path` for all it uses; raises `HostNotFoundError` when it does not work.

    With `siblings` its commands for other languages come along: g++ lies beside gcc. Programs that it does not have
    itself are looked for in `folders`, beside it, and in the system; not on the user's PATH, which builds do not have.
    """
    asker = _Asker(host.ways.place(path), host, folders)
    version = asker.version()
    if not version:
        raise HostNotFoundError(f"'{path}' is not a compiler that works", hint=f"try it by hand: {path} -v")
    drivers = _drivers(asker, version, siblings=siblings)
    languages = _languages(drivers)
    tools = {name: place for name in _BINUTILS if (place := asker.program(name))}
    links = {f"bin/{name}": place for name, place in (drivers | tools).items()}
    wanted = [*_PROGRAMS, *(name for one in languages for name in _LANGUAGE[one][0])]
    programs = [place for name in wanted if (place := asker.program(name)) and os.path.isfile(place)]
    facts = {"target": asker.say("-dumpmachine"), "version": version}
    found = Found("toolchain", version, version, "content", links, facts=facts)
    if host.owners([os.path.realpath(path)]):
        anchors = [*_ANCHORS, *(name for one in languages for name in _LANGUAGE[one][1])]
        linked = [place for name in anchors if (place := asker.file(name))]
        headers = asker.headers(("stdio", "linux/version"), cxx="c++" in languages)
        return replace(found, files=sorted({*programs, *linked, *headers}))
    own = _own_directories(asker, programs)
    headers = asker.headers(_HEADERS, cxx="c++" in languages)
    linked = [place for name in _LINKED if (place := asker.file(name))]
    libc = [place for name in _LIBC if (place := asker.file(name))]
    beside = tuple(f"{folder}/" for folder in own)
    mine = {one for one in headers if one.startswith(beside) or "/c++/" in one}
    inside = [one for folder in own for one in tree_files(folder)]
    return replace(
        found,
        files=sorted({*programs, *linked, *mine, *inside}),
        recorded=sorted({*libc, *(headers - mine)}),
        abi=libc_version(libc),
        watched=folders_of(inside),
    )


class _Asker:
    """Puts questions to a compiler."""

    def __init__(self, path: str, host: LiveHost, folders: Sequence[str]) -> None:
        self.path = path
        self._beside = [*folders, os.path.dirname(path)]
        self._host = host
        kept = ("PATH", "LD_LIBRARY_PATH", "LMOD_CMD", "GCC_EXEC_PREFIX", "TMPDIR")
        self._env = {name: host.env[name] for name in kept if name in host.env} | {"LC_ALL": "C"}
        self._folders: dict[str, list[str]] | None = None

    def beside(self, path: str) -> _Asker:
        """Put questions to another program in the same way."""
        return _Asker(path, self._host, self._beside)

    def say(self, *arguments: str, stdin: bytes = b"") -> str:
        """Its answer; empty when it fails."""
        try:
            return process.run([self.path, *arguments], env=self._env, stdin=stdin, timeout=_SECONDS).decode().strip()
        except (process.ProgramFailedError, process.ProgramMissingError, UnicodeDecodeError):
            return ""

    def version(self) -> str:
        """Its version; empty if it does not work."""
        return self.say("-dumpfullversion", "-dumpversion") or self.say("-dumpversion")

    def program(self, name: str) -> str | None:
        """Where it finds a program: its own, beside it, or the system's."""
        for folder in [*self._search("programs"), *self._beside]:
            place = os.path.join(folder, name)
            if os.access(place, os.X_OK) and os.path.isfile(place):
                return self._host.ways.place(place)
        return self._host.which_in_system(name)

    def file(self, name: str) -> str | None:
        """Where it finds a file to link with."""
        for folder in self._search("libraries"):
            place = os.path.join(folder, name)
            if os.path.isfile(place):
                return self._host.ways.place(place)
        return None

    def headers(self, names: Iterable[str], *, cxx: bool) -> set[str]:
        """The headers of these names that it finds, with all they include."""
        lines = ["#define _GNU_SOURCE 1"]
        lines += [f"#if __has_include(<{name}.h>)\n#include <{name}.h>\n#endif" for name in names]
        found = _dependencies(self.say("-E", "-M", "-x", "c", "-", stdin="\n".join(lines).encode()))
        if cxx:
            found |= _dependencies(self.say("-E", "-M", "-x", "c++", "-", stdin=b"#include <bits/stdc++.h>\n"))
        return found

    def _search(self, kind: str) -> list[str]:
        if self._folders is None:
            lines = [line.partition(": =") for line in self.say("-print-search-dirs").split("\n")]
            self._folders = {
                name: [os.path.normpath(one) for one in rest.split(":")] for name, _, rest in lines if rest
            }
        return self._folders.get(kind, [])


def _languages(drivers: Iterable[str]) -> list[str]:
    """What the drivers compile besides C."""
    found = []
    if any("++" in name for name in drivers):
        found.append("c++")
    if any("fortran" in name for name in drivers):
        found.append("fortran")
    return found


def _drivers(asker: _Asker, version: str, *, siblings: bool) -> dict[str, str]:
    """The compiler's own commands: cc and gcc are the one that was asked, those beside must be of its version."""
    folder, name = os.path.split(asker.path)
    found = {name: asker.path}
    if "clang" in name:
        wanted = {"clang++": name.replace("clang", "clang++")} if siblings and "clang++" not in name else {}
        found |= {"clang": asker.path} if "clang++" not in name else {}
    elif _is_c_driver(asker.path):
        family = _GCC_FAMILY if siblings else ()
        wanted = {one: _sibling(name, one) for one in family}
        found |= {"gcc": asker.path, "cc": asker.path}
    else:
        wanted = {}
    for command, sibling in wanted.items():
        place = os.path.join(folder, sibling)
        if not os.access(place, os.X_OK):
            continue
        if command.startswith("gcc-") or command == "gcov" or asker.beside(place).version() == version:
            found[command] = place
    return found


def _is_c_driver(path: str) -> bool:
    name = os.path.basename(path)
    return "gcc" in name or (name == "cc" and "gcc" in os.path.basename(os.path.realpath(path)))


def _sibling(name: str, command: str) -> str:
    kind = {"c++": "g++"}.get(command, command)
    return name.replace("gcc", kind) if "gcc" in name else kind


def _own_directories(asker: _Asker, programs: list[str]) -> list[str]:
    """The directories that are the compiler's alone: ``lib/gcc/TARGET/VERSION``, clang's resources."""
    resources = asker.say("-print-resource-dir")
    places = [os.path.dirname(place) for name in ("crtbegin.o", "libgcc.a") if (place := asker.file(name))]
    places += [os.path.dirname(place) for place in programs]
    found = {os.path.realpath(place) for place in places if "/gcc/" in place}
    if os.path.isabs(resources) and os.path.isdir(resources):
        found.add(os.path.realpath(resources))
    return sorted(found)


def _dependencies(rule: str) -> set[str]:
    """The files of a make rule, as ``-M`` writes it."""
    words: Iterable[str] = rule.partition(":")[2].replace("\\\n", " ").split()
    return {os.path.realpath(word) for word in words if os.path.isabs(word)}
