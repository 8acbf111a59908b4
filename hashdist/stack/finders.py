"""How finders are written: ``dpkg:NAME``, ``path:COMMAND``, ``module:A/1,B/2`` and so on."""

from __future__ import annotations

import re

from hashdist.errors import InvalidError
from hashdist.objects.artifact_id import check_name

from .packages import HostEntry

#: What each kind of finder is for, and what stands behind the colon.
FINDERS = {
    "dpkg": "an installed package of Debian: dpkg:NAME",
    "rpm": "an installed package of rpm: rpm:NAME",
    "path": "a command, or the path of a program, library or directory: path:COMMAND or path:/ABSOLUTE/PATH",
    "pkgconfig": "a library that pkg-config knows: pkgconfig:NAME",
    "module": "environment modules in loading order: module:NAME/VERSION,NAME/VERSION",
}
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:~-]*\Z")
_MODULE = re.compile(r"[A-Za-z0-9_][\w.+/~-]*\Z")
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]+\Z")
_BASE = re.compile(r"base@\d+\Z")


def finder_fault(finder: str) -> str | None:
    """What is wrong with a finder; None if nothing is."""
    kind, colon, rest = finder.partition(":")
    if kind not in FINDERS or not colon or not rest:
        return f"unknown finder '{finder[:60]}': write {', '.join(f'{name}:' for name in FINDERS)} and what to find"
    if kind in {"dpkg", "rpm", "pkgconfig"} and not _PACKAGE.match(rest):
        return f"'{rest[:60]}' is no package's name"
    if kind == "module" and not all(_MODULE.match(name.strip()) for name in rest.split(",")):
        return f"'{rest[:60]}' are no modules' names: write module:NAME/VERSION,NAME/VERSION"
    if kind == "path" and (not _PLAIN.match(rest) or ("/" in rest and not rest.startswith("/"))):
        return f"'{rest[:60]}' is neither a command nor an absolute path"
    return None


def parse_entry(text: str) -> HostEntry | None:
    """The host entry that ``FINDER`` or ``NAME=FINDER`` means; None for what is neither.

    A name that is not given is that of the package, command, library or last module. Raises `InvalidError`.
    """
    name, equals, finder = text.partition("=") if "=" in text.partition(":")[0] else ("", "", text)
    if _BASE.match(finder):
        return HostEntry(name or "base", (finder,), "version")
    if ":" not in finder:
        return None
    if fault := finder_fault(finder):
        raise InvalidError(fault)
    return HostEntry(check_name(name if equals else _default_name(finder)), (finder,))


def _default_name(finder: str) -> str:
    kind, _, rest = finder.partition(":")
    if kind == "module":
        return rest.split(",")[-1].strip().partition("/")[0]
    if kind == "path":
        last = rest.rstrip("/").rpartition("/")[2]
        return re.sub(r"\.(?:so|a)(?:\.[\w.]+)?\Z", "", last) or "host"
    return rest.partition(":")[0]
