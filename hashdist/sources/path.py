"""Files of this machine as a source: a directory, a git checkout's files as they are now, an archive, a file."""

from __future__ import annotations

import os
from collections.abc import Mapping

from hashdist import process
from hashdist.errors import NotFoundError
from hashdist.objects.archive import import_archive, is_archive
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.directory import import_directory
from hashdist.objects.ids import TreeId
from hashdist.objects.tree import Entry, Mode
from hashdist.progress import Progress


def import_path(
    objects: ObjectDatabase, path: str, *, env: Mapping[str, str], progress: Progress
) -> tuple[TreeId, str | None]:
    """Write the tree of what lies at `path`; also the leading directory that was stripped from an archive.

    Of a directory in a git checkout the files git would list are taken. `env` is for the git program.
    Raises `NotFoundError`, and whatever importing raises.
    """
    if os.path.isdir(path):
        return import_directory(objects, path, names=_git_files(path, env), progress=progress), None
    if not os.path.isfile(path):
        raise NotFoundError(f"no file or directory '{path}'")
    if is_archive(path):
        imported = import_archive(objects, path, strip=not path.endswith(".whl"), progress=progress)
        return imported.tree, imported.stripped
    return import_file(objects, path, os.path.basename(path)), None


def import_file(objects: ObjectDatabase, path: str, name: str) -> TreeId:
    """Write a tree that holds one file, under `name`."""
    with open(path, "rb") as file:
        blob = objects.add_blob(file.read())
    mode = Mode.EXECUTABLE if os.stat(path).st_mode & 0o100 else Mode.FILE
    return objects.add_tree([Entry(os.fsencode(name), mode, blob)])


def _git_files(path: str, env: Mapping[str, str]) -> list[bytes] | None:
    """Tracked files, and untracked ones that are not ignored, that are there now; None outside a checkout.

    Submodules, and repositories inside that git does not track, are gone into in the same way.
    """
    clean = {name: value for name, value in env.items() if not name.startswith("GIT_")} | {"LC_ALL": "C"}
    git = ["git", "-c", "safe.directory=*", "-C", path]  # whose checkout it is does not matter for reading it
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
