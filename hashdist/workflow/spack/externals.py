"""Captured host software as externals of Spack's, for ``packages.yaml``.

An external's prefix is the artifact of links in the store, whose path has the hash: when the host's gcc changes, so
does the path, and with it every hash that Spack computes from it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import yaml

from hashdist.errors import InvalidError, NotFoundError
from hashdist.hostscan.scans import Scan, newest_scans
from hashdist.objects.spec import read_spec
from hashdist.stack.presets import BASE
from hashdist.workflow.session import Session

#: Programs of a compiler by Spack's language, and by the name that specs have for it.
_LANGUAGES = (("c", "c", "gcc"), ("cxx", "c++", "g++"), ("fortran", "fortran", "gfortran"))


def externals(session: Session, names: Sequence[str] = ()) -> dict[str, Any]:
    """The document of a ``packages.yaml`` with these host entries, or all that were captured but the basic tools.

    A name is that of a host entry, or ``ENTRY=PACKAGE`` where Spack calls it otherwise. Raises `NotFoundError` for
    what was never captured.
    """
    store = session.store
    scans = newest_scans(store.refs, store.objects, session.where.host_class)
    wanted = [_pair(name) for name in names] or [(name, name) for name in scans if name != BASE]
    missing = [name for name, _ in wanted if name not in scans or name == BASE]
    if missing or not wanted:
        raise NotFoundError(
            f"never captured on this host: {', '.join(missing) or 'anything'}",
            hint=f"hdist host scan {' '.join(f'{name}=path:{name}' for name in missing) or 'gcc=path:gcc'}",
        )
    return {"packages": {package: _external(session, package, scans[name]) for name, package in sorted(wanted)}}


def as_yaml(document: dict[str, Any]) -> str:
    """The text of the file."""
    text: str = yaml.safe_dump(document, sort_keys=False, default_flow_style=False)
    return text


def _pair(text: str) -> tuple[str, str]:
    name, equals, package = text.partition("=")
    if not name or (equals and not package):
        raise InvalidError(f"'{text}' is neither ENTRY nor ENTRY=PACKAGE", hint="hdist host list")
    return name, package or name


def _external(session: Session, package: str, scan: Scan) -> dict[str, Any]:
    store = session.store
    artifact = read_spec(store.objects, scan.spec).artifact
    prefix = store.artifacts.path(artifact)
    entry: dict[str, Any] = {"spec": f"{package}@{scan.version}", "prefix": prefix}
    if package == "gcc":
        found = [(*one, os.path.join(prefix, "bin", one[2])) for one in _LANGUAGES]
        found = [one for one in found if os.path.exists(one[3])]
        entry["spec"] += f" languages='{','.join(word for _, word, _, _ in found)}'"
        entry["extra_attributes"] = {"compilers": {language: path for language, _, _, path in found}}
    return {"externals": [entry], "buildable": False}
