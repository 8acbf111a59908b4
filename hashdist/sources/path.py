"""Files of this machine as a source: a directory, a git checkout's files as they are now, an archive, a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from hashdist import process
from hashdist.errors import NotFoundError
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.directory import import_remembering
from hashdist.objects.ids import TreeId
from hashdist.objects.importing import Importer, Limits
from hashdist.objects.packing import LARGE_FILE
from hashdist.objects.statcache import StatCache, now_ns
from hashdist.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class ImportedPath:
    """What became of what lies at a path."""

    tree: TreeId
    """The tree of its files."""
    stripped: str | None = None
    """The leading directory that was left off an archive."""
    cache: StatCache | None = None
    """For directories: what makes the next import quick."""


def import_path(
    objects: ObjectDatabase,
    path: str,
    *,
    env: Mapping[str, str],
    limits: Limits | None = None,
    progress: Progress = SILENT,
    before: StatCache | None = None,
    hash_only: bool = False,
) -> ImportedPath:
    """Write the tree of what lies at `path`.

    Of a directory in a git checkout the files git would list are taken. `env` is for the git program. `before`
    is what was remembered of it: all its blobs must be in `objects`. With `hash_only` nothing is written.
    Raises `NotFoundError`, and whatever importing raises.
    """
    if os.path.isdir(path):
        now = None if hash_only else now_ns(path, objects.path)
        names = _git_files(path, env)
        imported = import_remembering(
            objects, path, before, now=now, names=names, limits=limits, progress=progress, hash_only=hash_only
        )
        return ImportedPath(imported.tree, cache=imported.cache)
    if not os.path.isfile(path):
        raise NotFoundError(f"no file or directory '{path}'")
    from hashdist.objects.archive import import_archive, is_archive  # noqa: PLC0415 - readers of many formats

    if is_archive(path):
        archive = import_archive(
            objects, path, strip=not path.endswith(".whl"), limits=limits, progress=progress, hash_only=hash_only
        )
        return ImportedPath(archive.tree, archive.stripped)
    return ImportedPath(
        import_file(objects, path, os.path.basename(path), limits=limits, progress=progress, hash_only=hash_only)
    )


def import_file(
    objects: ObjectDatabase,
    path: str,
    name: str,
    *,
    limits: Limits | None = None,
    progress: Progress = SILENT,
    hash_only: bool = False,
) -> TreeId:
    """Write a tree that holds one file, under `name`."""
    status = os.stat(path)
    executable = bool(status.st_mode & 0o100)
    parts = [os.fsencode(name)]
    with Importer(objects, limits=limits or Limits(), progress=progress, label=name, hash_only=hash_only) as importer:
        with open(path, "rb") as file:
            if status.st_size > LARGE_FILE:
                importer.add_stream(parts, file, status.st_size, executable=executable)
            else:
                importer.add_file(parts, file.read(), executable=executable)
        return importer.finish()[0]


def _may_be_checkout(path: str) -> bool:
    """Whether git, which looks for ``.git`` here and above, could find a checkout."""
    path = os.path.realpath(path)
    while not os.path.lexists(os.path.join(path, ".git")):
        if path == "/":
            return False
        path = os.path.dirname(path)
    return True


def _git_files(path: str, env: Mapping[str, str]) -> list[bytes] | None:
    """Tracked files, and untracked ones that are not ignored, that are there now; None outside a checkout.

    Submodules, and repositories inside that git does not track, are gone into in the same way.
    """
    if not _may_be_checkout(path):
        return None  # to ask git takes longer than to import a small directory
    clean = {name: value for name, value in env.items() if not name.startswith("GIT_")} | {"LC_ALL": "C"}
    # whose checkout it is does not matter for reading it, as long as nothing that it sets is run
    safe = ("safe.directory=*", "core.fsmonitor=false", "core.hooksPath=/dev/null", "core.untrackedCache=false")
    git = ["git", *(word for setting in safe for word in ("-c", setting)), "-C", path]
    command = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    try:
        listed = process.run(command, env=clean)
    except process.ProgramMissingError:
        return None
    except process.ProgramFailedError as error:
        if "not a git repository" in error.stderr:
            return None
        raise
    names: list[bytes] = []
    for name in listed.split(b"\0"):
        place = os.path.join(os.fsencode(path), name.rstrip(b"/"))
        if name and os.path.isdir(place) and not os.path.islink(place):
            inside = _git_files(os.fsdecode(place), env)
            names += [os.path.join(name.rstrip(b"/"), below) for below in inside or ()]
        elif name and os.path.lexists(place):
            names.append(name)
    return names or None  # a directory that the checkout around it ignores is a plain one
