"""hashdist: software stacks as branches, installs by hash, prefixes of links.

What can be imported from here is the stable interface, see docs/reference/api.md::

    import os
    from hashdist import Session, Store, build_commit, commit_file, prefix_of

    store = Store.open("~/.hashdist", identity="Nightly <nightly@example.org>")
    session = Session(store, dict(os.environ), os.getcwd(), jobs=4)
    recorded = commit_file(session, "stack.toml", message="nightly")
    build_commit(session, recorded.commit)
    prefix = prefix_of(session, recorded.commit)

Names are loaded when they are first asked for, so that to import this costs nothing.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .build.staging import Staged, abandon, seal_staged, stage
    from .errors import (
        BusyError,
        ConflictError,
        DamagedError,
        HashdistError,
        InvalidError,
        NetworkError,
        NotFoundError,
        UsageError,
    )
    from .gc.plan import plan as plan_gc
    from .gc.policy import Policy
    from .gc.sweeping import collect
    from .objects.artifact_id import ArtifactId
    from .objects.spec import Platform, Spec, read_spec
    from .stack.file import parse_stack
    from .stack.packages import HostEntry
    from .store.making import init_store
    from .store.store import Store
    from .verify.verifying import verify as verify_store
    from .workflow.building import build_commit
    from .workflow.checkout import ready as prefix_of
    from .workflow.commit import commit_file, edit as edit_stack, update as update_pins
    from .workflow.hosts import scan_host
    from .workflow.prefixes import find_prefix
    from .workflow.profile import find as find_commit, read_profile
    from .workflow.session import Session

#: Each name with the module that defines it, and what it is called there.
_NAMES = {
    name: (module, name)
    for module, names in {
        "build.staging": "Staged abandon seal_staged stage",
        "errors": "BusyError ConflictError DamagedError HashdistError InvalidError NetworkError NotFoundError "
        "UsageError",
        "gc.policy": "Policy",
        "gc.sweeping": "collect",
        "objects.artifact_id": "ArtifactId",
        "objects.spec": "Platform Spec read_spec",
        "stack.file": "parse_stack",
        "stack.packages": "HostEntry",
        "store.making": "init_store",
        "store.store": "Store",
        "workflow.building": "build_commit",
        "workflow.commit": "commit_file",
        "workflow.hosts": "scan_host",
        "workflow.prefixes": "find_prefix",
        "workflow.profile": "read_profile",
        "workflow.session": "Session",
    }.items()
    for name in names.split()
} | {
    "edit_stack": ("workflow.commit", "edit"),
    "find_commit": ("workflow.profile", "find"),
    "plan_gc": ("gc.plan", "plan"),
    "prefix_of": ("workflow.checkout", "ready"),
    "update_pins": ("workflow.commit", "update"),
    "verify_store": ("verify.verifying", "verify"),
}

#: Names that will go: to what to write instead, and the release that said so first.
_DEPRECATED: dict[str, tuple[str, str]] = {}

__all__ = [
    "ArtifactId",
    "BusyError",
    "ConflictError",
    "DamagedError",
    "HashdistError",
    "HostEntry",
    "InvalidError",
    "NetworkError",
    "NotFoundError",
    "Platform",
    "Policy",
    "Session",
    "Spec",
    "Staged",
    "Store",
    "UsageError",
    "__version__",
    "abandon",
    "build_commit",
    "collect",
    "commit_file",
    "edit_stack",
    "find_commit",
    "find_prefix",
    "init_store",
    "parse_stack",
    "plan_gc",
    "prefix_of",
    "read_profile",
    "read_spec",
    "scan_host",
    "seal_staged",
    "stage",
    "update_pins",
    "verify_store",
]


def __getattr__(name: str) -> Any:
    if name in _DEPRECATED:
        instead, since = _DEPRECATED[name]
        warnings.warn(
            f"hashdist.{name} is deprecated since {since}: use hashdist.{instead}", DeprecationWarning, stacklevel=2
        )
        return __getattr__(instead)
    if name not in _NAMES:
        raise AttributeError(f"module 'hashdist' has no attribute '{name}'")
    module, original = _NAMES[name]
    found = getattr(importlib.import_module(f".{module}", __name__), original)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
