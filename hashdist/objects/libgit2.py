"""The one door to pygit2: when it is loaded, how libgit2 is set up, and what its exceptions become.

It is loaded on first use, since it takes longer than everything a switch of checkouts does.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from hashdist.errors import DamagedError, HashdistError, NotFoundError

from .ids import RawId

if TYPE_CHECKING:
    from types import ModuleType

    import pygit2


@functools.cache
def load() -> ModuleType:
    """pygit2 itself, for whoever needs more of it than is here."""
    import pygit2  # noqa: PLC0415 - loaded on first use, see above
    from pygit2.enums import ConfigLevel, Option  # noqa: PLC0415

    pygit2.option(Option.SET_OWNER_VALIDATION, 0)  # stores are shared on purpose
    for level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL, ConfigLevel.PROGRAMDATA):
        pygit2.settings.search_path[level] = ""  # an unreadable or odd ~/.gitconfig is not our affair
    return pygit2


def open_repository(path: str) -> pygit2.Repository:
    """Open the bare repository at `path`; raises `DamagedError`."""
    library = load()
    try:
        repository: pygit2.Repository = library.Repository(path, library.enums.RepositoryOpenFlag.NO_SEARCH)
    except library.GitError as error:
        raise DamagedError(f"'{path}' is not a git repository that can be read: {error}") from error
    return repository


def init_repository(path: str, *, shared: bool = False) -> None:
    """Make an empty bare repository at `path`, for all of a group if it is `shared`; raises `RepositoryError`."""
    library = load()
    try:
        made = library.init_repository(path, bare=True, initial_head="main")
        if shared:
            made.config["core.sharedRepository"] = "0664"
    except library.GitError as error:
        raise RepositoryError(
            f"no repository can be made: {error}", hint="is there room where the store lies?"
        ) from error
    if shared:
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
    library = load()
    backend = library.OdbBackendPack(objects)
    return lambda raw: backend.exists(library.Oid(raw=raw))


def size(repository: pygit2.Repository, name: str) -> int:
    """The bytes of an object, without reading it."""
    library = load()
    try:
        _, found = repository.odb.read_header(name)
    except KeyError as error:
        raise ObjectMissingError(f"no object {name}") from error
    except (library.GitError, ValueError, OSError) as error:
        raise DamagedError(f"object {name} cannot be read: {error}", hint="look at it with git fsck") from error
    return int(found)


def read(repository: pygit2.Repository, name: str) -> tuple[str, bytes]:
    """Read an object: its type ('blob', 'tree', 'commit', 'tag') and bytes."""
    library = load()
    try:
        kind, data = repository.read(name)
    except KeyError as error:
        raise ObjectMissingError(f"no object {name}") from error
    except (library.GitError, ValueError, OSError, MemoryError) as error:
        raise DamagedError(f"object {name} cannot be read: {error}", hint="look at it with git fsck") from error
    return _kinds()[int(kind)], data


def merge_base(repository: pygit2.Repository, one: str, other: str) -> str | None:
    """The best common ancestor of two commits; raises `DamagedError`."""
    library = load()
    try:
        found: object = repository.merge_base(one, other)  # None where there is none, whatever the annotation says
    except (KeyError, ValueError, library.GitError) as error:
        raise DamagedError(f"the history of {one} or {other} cannot be read: {error}") from error
    return str(found) if found is not None else None


def merge_bases(repository: pygit2.Repository, one: str, other: str) -> list[str]:
    """All common ancestors of two commits that lead to no other one; sorted. Raises `DamagedError`.

    Whole histories are compared: a walk that hides one side goes wrong where clocks did.
    """
    first, second = (_history(repository, [tip]) for tip in (one, other))
    both = first.keys() & second.keys()
    return sorted(both - {parent for commit in both for parent in first[commit]})


def new_commits(repository: pygit2.Repository, tips: Iterable[str], known: Iterable[str]) -> list[str]:
    """The commits that `tips` lead to and `known` do not, newest first, tags of git's own followed.

    What is known and leads to no commit does not matter. Raises `DamagedError`.
    """
    old = _history(repository, known, lenient=True)
    return [commit for commit in _history(repository, tips) if commit not in old]


def _history(repository: pygit2.Repository, tips: Iterable[str], *, lenient: bool = False) -> dict[str, list[str]]:
    """Commits that `tips` lead to, newest first, with their parents."""
    library = load()
    errors = (KeyError, ValueError, library.GitError)
    try:
        walker = repository.walk(None, library.enums.SortMode.TIME)
        for tip in tips:
            with contextlib.suppress(*errors if lenient else ()):
                walker.push(tip)
        return {str(commit.id): [str(parent) for parent in commit.parent_ids] for commit in walker}
    except errors as error:
        raise DamagedError(f"the history of commits cannot be read: {error}") from error


def expand(repository: pygit2.Repository, prefix: str) -> str:
    """Give the full id that begins with `prefix` (at least four digits)."""
    library = load()
    try:
        return str(repository.expand_id(prefix))
    except (KeyError, ValueError, library.GitError) as error:
        words = "more than one object begins" if "ambiguous" in str(error) else "no object begins"
        raise ObjectMissingError(f"{words} with '{prefix}'") from error


def move_ref(repository: pygit2.Repository, name: str, *, old: str | None, new: str | None) -> bool:
    """Move a ref from `old` to `new` (None: it is not there); False if it is not where it was.

    Raises `RepositoryError`.
    """
    library = load()
    try:
        reference = repository.references.get(name)
        if (str(reference.target) if reference is not None else None) != old:
            return False
        if reference is None:
            if new is not None:
                repository.references.create(name, new, force=False)
        elif new is None:
            reference.delete()
        else:
            reference.set_target(new)  # compares with what was read
    except (library.GitError, ValueError, OSError) as error:
        if "reference value does not match" in str(error) or "already exists" in str(error):
            return False
        raise RepositoryError(f"ref '{name}' cannot be moved: {error}") from error
    return True


def settings(path: str) -> list[tuple[str, str]]:
    """What is set in a file of git's settings; raises `DamagedError`."""
    library = load()
    try:
        return [(entry.name, entry.value) for entry in library.Config(path)]
    except (library.GitError, OSError, ValueError) as error:
        raise DamagedError(f"'{path}' cannot be read: {error}") from error


def change_setting(path: str, key: str, value: str | None) -> None:
    """Give a key in a file of git's settings one value, or none; raises `RepositoryError`."""
    library = load()
    try:
        mode = os.stat(path).st_mode & 0o777
        config = library.Config(path)
        if value is None:
            config.delete_multivar(key, ".*")
        else:
            config.set_multivar(key, ".*", value)
        os.chmod(path, mode)  # it is another file now
    except (library.GitError, OSError, ValueError, KeyError) as error:
        raise RepositoryError(
            f"'{path}' cannot be changed: {error}", hint="is there room where the store lies?"
        ) from error


@functools.cache
def _kinds() -> dict[int, str]:
    kinds = load().enums.ObjectType
    return {int(kinds.BLOB): "blob", int(kinds.TREE): "tree", int(kinds.COMMIT): "commit", int(kinds.TAG): "tag"}


class RepositoryError(HashdistError):
    """A repository that cannot be made or changed: no room, no permission."""


class ObjectMissingError(NotFoundError):
    """An object that is not in the store."""
