"""How EasyBuild is set up for a store, and what its naming scheme and hooks have to know of that."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from hashdist.errors import InvalidError
from hashdist.gc import module_links
from hashdist.store.store import Store
from hashdist.workflow.hosts import entries_named, scan_host
from hashdist.workflow.session import Session

#: What stands for the system's toolchain unless a site says otherwise.
FINDERS = ("path:gcc",)
GLUE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "glue")


def settings(store: Store) -> dict[str, str]:
    """EasyBuild's settings, by the names that they have in its configuration file."""
    return {
        "module-naming-scheme": "HashDistMNS",
        "include-module-naming-schemes": os.path.join(GLUE, "hashdist_mns.py"),
        "hooks": os.path.join(GLUE, "hashdist_hooks.py"),
        "fixed-installdir-naming-scheme": "False",
        "installpath-software": os.path.join(store.config.path, "artifacts"),
        "installpath-modules": modules_path(store),
        "filter-env-vars": "LD_LIBRARY_PATH",
        "enforce-checksums": "True",
    }


def modules_path(store: Store) -> str:
    """Where EasyBuild's modules by hash are: links into installations."""
    return os.path.join(store.config.path, module_links.FOLDERS[0])


def describe_session(session: Session, finders: Sequence[str]) -> dict[str, Any]:
    """What the naming scheme and the hooks ask for once a run; host software is captured, and recorded if changed."""
    store = session.store
    if store.upstream is not None:
        raise InvalidError(
            "EasyBuild cannot install on top of a store that reads another one", hint="hdist init makes one without"
        )
    platform = session.platform
    scanned = scan_host(session, entries_named(session, finders)) if finders else []
    return {
        "store": store.config.path,
        "artifacts": os.path.join(store.config.path, "artifacts"),
        "pattern": store.config.layout.pattern,
        "platform": {"os": platform.os, "arch": platform.arch, "cpu": platform.cpu},
        "finders": list(finders),
        "host": {one.capture.name: one.capture.spec.id for one in scanned},
    }
