"""The commands people run all day, answered before click is loaded.

``hdist checkout NAME`` between prefixes that exist, ``hdist build`` with nothing to do, ``hdist host check`` where
nothing changed, and ``hdist source add DIR`` where nobody looks on, make the same library calls as the full commands
and print the same words; whatever needs more is left to those.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from hashdist.refs import names

from .changed import UNDO
from .identity import cache_path, full_identity, quick_identity, store_path
from .interruptions import terminable
from .owner import is_other

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hashdist.store.store import Store


#: What is said of sources that were added.
KEPT = "kept for gc's grace period, and longer once a profile uses it\n"


def answer(arguments: list[str], env: Mapping[str, str]) -> bool:
    """Do the whole command and return True; or return False with nothing done."""
    words = [word for word in arguments[1:] if not word.startswith("-")]
    if env.get("HDIST_QUIET") or len(words) != len(arguments) - 1:
        return False
    adding = arguments[:2] == ["source", "add"] and len(words) == 2  # noqa: PLR2004 - add and what
    checking = arguments[:2] == ["host", "check"] and len(words) <= 2  # noqa: PLR2004 - check and of what
    if not (adding or checking) and (arguments[0] not in {"checkout", "build"} or len(words) > 1):
        return False
    path = store_path(None, env)
    if not os.path.exists(os.path.join(path, "format")) or is_other(path):
        return False
    from hashdist.store.store import Store  # noqa: PLC0415 - no other command needs it this early

    if adding:
        return _add(path, words[1], env)
    store = Store.open(path, identity=quick_identity(env), cache=cache_path(path, env))
    if checking:
        return _check(store, words[1] if len(words) > 1 else None, env)
    if arguments[0] == "build" and env.get("HDIST_JAIL"):
        return False  # enforced, it asks more
    if arguments[0] == "build":
        return _build(store, words[0] if words else "HEAD")
    return bool(words) and _checkout(store, words[0])


def _checkout(store: Store, name: str) -> bool:
    from hashdist.build.nothing import all_sealed  # noqa: PLC0415 - see above
    from hashdist.checkout.switch import Checkout, known_prefix  # noqa: PLC0415

    ref = store.refs.find(name)
    commit = store.refs.get(ref) if ref and ref != "HEAD" else None
    prefix = known_prefix(store, commit) if commit else None
    if ref is None or commit is None or prefix is None or store.has_upstream or os.path.isdir(store.inside("modules")):
        return False
    if all_sealed(store, commit, strict=False) is None:
        return False  # something of it has gone
    branch = ref if ref.startswith(names.HEADS) else None
    place = Checkout(store)
    store.refs.begin_operation()
    place.switch(commit, prefix, branch=branch, reason=f"checkout: {name}")
    sys.stderr.write(switched(name if branch else None, commit, place.path, undoable=store.refs.undoable))
    return True


def _build(store: Store, name: str) -> bool:
    from hashdist.build.nothing import all_sealed  # noqa: PLC0415 - see above

    from .configuration import jail_choice  # noqa: PLC0415

    ref = store.refs.find(name) if not name.endswith(".toml") and not os.path.isfile(name) else None
    commit = store.refs.get(ref) if ref else None
    strict = jail_choice(os.environ)[1] == "enforce"
    total = all_sealed(store, commit, strict=strict) if commit else None
    if total is None:
        return False
    sys.stderr.write(nothing_to_do(total))
    return True


def _check(store: Store, name: str | None, env: Mapping[str, str]) -> bool:
    from hashdist.hostscan.host_class import host_class  # noqa: PLC0415 - see above
    from hashdist.hostscan.seen import check_key, look  # noqa: PLC0415

    from .configuration import named_class  # noqa: PLC0415

    ref = store.refs.find(name) if name else None
    commit = store.refs.get(ref) if ref else None
    if name is not None and commit is None:
        return False
    known = look(store, os.uname().nodename, check_key(store, named_class(env) or host_class(), env, commit))
    if known is None:
        return False
    sys.stdout.write(f"{unchanged(known)}\n")
    return True


def unchanged(entries: int) -> str:
    """What is said when the host is as it was."""
    if not entries:
        return "nothing to compare: hdist host scan dpkg:gcc"
    return f"{entries} host {'entry is' if entries == 1 else 'entries are'} as before"


def _add(path: str, place: str, env: Mapping[str, str]) -> bool:
    # a person who looks on gets a bar
    if sys.stderr.isatty() or ":" in place or place.startswith("git+") or not os.path.isdir(place):
        return False
    if env.get("HDIST_OFFLINE") or env.get("HDIST_NO_PROGRESS"):
        return False  # they may be nonsense, which is told
    from hashdist.sources.declaration import PathSource  # noqa: PLC0415 - see above
    from hashdist.sources.local import add_path  # noqa: PLC0415
    from hashdist.store.roots import in_use  # noqa: PLC0415
    from hashdist.store.store import Store  # noqa: PLC0415

    from .settings import FetchOptions, fetch_settings  # noqa: PLC0415

    terminable()
    settings = fetch_settings(env, FetchOptions())
    search_path = env.get("PATH") or os.defpath
    store = Store.open(path, identity=full_identity(env), waiting=_waiting, search_path=search_path)
    source = PathSource(os.path.abspath(place))
    with in_use(store, purpose="source add"):
        pin = add_path(store, source, source.path, env=env, settings=settings)
    sys.stderr.write(KEPT)
    sys.stdout.write(f"{pin.tree}\n")
    return True


def _waiting(holder: str) -> None:
    sys.stderr.write(f"waiting for {holder}\n")


def switched(branch: str | None, commit: str, path: str, *, undoable: bool) -> str:
    """What is said after a switch."""
    return f"{path} is at {f'{branch}@' if branch else ''}{commit[:12]}{UNDO if undoable else ''}\n"


def nothing_to_do(total: int) -> str:
    """What is said when all is built."""
    return f"nothing to do: all {total} are built\n"
