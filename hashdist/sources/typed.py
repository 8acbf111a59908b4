"""What a person types for a source, in place of the table that a stack file has for it."""

from __future__ import annotations

import os
from urllib.parse import unquote

from hashdist.errors import InvalidError

from .declaration import Declaration, parse

_CHECKED = "a git source is checked by its commit, a release by the hash that the index tells"


def declare(
    thing: str,
    *,
    sha256: str | None = None,
    subdir: str | None = None,
    rev: str | None = None,
    wheel: bool = False,
) -> Declaration:
    """The declaration that a person means by a URL, ``git+URL[@REV]``, ``pypi:NAME==VERSION`` or a path.

    `wheel`: of a release a wheel is wanted, and not its source distribution.

    Raises `InvalidError`.
    """
    if not thing or rev == "" or subdir == "":
        raise InvalidError("an empty text names no source", hint="is a variable of a script not set?")
    if sha256 is not None and ("://" not in thing or thing.startswith(("pypi:", "git+"))):
        raise InvalidError(f"'{thing}' is not the URL of an archive, so that a sha256 cannot be checked", hint=_CHECKED)
    if thing.startswith("pypi:"):
        project, _, version = thing[5:].partition("==")
        if not version:
            raise InvalidError(f"'{thing}' names no version", hint="pypi:NAME==VERSION")
        return parse({"pypi": project, **_set(subdir=subdir)}, version=version, wheel=wheel)
    if wheel:
        raise InvalidError(f"'{thing}' is not a release on a package index", hint="pypi:NAME==VERSION")
    if thing.startswith("git+"):
        url, found = _split_revision(thing[4:]) if rev is None else (thing[4:], None)
        if found == "":
            raise InvalidError(f"'{thing}' names no revision", hint="is a variable of a script not set?")
        return parse({"git": url, "rev": rev or found or "HEAD", **_set(subdir=subdir)}, version="", wheel=False)
    if rev is not None:
        raise InvalidError(f"'{thing}' is not a git repository, so it has no revisions", hint="git+URL")
    if "://" in thing:
        return parse({"url": thing, **_set(sha256=sha256, subdir=subdir)}, version="", wheel=False)
    return parse({"path": os.path.abspath(thing), **_set(subdir=subdir)}, version="", wheel=False)


def _split_revision(text: str) -> tuple[str, str | None]:
    """A repository's URL and what follows the last ``@`` of its path; one before the path is somebody's name."""
    scheme, has_scheme, rest = text.partition("://")
    if scheme == "file" and os.path.exists(unquote(rest)):
        return text, None
    host, slash, path = rest.partition("/") if has_scheme else text.partition(":")
    path, at, rev = path.rpartition("@")
    if not at or (not path and has_scheme):
        return text, None
    return (f"{scheme}://{host}{slash}{path}" if has_scheme else f"{host}{slash}{path}"), rev


def _set(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
