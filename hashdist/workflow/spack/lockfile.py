"""What Spack concretized: ``spack.lock`` of an environment, ``.spack/spec.json`` of an install, the index of a tree.

Lockfiles of versions 1 to 6 are read: https://spack.readthedocs.io/en/latest/environments.html .
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from hashdist.errors import InvalidError
from hashdist.workflow.reading import read_bytes

_VERSIONS = range(1, 7)
_LIMIT = 256 << 20
_TYPES = frozenset({"build", "link", "run", "test"})


@dataclass(frozen=True, slots=True, order=True)
class External:
    """A package of the host's, as Spack was told of it."""

    name: str
    """The package."""
    version: str
    """Its version."""
    prefix: str
    """Where it lies."""


@dataclass(frozen=True, slots=True)
class Node:
    """A concrete spec of Spack's."""

    name: str
    """The package."""
    version: str
    """Its version."""
    hash: str
    """By which Spack finds the install."""
    needs: tuple[str, ...]
    """The hashes of what it is linked with or runs."""
    external: str | None
    """Where it lies, if Spack did not install it."""
    target: str
    """The microarchitecture it was built for."""
    document: Mapping[str, Any]
    """All that Spack says of it."""
    host: tuple[External, ...] = ()
    """What it was built or runs with that Spack did not install, by name; of a name there may be several."""


def read_lockfile(path: str) -> dict[str, Node]:
    """The concrete specs of an environment by hash, roots and what they need to run; raises `InvalidError`."""
    document = _load(path, "spack.lock")
    try:
        version = int(document.get("_meta", {}).get("lockfile-version", 1))
        if version not in _VERSIONS:
            raise InvalidError(f"'{path}' is a lockfile of version {version}", hint="a newer hdist may read it")
        nodes: dict[str, Node] = {}
        roots: list[str] = []
        for one in (document, *document.get("include_concrete", {}).values()):
            nodes |= {str(key): _node(str(key), value) for key, value in one["concrete_specs"].items()}
            roots += [str(root["hash"]) for root in one["roots"]]
    except (KeyError, TypeError, AttributeError, ValueError, StopIteration) as error:
        raise InvalidError(f"'{path}' is not a lockfile of Spack's: {error!r}") from error
    return {key: _with_host(node, nodes) for key, node in _reached(path, nodes, roots).items()}


def read_installed(prefix: str) -> Node:
    """What an install says of itself; raises `InvalidError` or `NotFoundError`."""
    path = os.path.join(prefix, ".spack", "spec.json")
    document = _load(path, "install of Spack's")
    try:
        nodes = document["spec"]["nodes"] if isinstance(document["spec"], dict) else document["spec"]
        found = [_node(str(one.get("hash", "")), one) for one in nodes]
        return _with_host(found[0], {one.hash: one for one in found})
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, StopIteration) as error:
        raise InvalidError(f"'{path}' is not what Spack writes: {error!r}") from error


def read_places(tree: str) -> dict[str, str]:
    """Where the installs of an install tree lie, by hash; raises `NotFoundError` for what is none."""
    path = os.path.join(tree, ".spack-db", "index.json")
    document = _load(path, "install tree of Spack's")
    try:
        installs = document["database"]["installs"]
        return {str(key): str(one["path"]) for key, one in installs.items() if one.get("installed") and one.get("path")}
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidError(f"'{path}' is not what Spack writes: {error!r}") from error


def _load(path: str, what: str) -> Any:
    data = read_bytes(path, what, limit=_LIMIT)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"'{path}' is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidError(f"'{path}' is not what Spack writes")
    return document


def _node(key: str, value: Mapping[str, Any]) -> Node:
    if "name" not in value:  # before version 3 it stood around the rest
        name, inner = next(iter(value.items()))
        value = {"name": name, **inner}
    target = value.get("arch", {}).get("target", "")
    external = value.get("external")
    if not isinstance(value.get("parameters", {}), dict):
        raise TypeError("parameters")
    if external and "\0" in str(external.get("path")):
        raise ValueError("external path")
    return Node(
        str(value["name"]),
        str(value["version"]),
        str(value.get("hash", key)),
        tuple(_dependencies(value, {"link", "run"})),
        str(external["path"]) if external and external.get("path") else None,
        str(target["name"] if isinstance(target, dict) else target),
        value,
    )


def _dependencies(document: Mapping[str, Any], types: AbstractSet[str]) -> Iterator[str]:
    """The hashes of dependencies of these types, in the ways that versions have."""
    dependencies = document.get("dependencies", ())
    for one in dependencies.values() if isinstance(dependencies, dict) else dependencies:
        kinds = one.get("type") or one.get("parameters", {}).get("deptypes", ())
        if types & set(kinds):
            yield str(one.get("hash") or one.get("build_hash") or one["full_hash"])


def _with_host(node: Node, nodes: Mapping[str, Node]) -> Node:
    """With what the node depends on in any way that is on the host."""
    depends = [nodes[key] for key in _dependencies(node.document, _TYPES) if key in nodes]
    host = {External(one.name, one.version, one.external) for one in depends if one.external is not None}
    return replace(node, host=tuple(sorted(host)))


def _reached(path: str, nodes: Mapping[str, Node], roots: list[str]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    pending = list(roots)
    while pending:
        key = pending.pop()
        if key not in nodes:
            raise InvalidError(f"'{path}' has no spec {key}")
        if key not in found:
            found[key] = nodes[key]
            pending += nodes[key].needs
    return found
