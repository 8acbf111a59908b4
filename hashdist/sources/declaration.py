"""What a stack file says of a source: one of a few kinds, checked."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from hashdist.errors import InvalidError
from hashdist.objects.ids import HEX_DIGITS
from hashdist.refs.names import is_ref_name

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_PROJECT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
_SHORT_COMMIT = re.compile(r"(?=[0-9a-f]*[0-9])[0-9a-f]{7,}\Z")
_SCP = re.compile(r"[A-Za-z0-9][\w.-]*@[A-Za-z0-9][\w.-]*:(?!//)[^\s]+\Z")
SCHEMES = ("http", "https", "file")
GIT_SCHEMES = ("https", "http", "ssh", "git", "file")
_SECRET = re.compile(r"token|secret|passw|signature|^sig$|credential|auth|api.?key|^key$|^x-amz-", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class UrlSource:
    """An archive, or a single file, at a URL."""

    url: str
    """http, https or file."""
    mirrors: tuple[str, ...] = ()
    """Other places of the same bytes, tried first."""
    sha256: str | None = None
    """Of the archive; without it the first download is pinned."""
    subdir: str | None = None
    """Take this directory only."""


@dataclass(frozen=True, slots=True)
class PathSource:
    """A directory, archive or file of this machine."""

    path: str
    """Relative to the stack file, or absolute."""
    subdir: str | None = None
    """Take this directory only."""


@dataclass(frozen=True, slots=True)
class PypiSource:
    """A release on the package index that pip is configured with."""

    project: str
    """Its name there."""
    version: str
    """The release."""
    wheel: bool
    """A wheel that fits the stack's Python, or else the source distribution."""
    subdir: str | None = None
    """Take this directory only."""


@dataclass(frozen=True, slots=True)
class GitSource:
    """A revision of a git repository, with its submodules."""

    url: str
    """What the git program takes: https, http, ssh, git, file, or ``user@host:path``."""
    rev: str
    """A branch, a tag, a full ref name or a full commit id."""
    submodules: bool = True
    """Whether submodules are part of it; without, their directories are empty."""
    subdir: str | None = None
    """Take this directory only."""


Declaration: TypeAlias = UrlSource | GitSource | PathSource | PypiSource

_KEYS = {
    "url": {"url", "mirrors", "sha256", "subdir"},
    "git": {"git", "rev", "submodules", "subdir"},
    "path": {"path", "subdir"},
    "pypi": {"pypi", "subdir"},
}


def parse(table: Any, *, version: str, wheel: bool) -> Declaration:
    """Read the table of a source; `version` and `wheel` are those of its package.

    Raises `InvalidError` with every fault, each as ``key: fault`` (or only the fault).
    """
    if not isinstance(table, dict):
        raise InvalidError('must be a table such as { url = "…" }')
    kinds = [kind for kind in _KEYS if kind in table]
    if len(kinds) != 1:
        raise InvalidError("needs exactly one of 'url', 'git', 'path', 'pypi'")
    kind = kinds[0]
    problems = [f"{key}: unknown key" for key in sorted(set(table) - _KEYS[kind])]
    texts = sorted(_KEYS[kind] - {"mirrors", "submodules"})
    problems += [f"{key}: must be text" for key in texts if not isinstance(table.get(key, ""), str)]
    if not problems:
        problems = _faults(kind, table)
    if problems:
        raise InvalidError(*problems)
    subdir = table.get("subdir")
    if kind == "url":
        return UrlSource(table["url"], tuple(table.get("mirrors", ())), table.get("sha256"), subdir)
    if kind == "git":
        return GitSource(table["git"], table["rev"], table.get("submodules", True), subdir)
    if kind == "path":
        return PathSource(table["path"], subdir)
    return PypiSource(table["pypi"], version, wheel, subdir)


def _faults(kind: str, table: Mapping[str, Any]) -> list[str]:
    problems = []
    if kind == "url":
        mirrors = table.get("mirrors", [])
        if not isinstance(mirrors, list) or not all(isinstance(mirror, str) for mirror in mirrors):
            problems.append("mirrors: must be a list of URLs")
            mirrors = []
        for url in (table["url"], *mirrors):
            if fault := url_fault(url):
                problems.append(f"url: {fault}")
            elif urlsplit(url).netloc.rpartition("@")[1]:
                problems.append("url: holds a user name or password, which would be recorded: put it into ~/.netrc")
        if "sha256" in table and not _SHA256.match(table["sha256"]):
            problems.append("sha256: must be 64 lower-case hexadecimal digits")
    elif kind == "git":
        problems += _git_faults(table)
    elif kind == "path":
        if not table["path"]:
            problems.append("path: is empty")
    elif not _PROJECT.match(table["pypi"]):
        problems.append(f"pypi: '{table['pypi'][:60]}' is not a project's name")
    if "subdir" in table:
        subdir = table["subdir"]
        if not subdir or posixpath.normpath(subdir) != subdir or subdir.startswith(("/", "..")):
            problems.append(f"subdir: '{subdir[:60]}' is not a plain relative path")
    return problems


def _git_faults(table: Mapping[str, Any]) -> list[str]:
    problems = []
    if fault := git_url_fault(table["git"]):
        problems.append(f"git: {fault}")
    rev = table.get("rev")
    if rev is None:
        problems.append('git: needs a rev: a branch, a tag or a commit, such as rev = "v1.2"')
    elif not is_ref_name(rev):
        problems.append(f"rev: '{rev[:60]}' is neither a branch, a tag nor a commit")
    elif len(rev) < HEX_DIGITS and _SHORT_COMMIT.match(rev):
        problems.append(f"rev: '{rev}' looks like the beginning of a commit id: all {HEX_DIGITS} digits are needed")
    if not isinstance(table.get("submodules", True), bool):
        problems.append("submodules: must be true or false")
    return problems


def git_url_fault(url: str) -> str | None:
    """What is wrong with a URL for the git program; None if it can be fetched from."""
    if _SCP.match(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return f"'{_shown(url)}' is not a URL: {error}"
    if parts.scheme not in GIT_SCHEMES:
        return f"'{_shown(url)}' is not of {', '.join(GIT_SCHEMES)}, or user@host:path"
    if parts.scheme != "file" and (not parts.hostname or parts.hostname.startswith("-")):
        return f"'{_shown(url)}' names no host"
    if parts.password is not None or (parts.username is not None and parts.scheme in SCHEMES):
        return "holds a user name or password, which would be recorded: let a credential helper of git give it"
    if not parts.path.strip("/"):
        return f"'{_shown(url)}' names no repository"
    return None


def _shown(url: str) -> str:
    """A URL for messages, without what may be a password."""
    return re.sub(r"//[^/@]*@", "//…@", url)[:80]


def url_fault(url: str) -> str | None:
    """What is wrong with a URL; None if it can be fetched from."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return f"'{_shown(url)}' is not a URL: {error}"
    if parts.scheme not in SCHEMES:
        return f"'{_shown(url)}' is neither http, https nor file"
    if parts.scheme != "file" and not parts.hostname:
        return f"'{_shown(url)}' names no host"
    return None


def to_json(declaration: Declaration) -> dict[str, Any]:
    """The declaration as it stands in locks: without credentials, and without what is not set."""
    if isinstance(declaration, UrlSource):
        found: dict[str, Any] = {
            "url": without_credentials(declaration.url),
            "mirrors": [without_credentials(mirror) for mirror in declaration.mirrors],
            "sha256": declaration.sha256,
        }
    elif isinstance(declaration, GitSource):
        found = {"git": declaration.url, "rev": declaration.rev}
        if not declaration.submodules:
            found["submodules"] = False
    elif isinstance(declaration, PathSource):
        found = {"path": declaration.path}
    else:
        found = {"pypi": declaration.project, "version": declaration.version, "wheel": declaration.wheel}
    found["subdir"] = declaration.subdir
    return {key: value for key, value in found.items() if value not in (None, [])}


def without_credentials(url: str) -> str:
    """The URL without user name, password, fragment, and what looks like a secret in its query: for the record."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(part for part in parts.query.split("&") if part and not _SECRET.search(part.partition("=")[0]))
    return parts._replace(netloc=host, query=query, fragment="").geturl()
