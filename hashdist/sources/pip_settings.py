"""What pip is configured with: indexes, certificates, credentials; read from where pip reads it.

Source: pip's user guide, 'Configuration': files in order of precedence, then ``PIP_*`` variables.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class PipSettings:
    """Where releases are looked for."""

    indexes: tuple[str, ...]
    """URLs of simple indexes, in order."""
    default: bool
    """Whether the public index, which pip knows by itself, comes before these."""
    find_links: tuple[str, ...]
    """Directories or pages of files."""
    certificates: str | None
    """A file of authorities."""
    credentials: dict[str, str]
    """Host to ``user:password``, from the indexes' URLs."""


def read_pip_settings(env: Mapping[str, str]) -> PipSettings:
    """Read pip's files and the ``PIP_*`` variables in `env`."""
    found: dict[str, str] = {}
    for path in _files(env):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself complains of it, and better
        for section in ("global", "download", "install"):
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for name, value in env.items():
        if name.startswith("PIP_") and value:
            found[name[4:].lower().replace("_", "-")] = value
    allowed = found.get("no-index", "").lower() not in {"1", "true", "yes", "on"}
    indexes = tuple(f"{found.get('index-url', '')} {found.get('extra-index-url', '')}".split()) if allowed else ()
    hosts = {parts.hostname: parts.netloc.rpartition("@")[0] for parts in map(urlsplit, indexes) if parts.username}
    return PipSettings(
        indexes,
        allowed and not found.get("index-url"),
        tuple(found.get("find-links", "").split()),
        found.get("cert") or None,
        {host: secret for host, secret in hosts.items() if host},
    )


def _files(env: Mapping[str, str]) -> list[str]:
    home = env.get("HOME", "")
    own = env.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    directories = env.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
    files = [os.path.join(directory, "pip", "pip.conf") for directory in directories]
    files.append("/etc/pip.conf")
    if home:
        files.append(os.path.join(home, ".pip", "pip.conf"))
        files.append(os.path.join(env.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "pip", "pip.conf"))
    files.append(os.path.join(sys.prefix, "pip.conf"))
    return [*files, own] if own else files
