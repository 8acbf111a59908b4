"""Submodules of git repositories: where they come from, and which commit of them is meant."""

from __future__ import annotations

from urllib.parse import urlsplit

from hashdist.errors import InvalidError
from hashdist.objects import tree
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId, ObjectId
from hashdist.process import ProgramFailedError

from .declaration import git_url_fault
from .git_remote import GitProgram


def submodule_urls(git: GitProgram, url: str, objects: ObjectDatabase, root: ObjectId) -> dict[bytes, str]:
    """Path to URL, as ``.gitmodules`` tells, which may tell of submodules that are no more.

    Raises `InvalidError` if it cannot be read.
    """
    entries, _ = tree.decode_foreign(objects.raw_tree(root))
    told = next((entry for entry in entries if entry.name == b".gitmodules"), None)
    if told is None or told.mode not in {tree.Mode.FILE, tree.Mode.EXECUTABLE}:
        return {}
    try:
        listed = git.run(objects.path, "config", "--blob", told.id, "-z", "--list")
    except ProgramFailedError as error:
        raise InvalidError(f"'.gitmodules' of '{url}' cannot be read: {error}") from error
    fields: dict[tuple[bytes, bytes], bytes] = {}
    for line in listed.split(b"\0"):
        key, _, value = line.partition(b"\n")
        section, _, last = key.rpartition(b".")
        fields[section, last] = value
    found = {}
    for (section, last), path in fields.items():
        if last == b"path" and section.startswith(b"submodule.") and (section, b"url") in fields:
            below = resolve_url(url, fields[section, b"url"].decode(errors="surrogateescape"))
            found[path.rstrip(b"/")] = below
    return found


def resolve_url(base: str, url: str) -> str:
    """What a submodule's URL means: one that begins with ``./`` or ``../`` is relative to its project's."""
    if not url.startswith(("./", "../")):
        return url
    base = base.rstrip("/")
    while True:
        if url.startswith("./"):
            url = url[2:]
        elif url.startswith("../"):
            url = url[3:]
            head, slash, _ = base.rpartition("/")
            if not slash:  # user@host:path
                head, _, _ = base.rpartition(":")
                return f"{head}:{url}"
            base = head
        else:
            return f"{base}/{url}".rstrip("/")


def check_submodule(url: str, path: bytes, below: str) -> None:
    """Refuse a submodule from a place that must not be fetched from; raises `InvalidError`."""
    fault = git_url_fault(below)
    if fault is None and urlsplit(below).scheme == "file" and urlsplit(url).scheme != "file":
        fault = f"'{below[:80]}' is a place of this machine"
    if fault:
        raise InvalidError(f"submodule '{tree.show_name(path[:100])}' of '{url}': {fault}")


def gitlink(objects: ObjectDatabase, root: ObjectId, path: bytes) -> CommitId | None:
    """The commit of the submodule at `path`; None if there is none."""
    id = root
    *folders, last = path.split(b"/")
    for part in folders:
        entries, _ = tree.decode_foreign(objects.raw_tree(id))
        found = next((entry for entry in entries if entry.name == part and entry.mode is tree.Mode.DIRECTORY), None)
        if found is None:
            return None
        id = found.id
    _, gitlinks = tree.decode_foreign(objects.raw_tree(id))
    return next((CommitId(commit) for name, commit in gitlinks if name == last), None)
