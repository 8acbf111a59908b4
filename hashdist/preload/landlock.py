"""Landlock below the jail: the kernel stops what cannot be preloaded into, such as static and Go programs.

Made from the same rules, but coarser: the kernel judges the file that is reached, not the way to it, lets everything
be looked at, and answers EACCES. So it is a backstop and no replacement. See
https://docs.kernel.org/userspace-api/landlock.html for the calls, which the C library does not wrap.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct

from .library import JailInactiveError
from .rules import Rules

_CREATE, _ADD = 444, 445  # the same on all machines
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE = 1 << 14
_ALL = (1 << 15) - 1  # up to truncate; not ioctl on devices, which terminals need
#: What came with version 2 (to move files between directories) and 3 (to truncate them).
_LATER = ((2, 1 << 13), (3, _TRUNCATE))
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READING = _EXECUTE | _READ_FILE | _READ_DIR


def landlock_version() -> int:
    """The version of the kernel's interface; raises `JailInactiveError` where there is none."""
    try:
        return _call(_CREATE, None, 0, 1)
    except OSError as error:
        reason = {errno.ENOSYS: "the kernel is older than 5.13 or built without it", errno.EOPNOTSUPP: "it is off"}
        raise JailInactiveError(
            f"no Landlock on this host: {reason.get(error.errno or 0, error.strerror)}", hint="leave --landlock out"
        ) from error


def make_ruleset(rules: Rules) -> int:
    """A descriptor of the kernel's form of the rules; close it. Raises `JailInactiveError`."""
    version = landlock_version()
    handled = _ALL
    for since, bit in _LATER:
        if version < since:
            handled &= ~bit
    ruleset = _create(handled)
    try:
        # names may be looked up everywhere, as directories on the way have to be
        _add(ruleset, "/", _READ_DIR & handled)
        for path in rules.granted("tree"):
            _add(ruleset, path, _READING & handled)
        for path in rules.granted("write"):
            if not path.startswith("/proc"):  # a process has another /proc/self than we have
                _add(ruleset, path, handled)
        _add(ruleset, "/proc", (_READING | _WRITE_FILE) & handled)
        for number in range(3):  # /dev/stdout leads to a file that was opened outside
            _add(ruleset, f"/proc/self/fd/{number}", (_READ_FILE | _WRITE_FILE | _TRUNCATE) & handled)
        for path in rules.granted("exact"):
            _add_file(ruleset, path, _READING & handled)
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def _create(handled: int) -> int:
    """Some kernels say a higher version than they have: try with fewer bits until they agree."""
    while True:
        try:
            return _call(_CREATE, struct.pack("=Q", handled), 8, 0)
        except OSError as error:
            if error.errno != errno.EINVAL or handled <= _READ_DIR:
                raise JailInactiveError(
                    f"no Landlock on this host: {error.strerror}", hint="leave --landlock out"
                ) from error
            handled &= ~(1 << handled.bit_length() - 1)


def _add_file(ruleset: int, path: str, access: int) -> None:
    """A grant of a file itself; one of a directory would open all below it, and links are judged where they lead."""
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            _add(ruleset, path, access)
    except OSError:
        return  # gone, or closed to us: nobody gets there


def _add(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= _ON_FILES
        _call(_ADD, ruleset, _PATH_BENEATH, struct.pack("=Qi", access, descriptor), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: bytes | int | None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    found = int(library.syscall(ctypes.c_long(number), *words))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found
