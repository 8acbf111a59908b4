"""What EasyBuild installed last of each version of each package, and profiles of that."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import tomlkit

from hashdist.errors import NotFoundError
from hashdist.fsutil.atomic import write_file
from hashdist.fsutil.locks import locked
from hashdist.fsutil.modes import make_directories
from hashdist.objects.ids import SpecId
from hashdist.objects.spec import Spec, read_spec
from hashdist.store.store import Store
from hashdist.workflow.commit import edit
from hashdist.workflow.given import specs_of_runner, with_given
from hashdist.workflow.recording import Recorded
from hashdist.workflow.session import Session

RUNNER = "easybuild"
_FILE = ("easybuild", "installed.json")
_HEAD = """\
# What EasyBuild installed, as of its last runs. `hdist commit --from-easybuild` changes the packages below; comments,
# and what else you write, stay. Prefixes hold the modules alone: module use .../easybuild/modules
"""
#: All but the modules that users see.
_EXCLUDE = ("[!e]*", "e[!a]*", "easybuild/[!m]*")


class NothingInstalledError(NotFoundError):
    """Nothing that EasyBuild installed is in the store."""

    code = "nothing_installed"


def remember(store: Store, specs: Iterable[SpecId]) -> None:
    """Note that an EasyBuild run was about these specs: they stand for their packages and versions from now on."""
    path = store.inside(*_FILE)
    make_directories(os.path.dirname(path))
    with locked(store.lock_path("easybuild"), purpose="easybuild", waiting=store.waiting):
        known = _read(path)
        for id in specs:
            if id in store.objects:
                spec = read_spec(store.objects, id)
                known[f"{spec.name}/{spec.version}"] = id
        write_file(path, json.dumps(known, sort_keys=True, indent=1).encode(), durable=store.durable)


def installed(store: Store) -> list[Spec]:
    """The specs that stand for packages and versions, of those whose artifacts are here; sorted by name and version."""
    found = []
    for id in _read(store.inside(*_FILE)).values():
        if SpecId(id) in store.objects:
            spec = read_spec(store.objects, SpecId(id))
            if spec.artifact in store.artifacts:
                found.append(spec)
    return sorted(found, key=lambda spec: (spec.name, spec.version))


def commit_installed(session: Session, *, message: str, profile: str | None = None) -> Recorded:
    """Have a profile name what is installed; what else its stack file says stays.

    Raises `NothingInstalledError`, `NothingChangedError`, and what pinning raises.
    """
    store = session.store
    specs = installed(store)
    if not specs:
        raise NothingInstalledError(
            "EasyBuild has installed nothing into this store", hint="hdist easybuild config tells how it is set up"
        )
    return edit(
        session,
        lambda text: with_packages(text, specs, specs_of_runner(store, text, RUNNER)),
        message=message,
        profile=profile,
        begin=True,
    )


def with_packages(text: str, specs: Sequence[Spec], ours: Collection[str] = ()) -> str:
    """A stack file in which these packages are those of EasyBuild, in place of others whose specs are `ours`."""
    document: Any = tomlkit.parse(text or _HEAD)
    if not text:
        document["prefix"] = {"exclude": list(_EXCLUDE)}
    return with_given(tomlkit.dumps(document), specs, ours)


def forget(store: Store, name: str) -> list[str]:
    """Have a package, or ``NAME/VERSION``, be in no profile that is made from now on; raises `NotFoundError`."""
    path = store.inside(*_FILE)
    with locked(store.lock_path("easybuild"), purpose="easybuild", waiting=store.waiting):
        known = _read(path)
        gone = [one for one in known if one == name or one.partition("/")[0] == name]
        if not gone:
            raise NotFoundError(f"EasyBuild has installed no '{name}' into this store")
        left = {one: id for one, id in known.items() if one not in gone}
        write_file(path, json.dumps(left, sort_keys=True, indent=1).encode(), durable=store.durable)
    return gone


def _read(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(id) for name, id in found.items()} if isinstance(found, dict) else {}
