"""Who runs the command, and on which store: read from the environment, for the library to be given."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def store_path(option: str | None, env: Mapping[str, str]) -> str:
    """The store that is meant: ``--store``, HDIST_STORE, else ``~/.hashdist``."""
    path = option or env.get("HDIST_STORE") or default_path(env)
    return os.path.abspath(os.path.expanduser(path))


def default_path(env: Mapping[str, str]) -> str:
    """Where the store lies when nobody says where."""
    return os.path.join(env.get("HOME") or os.path.expanduser("~"), ".hashdist")


def cache_path(path: str, env: Mapping[str, str]) -> str:
    """Where somebody keeps what can be computed again for a store that is closed to them."""
    own = env.get("XDG_CACHE_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".cache")
    return os.path.join(own, "hashdist", f"{os.path.basename(path)}-{zlib.crc32(os.fsencode(path)):08x}")


def quick_identity(env: Mapping[str, str]) -> str:
    """Who somebody is by git's variables, or as the system knows them; no program is asked."""
    user = env.get("USER") or env.get("LOGNAME") or _account()
    name = env.get("GIT_COMMITTER_NAME") or env.get("GIT_AUTHOR_NAME") or user
    address = env.get("GIT_COMMITTER_EMAIL") or env.get("GIT_AUTHOR_EMAIL") or f"{user}@{os.uname().nodename}"
    return f"{_clean(name)} <{_clean(address)}>"


def full_identity(env: Mapping[str, str]) -> str:
    """The same, asking git's configuration for what the variables do not say."""
    from hashdist import process  # noqa: PLC0415 - starts another program

    if env.get("GIT_AUTHOR_NAME") and env.get("GIT_AUTHOR_EMAIL"):
        return quick_identity(env)
    try:
        said = process.run(["git", "config", "--get-regexp", r"^user\.(name|email)$"], env=env).decode(errors="replace")
    except (process.ProgramFailedError, process.ProgramMissingError):
        return quick_identity(env)
    known = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    return quick_identity(
        {
            **env,
            "GIT_COMMITTER_NAME": env.get("GIT_COMMITTER_NAME") or known.get("user.name", ""),
            "GIT_COMMITTER_EMAIL": env.get("GIT_COMMITTER_EMAIL") or known.get("user.email", ""),
        }
    )


def _account() -> str:
    """The name of the account we run as; its number where the system knows no name."""
    import pwd  # noqa: PLC0415 - most have a variable

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _clean(text: str) -> str:
    return "".join(char for char in text if char not in "<>" and char.isprintable())
