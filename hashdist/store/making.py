"""Make a new store, wholly or not at all."""

from __future__ import annotations

import os

from hashdist.errors import ConflictError
from hashdist.fsutil.atomic import sync_directory, write_file
from hashdist.fsutil.staging import staged_directory
from hashdist.objects import libgit2
from hashdist.objects.layout import DEFAULT_PATTERN, Layout

from .config import StoreConfig
from .store import FORMAT

FOLDERS = tuple(
    "artifacts prefixes checkouts builds downloads origins unpacked index locks roots trash".split(),
)

_README = """\
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
[gc]
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


def init_store(path: str, *, pattern: str = DEFAULT_PATTERN, durability: str = "full") -> bool:
    """Make a store at `path`; False if there was one already.

    Raises `ConflictError` for a directory that holds something else, and `InvalidError` for a bad pattern
    or path.
    """
    path = os.path.realpath(os.path.expanduser(path))
    config = StoreConfig(path, Layout(pattern), durability)
    if os.path.exists(os.path.join(path, "format")):
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        if not os.path.isdir(path) or os.listdir(path):
            raise ConflictError(f"'{path}' is not empty and not a store", hint="choose another directory")
        os.rmdir(path)
    with staged_directory(path, mode=0o755) as staging:
        _fill(staging, config)
    sync_directory(os.path.dirname(path))
    return True


def _fill(path: str, config: StoreConfig) -> None:
    for folder in FOLDERS:
        os.mkdir(os.path.join(path, folder))
    git = os.path.join(path, "git")
    libgit2.init_repository(git)
    ignored = "".join(f"\t{check} = ignore\n" for check in _IGNORED_CHECKS)
    write_file(os.path.join(git, "config"), _GIT_CONFIG.format(ignored=ignored).encode(), durable=False)
    write_file(os.path.join(path, "README"), _README.encode(), durable=False)
    write_file(os.path.join(path, "config.toml"), str(config).encode(), durable=False)
    write_file(os.path.join(path, "format"), f"{FORMAT}\n".encode(), durable=False)
