"""How sources are fetched, from what people can say: files of settings, HDIST_* variables, options."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hashdist.errors import InvalidError
from hashdist.objects.importing import Limits
from hashdist.sources.declaration import url_fault
from hashdist.sources.settings import FetchSettings

#: What a file of settings may say below ``[sources]``.
_KINDS: dict[str, type] = {
    "mirrors": list,
    "downloads": str,
    "require-hash": bool,
    "limits": dict,
    "minimum-rate": int,
    "parallel": int,
}
_TRUE = {"1", "true", "yes", "on"}


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """What was typed."""

    offline: bool = False
    require_hash: bool = False
    accept_repacked: bool = False
    limits: Sequence[str] = ()
    mirrors: Sequence[str] = ()


def fetch_settings(env: Mapping[str, str], options: FetchOptions) -> FetchSettings:
    """Options before variables, those before the user's file, that before the system's; raises `InvalidError`."""
    table: dict[str, Any] = {}
    for path in settings_files(env):
        table |= _read(path)
    limits = [f"{name}={value}" for name, value in table.get("limits", {}).items()]
    limits += [*env.get("HDIST_LIMITS", "").split(), *options.limits]
    mirrors = [*options.mirrors, *env.get("HDIST_MIRRORS", "").split(), *table.get("mirrors", [])]
    downloads = env.get("HDIST_DOWNLOADS") or table.get("downloads")
    return FetchSettings(
        offline=options.offline,
        require_hash=options.require_hash or _flag(env, "HDIST_REQUIRE_HASH", default=table.get("require-hash", False)),
        accept_repacked=options.accept_repacked or _flag(env, "HDIST_ACCEPT_REPACKED", default=False),
        mirrors=tuple(_mirror(mirror) for mirror in mirrors),
        downloads=os.path.abspath(os.path.expanduser(downloads)) if downloads else None,
        limits=Limits.parse(limits),
        minimum_rate=_number(env, "HDIST_MINIMUM_RATE", table.get("minimum-rate", FetchSettings().minimum_rate)),
        parallel=max(1, _number(env, "HDIST_PARALLEL", table.get("parallel", FetchSettings().parallel))),
    )


def settings_files(env: Mapping[str, str]) -> list[str]:
    """Where settings are looked for, the strongest last."""
    own = env.get("XDG_CONFIG_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".config")
    return ["/etc/hashdist/config.toml", os.path.join(own, "hashdist", "config.toml")]


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    import tomllib  # noqa: PLC0415 - most have no such file

    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path}: {error}") from error
    table = document.get("sources", {})
    problems = [f"{path}: unknown table '{name}'" for name in document if name != "sources"]
    if not isinstance(table, dict):
        raise InvalidError(f"{path}: 'sources' must be a table")
    for name, value in table.items():
        if name not in _KINDS:
            problems.append(f"{path}: sources.{name}: unknown key: there are {', '.join(_KINDS)}")
        elif not isinstance(value, _KINDS[name]) or (_KINDS[name] is int and isinstance(value, bool)):
            problems.append(f"{path}: sources.{name}: must be of type {_KINDS[name].__name__}")
    mirrors = table.get("mirrors", [])
    if isinstance(mirrors, list) and not all(isinstance(mirror, str) for mirror in mirrors):
        problems.append(f"{path}: sources.mirrors: must be texts")
    if problems:
        raise InvalidError(*problems)
    return table


def _mirror(text: str) -> str:
    if "://" not in text:
        return "file://" + quote(os.path.abspath(os.path.expanduser(text)))
    if fault := url_fault(text):
        raise InvalidError(f"mirror: {fault}")
    return text


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    return env[name].lower() in _TRUE if env.get(name) else default


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "")
    if text and not (text.isdecimal() and len(text) < 10):  # noqa: PLR2004 - more than anybody means
        raise InvalidError(f"{name}: '{text}' is not a number")
    return int(text) if text else default
