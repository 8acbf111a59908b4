"""The one door to pygit2: when it is loaded, how libgit2 is set up, and what its exceptions become.

It is loaded on first use, since it takes longer than everything a switch of checkouts does.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from hashdist.errors import DamagedError, NotFoundError

from .ids import RawId

if TYPE_CHECKING:
    from types import ModuleType

    import pygit2


@functools.cache
def _library() -> ModuleType:
    import pygit2  # noqa: PLC0415 - loaded on first use, see above
    from pygit2.enums import ConfigLevel, Option  # noqa: PLC0415

    pygit2.option(Option.SET_OWNER_VALIDATION, 0)  # stores are shared on purpose
    for level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL, ConfigLevel.PROGRAMDATA):
        pygit2.settings.search_path[level] = ""  # an unreadable or odd ~/.gitconfig is not our affair
    return pygit2


def open_repository(path: str) -> pygit2.Repository:
    """Open the bare repository at `path`; raises `DamagedError`."""
    library = _library()
    try:
        repository: pygit2.Repository = library.Repository(path, library.enums.RepositoryOpenFlag.NO_SEARCH)
    except library.GitError as error:
        raise DamagedError(f"'{path}' is not a git repository that can be read: {error}") from error
    return repository


def init_repository(path: str, *, shared: bool = False) -> None:
    """Make an empty bare repository at `path`, for all of a group if it is `shared`."""
    made = _library().init_repository(path, bare=True, initial_head="main")
    if shared:
        made.config["core.sharedRepository"] = "0664"
        for folder, _, files in os.walk(path):
            os.chmod(folder, 0o2775)
            for name in files:
                os.chmod(os.path.join(folder, name), 0o664)


#: libgit2 says that this one is always there, and then cannot read it.
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def exists(repository: pygit2.Repository, name: str) -> bool:
    """Whether the object is really there."""
    if name != _EMPTY_TREE:
        return name in repository.odb
    try:
        repository.read(name)
    except KeyError:
        return False
    return True


def tester(objects: str) -> Callable[[RawId], bool]:
    """Give a test for what a directory of objects holds just now, thirty times as quick as `exists` at saying no.

    A repository that is asked for an object it lacks looks at its directory of packs again each time.
    """
    library = _library()
    backend = library.OdbBackendPack(objects)
    return lambda raw: backend.exists(library.Oid(raw=raw))


def size(repository: pygit2.Repository, name: str) -> int:
    """The bytes of an object, without reading it."""
    library = _library()
    try:
        _, found = repository.odb.read_header(name)
    except KeyError as error:
        raise ObjectMissingError(f"no object {name}") from error
    except (library.GitError, ValueError, OSError) as error:
        raise DamagedError(f"object {name} cannot be read: {error}", hint="look at it with git fsck") from error
    return int(found)


def read(repository: pygit2.Repository, name: str) -> tuple[str, bytes]:
    """Read an object: its type ('blob', 'tree', 'commit', 'tag') and bytes."""
    library = _library()
    try:
        kind, data = repository.read(name)
    except KeyError as error:
        raise ObjectMissingError(f"no object {name}") from error
    except (library.GitError, ValueError, OSError, MemoryError) as error:
        raise DamagedError(f"object {name} cannot be read: {error}", hint="look at it with git fsck") from error
    return _kinds()[int(kind)], data


def merge_base(repository: pygit2.Repository, one: str, other: str) -> str | None:
    """The best common ancestor of two commits; raises `DamagedError`."""
    library = _library()
    try:
        found: object = repository.merge_base(one, other)  # None where there is none, whatever the annotation says
    except (KeyError, ValueError, library.GitError) as error:
        raise DamagedError(f"the history of {one} or {other} cannot be read: {error}") from error
    return str(found) if found is not None else None


def expand(repository: pygit2.Repository, prefix: str) -> str:
    """Give the full id that begins with `prefix` (at least four digits)."""
    library = _library()
    try:
        return str(repository.expand_id(prefix))
    except (KeyError, ValueError, library.GitError) as error:
        words = "more than one object begins" if "ambiguous" in str(error) else "no object begins"
        raise ObjectMissingError(f"{words} with '{prefix}'") from error


@functools.cache
def _kinds() -> dict[int, str]:
    kinds = _library().enums.ObjectType
    return {int(kinds.BLOB): "blob", int(kinds.TREE): "tree", int(kinds.COMMIT): "commit", int(kinds.TAG): "tag"}


class ObjectMissingError(NotFoundError):
    """An object that is not in the store."""
