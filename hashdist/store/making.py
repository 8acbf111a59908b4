"""Make a new store, wholly or not at all."""

from __future__ import annotations

import os

from hashdist.errors import ConflictError, InvalidError
from hashdist.fsutil.atomic import sync_directory, write_file
from hashdist.fsutil.modes import is_shared, make_directories, make_directory
from hashdist.fsutil.staging import staged_directory
from hashdist.objects import libgit2
from hashdist.objects.layout import DEFAULT_PATTERN, Layout

from .config import StoreConfig
from .store import FORMAT, Store

FOLDERS = tuple(
    "artifacts prefixes checkouts builds damaged downloads origins unpacked index locks roots trash".split(),
)

#: What the file ``README`` of a store says.
README = """\
This directory is a hashdist store. Look at it with hdist, or with git: git -C git log main

  git/        sources, specs, profiles and records of artifacts, as git objects and refs
  artifacts/  installs, one directory for each spec; read-only
  prefixes/   directories of links into artifacts, made from profiles
  current     the prefix that is checked out
  checkouts/  links to where else prefixes are checked out
  builds/     work directories of builds that run or failed
  downloads/  archives as they came, by SHA-256
  origins/    git repositories that sources came from
  unpacked/   sources as read-only files, for hard links to them
  index/      answers that can be computed again
  operations  what each command did to profiles, tags and checkouts, for hdist undo
  damaged/    what hdist verify --repair moved aside
  locks/ roots/ trash/   who works here just now, and what gc has not deleted yet

Delete nothing by hand: hdist gc knows what is used. To remove all of it: chmod -R u+w, then rm -rf.
"""

_GIT_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\tlogAllRefUpdates = always
\tautocrlf = false
\tbigFileThreshold = 16m
{group}[gc]
\tauto = 0
[receive]
\tfsckObjects = true
[fsck]
{ignored}"""

#: Sources are data: what git would read as its own settings in them is not checked.
_IGNORED_CHECKS = (
    "gitmodulesBlob",
    "gitmodulesLarge",
    "gitmodulesMissing",
    "gitmodulesName",
    "gitmodulesParse",
    "gitmodulesPath",
    "gitmodulesSymlink",
    "gitmodulesUpdate",
    "gitmodulesUrl",
    "gitattributesBlob",
    "gitattributesLarge",
    "gitattributesLineLength",
    "gitattributesMissing",
    "gitattributesSymlink",
    "gitignoreSymlink",
    "mailmapSymlink",
)


def init_store(
    path: str,
    *,
    pattern: str = DEFAULT_PATTERN,
    durability: str = "full",
    upstream: str | None = None,
    shared: bool = False,
    group: str | None = None,
) -> bool:
    """Make a store at `path`; False if there was one already.

    `upstream` is the path of a store that is used as if its content were here. A `shared` one is for all of a `group`
    (None: the one that new files there get), under any umask.

    Raises `ConflictError` for a directory that holds something else, `InvalidError` for a bad pattern or path, and
    `NotAStoreError` for an upstream that is none.
    """
    path = os.path.realpath(os.path.expanduser(path))
    above = Store.open(upstream).config.path if upstream is not None else None
    config = StoreConfig(path, Layout(pattern), durability, above)
    if os.path.exists(os.path.join(path, "format")):
        return False
    make_directories(os.path.dirname(path))
    if os.path.lexists(path):
        if not os.path.isdir(path) or os.listdir(path):
            raise ConflictError(f"'{path}' is not empty and not a store", hint="choose another directory")
        os.rmdir(path)
    with staged_directory(path, mode=0o755) as staging:
        if shared:
            if group is not None:
                _give(staging, group)
            os.chmod(staging, 0o2775)
            if not is_shared(staging):
                words = f"you are not in the group of '{os.path.dirname(path)}'"
                raise InvalidError(words, hint="--group one of yours: id -Gn lists them")
        _fill(staging, config)
    sync_directory(os.path.dirname(path))
    return True


def git_config(*, shared: bool) -> bytes:
    """What stands in ``git/config``; `shared`: git itself must keep it so for a group."""
    ignored = "".join(f"\t{check} = ignore\n" for check in _IGNORED_CHECKS)
    group = "\tsharedRepository = 0664\n" if shared else ""
    return _GIT_CONFIG.format(ignored=ignored, group=group).encode()


def _give(path: str, group: str) -> None:
    try:
        os.chown(path, -1, _number(group))
    except (PermissionError, OverflowError) as error:
        raise InvalidError(f"you are not in the group '{group}'", hint="id -Gn lists yours") from error


def _number(group: str) -> int:
    """A group's number, by its name or the number itself; raises `InvalidError`."""
    import grp  # noqa: PLC0415 - few stores are a group's

    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise InvalidError(f"no group '{group}'", hint="id -Gn lists yours") from error


def _fill(path: str, config: StoreConfig) -> None:
    for folder in FOLDERS:
        make_directory(os.path.join(path, folder))
    git = os.path.join(path, "git")
    libgit2.init_repository(git, shared=is_shared(path))
    write_file(os.path.join(git, "config"), git_config(shared=is_shared(path)), durable=False)
    write_file(os.path.join(path, "README"), README.encode(), durable=False)
    write_file(os.path.join(path, "config.toml"), str(config).encode(), durable=False)
    write_file(os.path.join(path, "format"), f"{FORMAT}\n".encode(), durable=False)
