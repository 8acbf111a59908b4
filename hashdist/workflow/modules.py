"""Trees of modulefiles, kept up to date with what is checked out.

In a tree each profile is a module and each commit that was checked out a version of it; ``.version`` names the
newest as the default. A version stays as long as its prefix does.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator

from hashdist.checkout.switch import known_prefix
from hashdist.environment.modulefile import MARK, Module, modulefile
from hashdist.errors import ConflictError, HashdistError, NotFoundError
from hashdist.fsutil import atomic
from hashdist.fsutil.modes import make_directories
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.store.artifacts import NotBuiltError
from hashdist.store.store import Store

from .prefixes import Named
from .profile import read_profile
from .session import Session

#: The directory of the store with a link to each tree.
REGISTER = "modules"
_SHOWN = 20
_FILE_LIMIT = 16384
_DEFAULT = ".version"
_SETS = "set ModulesVersion "
_FAMILY = "family "


class TreeError(HashdistError):
    """A tree that could not be brought up to date."""

    code = "module_tree"


def profile_module(session: Session, found: Named, *, family: str | None = None) -> Module:
    """The module of a profile's prefix."""
    packages: list[str] = []
    if found.commit is not None:
        lock = read_profile(session.store.objects, found.commit).lock
        packages = [f"{name} {pin.version}" for name, pin in sorted(lock.packages.items()) if not pin.build_only]
    more = f", and {len(packages) - _SHOWN} more" if len(packages) > _SHOWN else ""
    version = found.commit[:12] if found.commit else os.path.basename(found.path)[:12]
    whatis = [f"{found.name} at {version}", f"Packages: {', '.join(packages[:_SHOWN])}{more}"]
    if found.commit is not None:
        subject = session.store.objects.commit(found.commit).message.split("\n", 1)[0]
        whatis.append(f"Commit: {subject}")
    return Module(_plain(found.name), version, found.path, whatis, family)


def artifact_module(session: Session, artifact: ArtifactId, *, family: str | None = None) -> Module:
    """The module of an artifact alone; raises `NotBuiltError`."""
    if artifact not in session.store.artifacts:
        raise NotBuiltError(f"not built: {artifact}", hint="hdist build")
    version = f"{artifact.version}-{artifact.spec[:12]}"
    whatis = [f"{artifact.name} {artifact.version}", f"Artifact: {artifact}"]
    return Module(_plain(artifact.name), _plain(version), session.store.artifacts.path(artifact), whatis, family)


def _plain(name: str) -> str:
    """A name that both module systems take: Lmod reads no others than ASCII, Environment Modules has variants."""
    plain = re.sub(r"[^A-Za-z0-9._/-]", "_", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:4]}"


def write_module(tree: str, module: Module, *, hidden: bool = False, default: bool = False) -> str:
    """Write a module into a tree and return its path; raises `ConflictError` where there is one of somebody else's."""
    folder = os.path.join(tree, module.name)
    path = os.path.join(folder, f"{'.' if hidden else ''}{module.version}")
    if os.path.lexists(path) and _leads_to(path) is None:
        raise ConflictError(f"there is a '{path}' already, and it is not ours", hint="choose another --tree DIR")
    os.makedirs(folder, exist_ok=True)
    atomic.write_file(path, modulefile(module).encode(), durable=False, mode=0o644)
    place = os.path.join(folder, _DEFAULT)
    if default and (not os.path.lexists(place) or _head(place)[1].startswith(_SETS)):
        text = f'#%Module1.0\n{_SETS}"{module.version}"\n'
        atomic.write_file(place, text.encode(), durable=False, mode=0o644)
    return path


def add_tree(session: Session, tree: str) -> list[str]:
    """Write the modules of all profiles that have prefixes into a tree, and keep it up to date from now on."""
    tree = os.path.realpath(tree)
    os.makedirs(tree, exist_ok=True)
    register = session.store.inside(REGISTER)
    make_directories(register)
    link = os.path.join(register, hashlib.sha256(os.fsencode(tree)).hexdigest()[:12])
    if not os.path.islink(link):
        atomic.replace_symlink(link, tree, durable=session.store.durable)
    found = []
    for ref, commit in session.store.refs.all(names.HEADS).items():
        path = known_prefix(session.store, commit)
        if path is not None:
            named = Named(names.short_name(ref), path, commit)
            module = profile_module(session, named, family=_family(tree, named.name))
            found.append(write_module(tree, module, default=True))
    _prune(tree)
    return found


def forget_tree(session: Session, tree: str) -> None:
    """Keep a tree up to date no longer; its files stay. Raises `NotFoundError`."""
    for link, place in _trees(session.store):
        if place == os.path.realpath(tree):
            os.unlink(link)
            return
    raise NotFoundError(f"'{tree}' is no tree of modules of this store", hint="hdist modulefile --tree DIR makes one")


def after_checkout(session: Session, profile: str, commit: CommitId, prefix: str) -> list[TreeError]:
    """Tell all trees what was checked out; those that cannot be written to are returned, not raised."""
    failed = []
    for _, tree in _trees(session.store):
        try:
            if not os.path.isdir(tree):
                raise NotFoundError(f"no directory '{tree}'")
            module = profile_module(session, Named(profile, prefix, commit), family=_family(tree, profile))
            write_module(tree, module, default=True)
            _prune(tree)
        except (OSError, HashdistError) as error:
            words = error.message if isinstance(error, HashdistError) else f"'{tree}': {error.strerror}"
            failed.append(
                TreeError(f"the modules are not up to date: {words}", hint=f"hdist modulefile --forget {tree}")
            )
    return failed


def prune_trees(store: Store) -> None:
    """Remove from all trees what leads to prefixes that are gone; those that cannot be written to stay as they are."""
    for _, tree in _trees(store):
        with contextlib.suppress(OSError):
            _prune(tree)


def _trees(store: Store) -> Iterator[tuple[str, str]]:
    """The links in the register, and where they lead."""
    register = store.inside(REGISTER)
    for name in sorted(os.listdir(register)) if os.path.isdir(register) else ():
        link = os.path.join(register, name)
        yield link, os.readlink(link)


def _prune(tree: str) -> None:
    """Remove modules of ours whose prefix or artifact has gone."""
    for folder, _, files in os.walk(tree, topdown=False):
        for name in files:
            path = os.path.join(folder, name)
            place = _leads_to(path)
            if place is not None and not os.path.isdir(place):
                os.unlink(path)
        if (
            folder != tree
            and os.listdir(folder) == [_DEFAULT]
            and _head(os.path.join(folder, _DEFAULT))[1].startswith(_SETS)
        ):
            os.unlink(os.path.join(folder, _DEFAULT))
            os.rmdir(folder)


def _family(tree: str, profile: str) -> str | None:
    """The family that the modules of a profile were given."""
    folder = os.path.join(tree, _plain(profile))
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if _leads_to(os.path.join(folder, name)) is not None:
            for line in _head(os.path.join(folder, name)):
                if line.startswith(_FAMILY):
                    return line[len(_FAMILY) :].strip('"')
    return None


def _leads_to(path: str) -> str | None:
    """What a modulefile of ours leads to; None for any other file."""
    found = _head(path)[1]
    return found[len(MARK) :] if found.startswith(MARK) else None


def _head(path: str) -> list[str]:
    """The first lines of a file of ours, at least two; of others they are empty."""
    if os.path.islink(path) or not os.path.isfile(path):
        return ["", ""]
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        head = file.read(_FILE_LIMIT).split("\n")
    return head if head[0] == "#%Module1.0" and len(head) > 1 else ["", ""]
