"""Specs: small trees that determine artifacts.

A spec is a tree with ``build.json`` (canonical JSON) and, where there are any, ``files/`` (scripts, patches)
or, for host software that is identified by content, ``manifest``. Everything foreign is named by id, never
nested: nested inputs would make paths exponential, nested sources would push gigabytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hashdist.errors import InvalidError

from . import canonical, tree
from .artifact_id import ArtifactId, check_name, check_version
from .database import ObjectDatabase, object_id
from .ids import BlobId, ObjectId, SourceId, SpecId, TreeId

FORMAT = 1


class InvalidSpecError(InvalidError):
    """A spec that breaks its rules."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What the results of a build can run on."""

    os: str
    """Kernel name, such as 'linux'."""
    arch: str
    """Machine name as ``uname -m`` has it."""
    cpu: str
    """The CPU baseline, such as 'x86-64' or 'x86-64-v3'."""


@dataclass(frozen=True, slots=True)
class HostPart:
    """What makes host software the same software; stands in a spec instead of commands."""

    finder: str
    """How it was found, such as 'dpkg', 'path', 'toolchain', 'module'."""
    identity: str
    """'content' (the manifest decides), 'version' or 'abi' (the facts decide)."""
    facts: Mapping[str, str]
    """Names and versions, or an ABI; for content those of what it needs."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that builds with it get."""
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Directories that builds with it get, by the variable that lists them."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything that determines an artifact, and nothing else."""

    name: str
    """The package."""
    version: str
    """Upstream's version."""
    platform: Platform
    """Where results run."""
    runner: int | str = 0
    """The number of the build environment's rules; 0 for host software; the name of whoever installs what others do."""
    commands: tuple[str, ...] = ()
    """Lines for ``sh -e``, run in the main source's directory."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables set for the commands."""
    sources: Mapping[str, SourceId] = field(default_factory=dict)
    """Directory ('.' is the main one) to tree."""
    inputs: Mapping[str, SpecId] = field(default_factory=dict)
    """All specs this one is built with, by package name: declared, required by those, and so on."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Scripts and patches, by plain file name; commands find them in ``$FILES``."""
    host: HostPart | None = None
    """Set for host software, which has no commands."""
    manifest: bytes | None = None
    """For host software identified by content: what was captured."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_name(self.name)
        check_version(self.version)
        for name in (*self.inputs, *self.files):
            check_name(name, what="name in a spec")
        for directory in self.sources:
            if directory != ".":
                for part in directory.split("/"):
                    check_name(part, what="source directory")
        if isinstance(self.runner, str):
            check_name(self.runner, what="runner")
        elif self.runner < 0:
            raise InvalidSpecError(f"spec of '{self.name}' has a negative runner")
        if (self.host is None) == (self.runner == 0):
            raise InvalidSpecError(f"spec of '{self.name}' must have either a runner or a host part")

    @property
    def id(self) -> SpecId:
        """The id of the spec's tree, computed without a database."""
        return SpecId(_tree_id(self._entries(_HashOnly())))

    @property
    def is_foreign(self) -> bool:
        """Whether something else than hashdist makes its artifact."""
        return isinstance(self.runner, str)

    @property
    def artifact(self) -> ArtifactId:
        """The artifact that the spec determines."""
        return ArtifactId(self.name, self.version, self.id)

    def write(self, database: ObjectDatabase) -> SpecId:
        """Write the spec's objects and return its id."""
        return SpecId(database.add_tree(self._entries(database)))

    def to_json(self) -> dict[str, canonical.Json]:
        """The document of ``build.json``."""
        platform = {"os": self.platform.os, "arch": self.platform.arch, "cpu": self.platform.cpu}
        document: dict[str, Any] = {"format": FORMAT, "name": self.name, "version": self.version, "platform": platform}
        if self.host is not None:
            return {**document, "host": _host_json(self.host)}
        document |= {"runner": self.runner, "commands": list(self.commands), "env": dict(self.env)}
        return document | {"sources": dict(self.sources), "inputs": dict(self.inputs)}

    def _entries(self, database: ObjectDatabase | _HashOnly) -> list[tree.Entry]:
        def file(name: str, data: bytes) -> tree.Entry:
            return tree.Entry(name.encode(), tree.Mode.FILE, database.add_blob(data))

        entries = [file("build.json", canonical.dumps(self.to_json()))]
        if self.files:
            inside = database.add_tree([file(name, data) for name, data in self.files.items()])
            entries.append(tree.Entry(b"files", tree.Mode.DIRECTORY, inside))
        if self.manifest is not None:
            entries.append(file("manifest", self.manifest))
        return entries


class _HashOnly:
    """Stands for a database where only ids are wanted."""

    def add_blob(self, data: bytes) -> BlobId:
        return BlobId(object_id("blob", data))

    def add_tree(self, entries: list[tree.Entry]) -> TreeId:
        return TreeId(_tree_id(entries))


def _tree_id(entries: list[tree.Entry]) -> ObjectId:
    return object_id("tree", tree.encode(entries))


def read_spec(database: ObjectDatabase, id: ObjectId) -> Spec:
    """Read and check a spec; raises `InvalidSpecError`, `NotFoundError` or `DamagedError`."""
    entries = {entry.name: entry for entry in database.tree(id)}
    if b"build.json" not in entries:
        raise InvalidSpecError(f"tree {id} is not a spec")
    document = canonical.loads(database.blob(entries[b"build.json"].id))
    files = {}
    if b"files" in entries:
        files = {entry.name.decode(): database.blob(entry.id) for entry in database.tree(entries[b"files"].id)}
    manifest = database.blob(entries[b"manifest"].id) if b"manifest" in entries else None
    return from_json(document, files=files, manifest=manifest)


def read_sources(database: ObjectDatabase, id: ObjectId) -> tuple[SourceId, ...]:
    """The sources of a spec, for whoever reads very many: the rest is not looked at. Raises as `read_spec`."""
    build = next((entry for entry in database.tree(id) if entry.name == b"build.json"), None)
    if build is None:
        raise InvalidSpecError(f"tree {id} is not a spec")
    try:
        return tuple(map(SourceId, json.loads(database.blob(build.id)).get("sources", {}).values()))
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidSpecError(f"spec is malformed: {error}") from error


def from_json(document: canonical.Json, *, files: Mapping[str, bytes], manifest: bytes | None = None) -> Spec:
    """Make a spec of the document of a ``build.json``; raises `InvalidSpecError`."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidSpecError(f"not a spec of format {FORMAT}", hint="a newer hdist may have written it")
    known = {"format", "name", "version", "platform", "host", "runner", "commands", "env", "sources", "inputs"}
    if unknown := sorted(set(document) - known):
        raise InvalidSpecError(*(f"unknown key '{key}' in a spec" for key in unknown))
    fields: Any = document
    try:
        host = fields.get("host")
        return Spec(
            name=_text(fields["name"]),
            version=_text(fields["version"]),
            platform=Platform(**_texts(fields["platform"])),
            runner=_runner(fields.get("runner", 0)),
            commands=tuple(_text(command) for command in fields.get("commands", ())),
            env=_texts(fields.get("env", {})),
            sources={name: SourceId(id) for name, id in _texts(fields.get("sources", {})).items()},
            inputs={name: SpecId(id) for name, id in _texts(fields.get("inputs", {})).items()},
            files=files,
            host=None if host is None else _host_part(host),
            manifest=manifest,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidSpecError(f"spec is incomplete or malformed: {error}") from error


def _host_json(part: HostPart) -> dict[str, Any]:
    document: dict[str, Any] = {"finder": part.finder, "identity": part.identity, "facts": dict(part.facts)}
    if part.environment:
        document["environment"] = dict(part.environment)
    if part.paths:
        document["paths"] = {name: list(entries) for name, entries in part.paths.items()}
    return document


def _host_part(value: Any) -> HostPart:
    paths = {_text(name): tuple(map(_text, entries)) for name, entries in value.get("paths", {}).items()}
    environment = _texts(value.get("environment", {}))
    return HostPart(_text(value["finder"]), _text(value["identity"]), _texts(value["facts"]), environment, paths)


def _runner(value: object) -> int | str:
    if not isinstance(value, (int, str)) or isinstance(value, bool):
        raise TypeError(f"{value!r} is neither a number nor text")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _texts(value: Any) -> dict[str, str]:
    return {_text(name): _text(text) for name, text in value.items()}
