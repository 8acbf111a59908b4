"""What a program needs to run: the libraries that the loader gives it, the loader, the interpreter of a script."""

from __future__ import annotations

import os
import shlex

from hashdist import elf

from .errors import HostNotFoundError
from .live import LiveHost

_SHEBANG = 512


def requirements(path: str, host: LiveHost, *, search: tuple[str, ...] = (), strict: bool, owned: bool) -> list[str]:
    """The files that the file at `path` names directly, as the loader or the kernel would find them.

    `search` are directories that the loader is told of by the environment. With `strict`, a library that is
    nowhere raises `HostNotFoundError`; plugins may find theirs in whoever loads them. What a script of a package,
    which is `owned`, looks for on the PATH is the system's, not the user's.
    """
    with open(path, "rb") as file:
        head = file.read(_SHEBANG)
    if head.startswith(b"#!"):
        return _interpreter(path, head, host, strict=strict, owned=owned)
    if not head.startswith(b"\x7fELF"):
        return []
    dynamic = elf.read_dynamic(path)
    if dynamic is None:
        return []
    found = [dynamic.interpreter] if dynamic.interpreter and os.path.exists(dynamic.interpreter) else []
    for name in dynamic.needed:
        directories = [*search, *elf.origin(dynamic.runpath, os.path.realpath(path)), *elf.system_directories()]
        library = name if os.path.isabs(name) else elf.find_library(name, directories, dynamic.machine)
        if library is not None:
            found.append(library)
        elif strict:
            raise HostNotFoundError(
                f"'{path}' will not run: {name} is gone",
                hint="install the package that has it, or name it to the loader",
            )
    return found


def _interpreter(path: str, head: bytes, host: LiveHost, *, strict: bool, owned: bool) -> list[str]:
    line = head[2:].split(b"\n")[0].decode(errors="surrogateescape")
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    if not words or not os.path.isabs(words[0]):
        return []
    if not os.path.exists(words[0]):
        if strict:
            raise HostNotFoundError(f"'{path}' will not run: its interpreter {words[0]} is gone")
        return []
    found = [words[0]]
    if os.path.basename(words[0]) == "env":
        command = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), None)
        find = host.which_in_system if owned else host.which
        place = find(command) if command else None
        if place:
            found.append(place)
    return found
