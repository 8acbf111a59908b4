"""A mount namespace, in which a directory of ours lies where another one does for everybody else.

Needs no root where user namespaces are allowed. Sources: ``unshare(2)``, ``user_namespaces(7)``, ``mount(2)``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000


def lay_over(directory: str, place: str) -> None:
    """For this process and its children alone, let `directory` lie at `place`; there is no way back.

    The process must have one thread. Raises `OSError` where the system does not allow it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    _call(libc.unshare, _NEW_MOUNTS if user == 0 else _NEW_MOUNTS | _NEW_USER)
    if user != 0:
        with contextlib.suppress(FileNotFoundError):
            _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    _call(libc.mount, None, b"/", None, _RECURSIVE | _PRIVATE, None)
    _call(libc.mount, os.fsencode(directory), os.fsencode(place), None, _BIND, None)


def _call(function: object, *arguments: object) -> None:
    if function(*arguments) != 0:  # type: ignore[operator]
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
