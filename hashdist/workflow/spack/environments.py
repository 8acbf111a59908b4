"""Profiles of what Spack installed: each install becomes an artifact of links that lead to it.

What Spack says of an install, variants and flags and all, is a file of the artifact's spec; so `diff` and `explain`
tell what changed between two states of an environment.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hashdist.build.staging import abandon, seal_staged, stage
from hashdist.errors import HashdistError, InvalidError, NotFoundError
from hashdist.objects.artifact_id import check_version
from hashdist.objects.ids import SpecId
from hashdist.objects.spec import Platform, Spec, read_spec
from hashdist.store.roots import in_use
from hashdist.workflow.commit import edit
from hashdist.workflow.given import specs_of_runner, with_given
from hashdist.workflow.naming import artifact_at
from hashdist.workflow.recording import Recorded
from hashdist.workflow.session import Session

from .lockfile import Node, read_installed, read_lockfile, read_places

RUNNER = "spack"
_HEAD = """\
# What a Spack environment holds. `hdist commit --from-spack` changes the packages below; comments, and what else you
# write, stay. The files are Spack's, and stay where Spack installed them.
"""
_LOCK = "spack.lock"
_FILE = "spec.json"
_HOST = "host.json"
_DIGITS = 12
_OTHER = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True, slots=True)
class Installed:
    """A concrete spec with its place."""

    node: Node
    """What Spack says of it."""
    path: str
    """Where it lies."""


def commit_environment(
    session: Session, place: str, trees: Sequence[str] = (), *, message: str, profile: str | None = None
) -> Recorded:
    """Have a profile, which begins if there is none, name what an environment or a view of Spack's holds.

    `place` is a directory of an environment, its lockfile, or a view; `trees` are install trees (none: where the
    view of the environment leads, and ``$SPACK_ROOT/opt/spack``). Raises `NotFoundError` for
    what is not installed, `InvalidError`.
    """
    found = find_installed(session, place, trees)
    with in_use(session.store, purpose="commit from Spack"):
        specs = _seal_all(session, found)

    def change(text: str) -> str:
        return with_given(text or _HEAD, list(specs.values()), specs_of_runner(session.store, text, RUNNER))

    return edit(session, change, message=message, profile=profile, begin=True)


def find_installed(session: Session, place: str, trees: Sequence[str]) -> list[Installed]:
    """The installs of an environment, without what Spack took from the host, each after what it needs."""
    lock = place if os.path.isfile(place) else os.path.join(place, _LOCK)
    if not os.path.isfile(lock):
        return _of_view(place)
    nodes = read_lockfile(lock)
    places = _places(session, os.path.dirname(lock), trees)
    found, missing = [], []
    for node in nodes.values():
        if node.external is not None:
            continue
        path = places.get(node.hash)
        if path is None or not os.path.isdir(path):
            missing.append(f"{node.name}/{node.hash[:7]}")
        else:
            found.append(Installed(node, path))
    if missing:
        known = f" in {', '.join(trees)}" if trees else ""
        raise NotFoundError(
            f"not installed{known}: {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}",  # noqa: PLR2004 - enough to see
            hint=f"spack -e {os.path.dirname(lock)} install; or say where: --tree DIR (spack config get config)",
        )
    return _ordered(found)


def _places(session: Session, environment: str, trees: Sequence[str]) -> dict[str, str]:
    """Where installs lie, by hash."""
    found: dict[str, str] = {}
    root = session.env.get("SPACK_ROOT")
    guessed = [os.path.join(root, "opt", "spack")] if root and not trees else []
    for tree in (*trees, *(one for one in guessed if os.path.isdir(os.path.join(one, ".spack-db")))):
        found = {**read_places(tree), **found}
    view = os.path.join(environment, ".spack-env", "view")
    if not trees and os.path.isdir(view):
        for path in _behind(view):
            found.setdefault(read_installed(path).hash, path)
    return found


def _of_view(view: str) -> list[Installed]:
    if not os.path.isdir(view):
        raise NotFoundError(f"no '{view}'", hint="name an environment's directory, its spack.lock, or a view")
    found = [Installed(read_installed(path), path) for path in _behind(view)]
    if not found:
        raise InvalidError(f"'{view}' is neither an environment nor a view of Spack's", hint="spack env list")
    return _ordered(found)


def _behind(view: str) -> list[str]:
    """The installs that the links of a view lead to."""
    found: dict[str, None] = {}
    known: dict[str, str | None] = {}
    for folder, folders, files in os.walk(os.path.realpath(view)):
        for name in (*files, *folders):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                prefix = _install_of(os.path.dirname(os.path.realpath(path)), known)
                if prefix is not None:
                    found[prefix] = None
    return sorted(found)


def _install_of(folder: str, known: dict[str, str | None]) -> str | None:
    """The install that a directory is in, if it is in one."""
    if folder not in known:
        if os.path.isfile(os.path.join(folder, ".spack", _FILE)):
            known[folder] = folder
        else:
            above = os.path.dirname(folder)
            known[folder] = None if above == folder else _install_of(above, known)
    return known[folder]


def _ordered(found: Sequence[Installed]) -> list[Installed]:
    """Each after what it needs."""
    left = {one.node.hash: one for one in sorted(found, key=lambda one: (one.node.name, one.node.hash))}
    ordered: list[Installed] = []
    while left:
        free = [one for one in left.values() if not set(one.node.needs) & left.keys() - {one.node.hash}]
        if not free:
            raise InvalidError(f"specs of Spack's need each other: {', '.join(one.node.name for one in left.values())}")
        ordered += free
        for one in free:
            del left[one.node.hash]
    return ordered


def _seal_all(session: Session, found: Sequence[Installed]) -> dict[str, Spec]:
    """The specs of artifacts that lead to installs, by Spack's hashes; what is there already stays."""
    specs: dict[str, Spec] = {}

    @functools.cache
    def captured(prefix: str) -> SpecId | None:
        return artifact_at(session.store, prefix) if os.path.isabs(prefix) else None

    with session.progress.task("link what Spack installed", len(found), "package") as task:
        for one in found:
            task.tell(one.node.name)
            # captured host software stays for as long as what was built with it does
            behind = [id for host in one.node.host if (id := captured(host.prefix)) is not None]
            spec = _spec(session, one, specs, behind)
            staged = stage(session.store, spec, pid=os.getpid())
            if not staged.sealed:
                try:
                    _link(one.path, staged.path)
                    log = f"links to {one.path}\n".encode()
                    seal_staged(session.store, spec, log=log, seconds=0, behind=behind)
                except BaseException:
                    abandon(session.store, spec)
                    raise
            specs[one.node.hash] = spec
            task.advance()
    return specs


def _spec(session: Session, one: Installed, specs: Mapping[str, Spec], captured: Sequence[SpecId]) -> Spec:
    node = one.node
    document = {**node.document, "hash": node.hash, "prefix": one.path}
    files: dict[str, object] = {_FILE: document}
    if node.host:
        files[_HOST] = [dataclasses.asdict(host) for host in node.host]
    arch = document.get("arch")
    if isinstance(arch, dict):  # of a target its name is enough: its features are many
        document["arch"] = {**arch, "target": node.target}
    needs = {hash: specs[hash] for hash in node.needs if hash in specs}
    inputs = {spec.name: spec.id for spec in needs.values()}
    for id in captured:
        name = read_spec(session.store.objects, id).name
        inputs[name if name not in inputs else f"{name}-{id[:_DIGITS]}"] = id
    try:
        version = check_version(node.version)
    except HashdistError:
        version = _OTHER.sub("-", node.version).lstrip("._+-") or "0"
    return Spec(
        name=node.name.lstrip("_"),
        version=version,
        platform=Platform("linux", session.platform.arch, node.target or session.platform.cpu),
        runner=RUNNER,
        env={str(name): _word(value) for name, value in node.document.get("parameters", {}).items()},
        inputs=inputs,
        files={name: json.dumps(text, indent=1, sort_keys=True).encode() + b"\n" for name, text in files.items()},
    )


def _word(value: object) -> str:
    """A parameter as Spack's command line has it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _link(install: str, place: str) -> None:
    """Make links to all files of an install, in directories of their own, without what Spack notes there."""
    for path, is_directory in _below(install):
        target = os.path.join(place, path)
        if is_directory:
            os.mkdir(target)
        else:
            os.symlink(os.path.join(install, path), target)


def _below(install: str) -> Iterator[tuple[str, bool]]:
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(install, folder)) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                path = os.path.join(folder, entry.name)
                if path == ".spack":
                    continue
                is_directory = entry.is_dir(follow_symlinks=False)
                yield path, is_directory
                if is_directory:
                    pending.append(path)
