"""Put the jail around a command: write its rules and its log, prove that it holds, and read what it saw."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from hashdist import process
from hashdist.process import ProgramFailedError

from .library import LIBRARY, JailInactiveError, missing
from .log import ROOM, create_log, read_log
from .report import Report, report_of
from .rules import Mode, Rules

#: Names the rules to `hdistjail.c`; without it the library does nothing.
VARIABLE = "HDIST_JAIL_RULES"
_SHELL = "/bin/sh"
_PATIENCE = 30.0
#: Bytes for the log of the handshake.
_ALMOST_NONE = 4096
#: Bytes of an ELF file's header, and the type of the program header that names the loader, PT_INTERP.
_ELF_HEADER = 64
_INTERPRETER = struct.pack("=I", 3)


@dataclass(frozen=True, slots=True)
class Jail:
    """A jail that is ready; it lasts as long as its directory."""

    directory: str
    """Where its files are; nobody else may write there."""
    mode: Mode
    """'report' or 'enforce'."""

    @property
    def rules_path(self) -> str:
        """The compiled rules; by this name the library knows how strict it must be when they are gone."""
        return os.path.join(self.directory, self.mode)

    @property
    def log_path(self) -> str:
        """The log."""
        return os.path.join(self.directory, "log")

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """The variables of a process inside; what is preloaded already stays so, after the jail."""
        others = [one for one in env.get("LD_PRELOAD", "").replace(":", " ").split() if one != LIBRARY]
        sanitizer = ":".join(filter(None, [env.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        return {
            **env,
            "LD_PRELOAD": ":".join([LIBRARY, *others]),
            VARIABLE: self.rules_path,
            # without this no program that gcc made for its address sanitizer would start
            "ASAN_OPTIONS": sanitizer,
        }

    @property
    def entered(self) -> bool:
        """Whether the command itself came into the jail."""
        return read_log(self.log_path).active

    def report(self) -> Report:
        """What was seen so far."""
        return report_of(read_log(self.log_path), self.mode)


def make_jail(directory: str, rules: Rules, mode: Mode, *, env: Mapping[str, str], room: int = ROOM) -> Jail:
    """Make a jail in an empty directory, for commands that this process starts with the environment `env`.

    Raises `JailInactiveError` when it would not hold: no library, another jail around us, a loader that does not
    preload. A full disk is an `OSError`.
    """
    absent = missing()
    if absent is not None:
        raise absent
    if env.get(VARIABLE):
        raise JailInactiveError("there is a jail around this command already, and jails do not nest")
    jail = Jail(directory, mode)
    rules = rules.copy()
    rules.allow(LIBRARY, *(one for one in env.get("LD_PRELOAD", "").replace(":", " ").split() if one.startswith("/")))
    text = rules.encode(mode=mode, library=LIBRARY, setting=f"{VARIABLE}={jail.rules_path}", log=jail.log_path)
    with open(jail.rules_path, "xb") as file:
        file.write(text)
    create_log(jail.log_path, launcher=os.getpid(), room=_ALMOST_NONE)
    _prove(jail, env)
    os.unlink(jail.log_path)
    create_log(jail.log_path, launcher=os.getpid(), room=room)
    if os.geteuid() == 0:
        # what root starts may become somebody else, and is in the jail all the same
        for path, bits in ((directory, 0o711), (jail.rules_path, 0o644), (jail.log_path, 0o666)):
            os.chmod(path, bits)
    return jail


def _prove(jail: Jail, env: Mapping[str, str]) -> None:
    """Start a program and see that it came into the jail: the loader only warns of what it cannot preload."""
    try:
        process.run([_SHELL, "-c", ":"], env=jail.environment(env), timeout=_PATIENCE)
    except ProgramFailedError as error:
        raise JailInactiveError(f"the jail does not hold: {error.stderr.strip() or error.message}") from error
    if not jail.entered:
        raise JailInactiveError(
            f"the jail does not hold: the loader did not load {LIBRARY}",
            hint="was hashdist installed on another kind of host? install it here",
        )


def refuse_unseen(path: str) -> None:
    """Raise `JailInactiveError` if nothing can be preloaded into the program, or the interpreter of a script."""
    path = os.path.realpath(path)
    for _ in range(4):
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                return  # the system will say what is wrong with it
            with open(path, "rb") as file:
                head = file.read(256)
                words = head[2:].split(b"\n")[0].split() if head.startswith(b"#!") else []
                if words:
                    path = os.path.realpath(os.fsdecode(words[0]))
                    continue
                reason = _why_unseen(file, head, status, path) if head.startswith(b"\x7fELF") else None
        except OSError:
            return  # likewise
        if reason is not None:
            raise JailInactiveError(
                f"'{path}' {reason}, so nothing can be preloaded into it",
                hint="--enforce --landlock confines such programs too",
            )
        return


def _why_unseen(file: BinaryIO, head: bytes, status: os.stat_result, path: str) -> str | None:
    """Why the loader would preload nothing into a program; None if it would."""
    with open("/proc/self/exe", "rb") as own:
        ours = own.read(20)
    if len(head) < _ELF_HEADER:
        return None  # the system will say what is wrong with it
    if head[4] != ours[4] or head[18:20] != ours[18:20]:
        return "is a program of another machine"
    if (status.st_mode & stat.S_ISUID and status.st_uid != os.geteuid()) or (
        status.st_mode & stat.S_ISGID and status.st_gid != os.getegid()
    ):
        return "changes who it is (set-id)"
    with contextlib.suppress(OSError):
        if os.getxattr(path, "security.capability"):
            return "has capabilities of its own"
    (offset,) = struct.unpack_from("=Q", head, 32)
    size, count = struct.unpack_from("=HH", head, 54)
    for number in range(count):
        file.seek(offset + number * size)
        if file.read(4) == _INTERPRETER:
            return None
    return None if os.path.basename(path).startswith("ld-linux") else "is linked statically"
