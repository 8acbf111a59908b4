"""``hdistjail.so``: where it is, and whether it can be used here."""

from __future__ import annotations

import os
import platform

from hashdist.errors import HashdistError

#: The library, built from ``hdistjail.c`` when the package is installed.
LIBRARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hdistjail.so")
_MACHINES = ("x86_64", "aarch64")


class JailInactiveError(HashdistError):
    """The jail cannot be put around a command, which is therefore not run."""

    exit_code = 126
    code = "jail_inactive"


def missing() -> JailInactiveError | None:
    """Why there can be no jail here; None if there can be one."""
    if platform.machine() not in _MACHINES:
        return JailInactiveError(f"there is no jail for {platform.machine()}, only for {' and '.join(_MACHINES)}")
    if not os.path.exists(LIBRARY):
        return JailInactiveError(
            "there is no jail in this installation: hdistjail.so could not be compiled when hashdist was installed",
            hint="install a C compiler (on Debian: apt-get install gcc libc6-dev), "
            "then: pip install --force-reinstall --no-cache-dir hashdist",
        )
    if any(character in LIBRARY for character in ": \t\n"):
        return JailInactiveError(
            f"the loader cannot preload '{LIBRARY}': its path has a space or a colon in it",
            hint="install hashdist into another directory",
        )
    return None


def library() -> str | None:
    """The path of the library; None if there can be no jail here."""
    return None if missing() else LIBRARY
