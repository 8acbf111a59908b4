"""How sources are fetched, from what people can say: files of settings, HDIST_* variables, options."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from hashdist.errors import InvalidError
from hashdist.objects.importing import Limits
from hashdist.sources.declaration import url_fault
from hashdist.sources.settings import FetchSettings

from .configuration import settings_table

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
    table = settings_table(env, "sources")
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
