"""Where a file of the system stands in a prefix: ``/usr/lib/x86_64-linux-gnu/libz.so`` becomes ``lib/libz.so``."""

from __future__ import annotations

import re

#: The directories that a prefix has; a path counts from the first of them.
_TOP = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "libexec", "include", "share", "games"})
_SAME = {"lib64": "lib", "games": "bin"}
#: Debian's name for a machine and its C library, as a directory below lib and include.
_MULTIARCH = re.compile(r"(?:i[3-6]86|x86_64|aarch64|arm|powerpc64le|riscv64|s390x)-linux-(?:gnu|musl)\w*\Z")
#: Set by administrators, or changing by itself: used where it is, never part of a prefix.
_LOCAL = ("/etc/", "/var/", "/run/", "/boot/", "/dev/", "/proc/", "/sys/", "/root/", "/home/")
_DOCUMENTATION = re.compile(
    r".*/share/(?:doc|doc-base|man|info|locale|help|gtk-doc|lintian|bug|devhelp|licenses|bash-completion)/"
)


def is_documentation(path: str) -> bool:
    """Whether a file is for people to read: left out of prefixes and identities, and absent on many small systems."""
    return _DOCUMENTATION.match(path) is not None


def is_local(path: str) -> bool:
    """Whether a file belongs to the machine rather than to the software."""
    return path.startswith(_LOCAL)


def prefix_path(path: str) -> str:
    """Where a file, given by its canonical absolute path, stands in a prefix."""
    parts = path.strip("/").split("/")
    start = next((number for number, part in enumerate(parts[:-1]) if part in _TOP), None)
    if start is None:
        return "/".join(parts)
    top, *rest = parts[start:]
    if top in {"lib", "include"} and len(rest) > 1 and _MULTIARCH.match(rest[0]):
        rest = rest[1:]
    return "/".join([_SAME.get(top, top), *rest])


def plain_path(path: str) -> str:
    """Likewise, but with the names the system uses: for the second of two files that want one place."""
    parts = path.strip("/").split("/")
    start = next((number for number, part in enumerate(parts[:-1]) if part in _TOP), 0)
    return "/".join(parts[start:])
