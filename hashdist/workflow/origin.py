"""Where the stack file of a commit came from, on this machine.

So no file undoes what others recorded since, and edits know what relative paths are relative to.
"""

from __future__ import annotations

import collections
import hashlib
import os
from dataclasses import replace

from hashdist.errors import ConflictError
from hashdist.fsutil.atomic import write_file
from hashdist.fsutil.modes import make_directories
from hashdist.objects.database import object_id
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.remote.remotes import followed
from hashdist.store import index

from .profile import STACK, read_profile
from .session import Session

#: How far back in history we look.
_HISTORY_LIMIT = 1000


class ProfileMovedError(ConflictError):
    """A file taken from a profile that has moved since."""

    code = "profile_moved"


def where_it_was(session: Session, tip: CommitId) -> Session:
    """The session with the directory of the file that the newest commit made of a file was made of."""
    directory: str | None = None
    commit: CommitId | None = tip
    for _ in range(_HISTORY_LIMIT):
        if commit is None:
            break
        directory = index.read(session.store, index.DIRECTORY, commit)
        if directory is not None:
            break
        parents = session.store.objects.commit(commit).parents
        commit = parents[0] if parents else None
    return replace(session, directory=directory.rstrip("\n") if directory else None)


def at_home(session: Session, branch: str, tip: CommitId) -> Session:
    """The session as it is for a profile: where its stack file was, and whether it came from elsewhere."""
    foreign = followed(session.store, names.short_name(branch)) is not None
    return replace(where_it_was(session, tip), foreign=foreign)


def remember_directory(session: Session, commit: CommitId, directory: str) -> None:
    """Note which directory the stack file of a commit lay in."""
    if "\n" not in directory:
        index.write(session.store, index.DIRECTORY, commit, f"{directory}\n")


def _base_path(session: Session, path: str, branch: str) -> str:
    digest = hashlib.sha256(f"{branch}\0{os.path.realpath(path)}".encode()).hexdigest()[:32]
    return session.store.inside("index", "files", digest)


def remember_base(session: Session, path: str, branch: str, commit: CommitId) -> None:
    """Note which commit a file on disk was recorded as."""
    place = _base_path(session, path, branch)
    make_directories(os.path.dirname(place))
    write_file(place, f"{commit}\n".encode(), durable=False)


def check_base(session: Session, path: str, text: str, branch: str, tip: CommitId) -> None:
    """Refuse a file that would undo what was recorded since it was taken from the profile.

    Its base is the commit it was last recorded as; or, for a file never recorded from its place, an older
    commit that holds just these bytes.
    """
    objects, name = session.store.objects, names.short_name(branch)
    try:
        with open(_base_path(session, path, branch), encoding="ascii") as file:
            base: CommitId | None = CommitId(file.read().strip())
    except (FileNotFoundError, ValueError):
        base = None
    if base == tip or (base is not None and base not in objects):
        return
    if base is not None and objects.merge_base(base, tip) == tip:
        return  # the profile went back, by undo or reset, and the file is what comes after
    if base is None:
        base = _older_commit_with(session, text, tip)
    elif _has_all_since(text, _text_of(session, base), _text_of(session, tip)):
        return
    if base is not None:
        raise ProfileMovedError(
            f"'{name}' has moved since '{os.path.basename(path)}' was taken from it: {base[:12]} → {tip[:12]}",
            hint=f"hdist show {name}:stack.toml > {path}, change that, and commit again; or --force",
        )


def _text_of(session: Session, commit: CommitId) -> str:
    return read_profile(session.store.objects, commit).text


def _has_all_since(text: str, base: str, tip: str) -> bool:
    """Whether a text has every line that came between two others, and none that went."""
    lines, before, after = (collections.Counter(one.splitlines()) for one in (text, base, tip))
    return not (after - before) - lines and all(lines[line] <= after[line] for line in before - after)


def _older_commit_with(session: Session, text: str, tip: CommitId) -> CommitId | None:
    """The newest commit behind the tip that holds just this stack file; None if the tip does, or none does."""
    objects, wanted = session.store.objects, object_id("blob", text.encode())
    commit: CommitId | None = tip
    for _ in range(_HISTORY_LIMIT):
        if commit is None:
            return None
        found = objects.commit(commit)
        entry = objects.find(found.tree, STACK)
        if entry is not None and entry.id == wanted:
            return None if commit == tip else commit
        commit = found.parents[0] if found.parents else None
    return None
