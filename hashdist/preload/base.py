"""What every program may use, whatever is declared: devices, the kernel's files, accounts, names, time and language."""

from __future__ import annotations

import functools
import os

from hashdist import elf

from .rules import Rules

_TREES = (
    "/proc",
    "/sys",
    "/etc/ld.so.conf.d",
    "/usr/lib/locale",
    "/usr/share/locale",
    "/usr/share/locale-langpack",
    "/usr/share/zoneinfo",
    "/usr/share/terminfo",
    "/usr/lib/terminfo",
    "/etc/terminfo",
)
#: Directories that every system has, whatever is installed: they may be looked at, not into.
_DIRECTORIES = (
    "/bin /boot /etc /home /lib /lib32 /lib64 /libx32 /media /mnt /opt /root /run /sbin /srv /tmp /usr /usr/bin "
    "/usr/include /usr/lib /usr/lib32 /usr/lib64 /usr/libexec /usr/local /usr/local/bin /usr/local/etc "
    "/usr/local/include /usr/local/lib /usr/local/lib64 /usr/local/sbin /usr/local/share /usr/sbin /usr/share "
    "/usr/share/man /usr/src /var /var/tmp"
).split()
_WRITABLE = ("/dev", "/proc/self", "/proc/thread-self")
_FILES = (
    "/etc/passwd /etc/group /etc/nsswitch.conf /etc/hosts /etc/host.conf /etc/resolv.conf /etc/gai.conf /etc/services "
    "/etc/protocols /etc/networks /etc/localtime /etc/timezone /etc/locale.alias /etc/locale.conf /etc/default/locale "
    "/etc/mtab /etc/ld.so.cache /etc/ld.so.conf /etc/ld.so.preload /etc/inputrc"
).split()
#: The loader and the C library: no program runs without them. They count by their ABI, which the platform tells.
_RUNTIME = (
    "ld-linux-x86-64.so.2 ld-linux-aarch64.so.1 libc.so.6 libm.so.6 libmvec.so.1 libpthread.so.0 libdl.so.2 librt.so.1 "
    "libutil.so.1 libresolv.so.2 libanl.so.1 libnss_files.so.2 libnss_dns.so.2 libnss_compat.so.2 libgcc_s.so.1"
).split()


def base_rules() -> Rules:
    """Rules that grant what every program may use, to be added to."""
    return _base().copy()


@functools.cache
def _base() -> Rules:
    rules = Rules()
    rules.allow_tree(*_TREES)
    rules.allow_writing(*_WRITABLE)
    rules.allow(*_FILES, *_DIRECTORIES)
    for folder in elf.system_directories():
        for name in (*_RUNTIME, "gconv/gconv-modules.cache"):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                rules.allow(path, os.path.realpath(path))
    return rules
