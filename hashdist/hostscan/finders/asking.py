"""Ask a program for its version."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from hashdist import process
from hashdist.hostscan.errors import HostNotFoundError
from hashdist.objects.manifest import file_sha256

_VERSION = re.compile(r"\d+\.\d[\w.+~-]*")
_SECONDS = 30.0
_ENOUGH = 4096


def command_version(path: str, env: Mapping[str, str], *, otherwise: str | None = None) -> str:
    """What a command says its version is.

    Where it says none: `otherwise`, or the beginning of its content's SHA-256. Raises `HostNotFoundError` when it
    does not answer.
    """
    try:
        said = process.beginning([path, "--version"], env={**env, "LC_ALL": "C"}, size=_ENOUGH, timeout=_SECONDS)
    except process.ProgramTimeoutError as error:
        words = f"'{path} --version' does not answer"
        raise HostNotFoundError(words, hint="try again when the machine is less busy") from error
    except process.ProgramMissingError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise HostNotFoundError(error.message) from error
        said = b""  # its interpreter is gone, which is told where that is looked for
    first = said.decode(errors="replace").strip().split("\n")[0]
    found = _VERSION.search(first)
    if found or otherwise:
        return found[0] if found else otherwise or ""
    try:
        return f"sha256-{file_sha256(os.path.realpath(path))[:16]}"
    except OSError as error:
        raise HostNotFoundError(f"'{path}' cannot be read: {error.strerror}") from error
