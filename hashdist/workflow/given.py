"""Stack files whose packages something else made, and who writes them when that changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import tomlkit

from hashdist.objects.ids import SpecId
from hashdist.objects.spec import Spec, read_spec
from hashdist.store.store import Store

_OURS = frozenset({"requires", "build-only", "description", "prefix"})


def with_given(text: str, specs: Sequence[Spec], theirs: Collection[str] = ()) -> str:
    """A stack file in which these specs are packages, in place of others whose ids are `theirs`; all else stays."""
    document: Any = tomlkit.parse(text)
    packages = document.setdefault("packages", tomlkit.table(is_super_table=True))
    wanted = _names(specs)
    for name in [name for name, table in packages.items() if name not in wanted and str(table.get("spec")) in theirs]:
        del packages[name]  # of another version, or that stands under another name now
    for name, spec in wanted.items():
        table = packages.get(name)
        if table is None:
            table = packages[name] = tomlkit.table()
        for key in [key for key in table if key not in _OURS]:
            del table[key]
        table["version"] = spec.version
        table["spec"] = str(spec.id)
    return tomlkit.dumps(document)


def specs_of_runner(store: Store, text: str, runner: str) -> set[str]:
    """The ids of specs in a stack file that a runner of that name builds."""
    found = set()
    for table in tomlkit.parse(text).get("packages", {}).values():
        id = str(table.get("spec", ""))
        if id and SpecId(id) in store.objects and read_spec(store.objects, SpecId(id)).runner == runner:
            found.add(id)
    return found


def _names(specs: Sequence[Spec]) -> Mapping[str, Spec]:
    """What packages are called: by their names, or with versions, or digits of ids, where there are several."""
    found: dict[str, Spec] = {}
    for spec in specs:
        alike = [one for one in specs if one.name == spec.name]
        same = [one for one in alike if one.version == spec.version]
        name = spec.name if len(alike) == 1 else f"{spec.name}-{spec.version}"
        found[name if len(same) == 1 else f"{name}-{spec.id[:8]}"] = spec
    return found
