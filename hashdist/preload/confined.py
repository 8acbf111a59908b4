"""A program of its own: it puts itself under a Landlock ruleset, then becomes a command, with variables set.

``confined.py RULESET COUNT NAME=VALUE... COMMAND...``; the ruleset is a descriptor. It imports nothing of hashdist, so
that it starts quickly, and Python is not in the jail that it is about to enter.
"""

from __future__ import annotations

import ctypes
import os
import sys

_NO_NEW_PRIVILEGES = 38
_RESTRICT = 446  # landlock_restrict_self, the same on all machines


def main(arguments: list[str]) -> None:
    """Become the command; does not return."""
    ruleset, count = int(arguments[0]), int(arguments[1])
    variables = dict(one.split("=", 1) for one in arguments[2 : 2 + count])
    command = arguments[2 + count :]
    library = ctypes.CDLL(None, use_errno=True)
    failed = library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or library.syscall(ctypes.c_long(_RESTRICT), ruleset, 0)
    if failed:
        sys.exit(f"hdist: cannot enter Landlock: {os.strerror(ctypes.get_errno())}")
    os.close(ruleset)
    os.execve(command[0], command, {**os.environ, **variables})  # noqa: S606 - it is what this is for


if __name__ == "__main__":
    main(sys.argv[1:])
