"""Record a stack on a profile: from a file, by an edit, or by moving pins. Each makes one commit."""

from __future__ import annotations

import collections
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hashdist.errors import ConflictError, HashdistError, InvalidError, NotFoundError
from hashdist.fsutil.atomic import write_file
from hashdist.objects.database import object_id
from hashdist.objects.ids import CommitId
from hashdist.objects.tree import Entry, Mode
from hashdist.refs import names
from hashdist.stack.file import Stack, parse_stack
from hashdist.store import index
from hashdist.store.roots import in_use

from .pinning import Moving, Resolved, pin
from .profile import LOCK, SPECS, STACK, Profile, branch_of, read_profile
from .session import Session

_FILE_LIMIT = 16 << 20
#: How far back in history we look.
_HISTORY_LIMIT = 1000


class NothingChangedError(HashdistError):
    """A commit that would record what is there already."""

    code = "nothing_changed"


class ProfileMovedError(ConflictError):
    """A file taken from a profile that has moved since."""

    code = "profile_moved"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A commit that was made."""

    profile: str
    """The profile's name."""
    commit: CommitId
    """Its new tip."""
    before: CommitId | None
    """Its tip before."""
    resolved: Resolved
    """What was recorded."""


def commit_file(
    session: Session,
    path: str,
    *,
    message: str,
    profile: str | None = None,
    allow_empty: bool = False,
    force: bool = False,
) -> Recorded:
    """Record the stack file at `path` on a profile (None: the one HEAD names).

    Raises `ProfileMovedError` when the profile has moved since the file was last recorded on it or taken from
    it (unless `force`), `NothingChangedError` unless `allow_empty`, and whatever parsing and pinning raise.
    """
    text = read_stack_file(path)
    branch = branch_of(session.store, profile)
    tip = session.store.refs.get(branch)
    if tip is not None and not force:
        _check_base(session, path, text, branch, tip)
    with in_use(session.store):
        resolved = resolve_file(session, path, text, before=tip)
        recorded = _record(session, branch, tip, resolved, message, allow_empty=allow_empty)
    _remember_base(session, path, branch, recorded.commit)
    _remember_directory(session, recorded.commit, os.path.dirname(os.path.abspath(path)))
    return recorded


def read_stack_file(path: str) -> str:
    """The text of a stack file; raises `NotFoundError` or `InvalidError`."""
    try:
        if os.path.getsize(path) > _FILE_LIMIT:
            raise InvalidError(f"'{path}' is larger than {_FILE_LIMIT} bytes (limit: stack file)")
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"no stack file '{path}'", hint="hdist new writes a starter") from error
    except IsADirectoryError as error:
        raise InvalidError(f"'{path}' is a directory, not a stack file") from error
    except UnicodeDecodeError as error:
        raise InvalidError(f"{path}:1: not UTF-8") from error


def resolve_file(session: Session, path: str, text: str, *, before: CommitId | None) -> Resolved:
    """Parse and pin a stack file, keeping the pins of the commit `before`; call it under `in_use`."""
    stack = parse_stack(text, name=os.path.basename(path))
    beside = session.beside(path)
    lock = read_profile(session.store.objects, before).lock if before else None
    files = _read_files(stack, os.path.dirname(os.path.abspath(path)))
    return pin(beside, text, stack, files, before=lock)


def edit(session: Session, change: Callable[[str], str], *, message: str, profile: str | None = None) -> Recorded:
    """Change the stack file of a profile as text and record it; raises as `commit_file` does."""
    branch, tip, found = _tip(session, profile)
    session = _where_it_was(session, tip)
    text = change(found.text)
    stack = parse_stack(text)
    files = _kept_files(session, stack, found.files)
    with in_use(session.store):
        resolved = pin(session, text, stack, files, before=found.lock)
        return _record(session, branch, tip, resolved, message, allow_empty=False)


def update(session: Session, moving: Moving, *, message: str, profile: str | None = None) -> Recorded:
    """Move pins of a profile to what the outside world has now, and record that."""
    branch, tip, found = _tip(session, profile)
    session = _where_it_was(session, tip)
    stack = parse_stack(found.text)
    with in_use(session.store):
        resolved = pin(session, found.text, stack, found.files, before=found.lock, moving=moving)
        return _record(session, branch, tip, resolved, message, allow_empty=False)


def _tip(session: Session, profile: str | None) -> tuple[str, CommitId, Profile]:
    branch = branch_of(session.store, profile)
    tip = session.store.refs.get(branch)
    if tip is None:
        raise NotFoundError(
            f"profile '{names.short_name(branch)}' has no commits yet",
            hint="hdist new; hdist commit stack.toml -m MESSAGE",
        )
    return branch, tip, read_profile(session.store.objects, tip)


def _read_files(stack: Stack, directory: str) -> dict[str, bytes]:
    found, problems = {}, []
    for name in stack.patches:
        try:
            with open(os.path.join(directory, name), "rb") as file:
                found[name] = file.read(_FILE_LIMIT + 1)
        except OSError as error:
            problems.append(f"patch '{name}' cannot be read: {error.strerror}")
            continue
        if len(found[name]) > _FILE_LIMIT:
            problems.append(f"patch '{name}' is larger than {_FILE_LIMIT} bytes (limit: file)")
    if problems:
        raise InvalidError(*problems)
    return found


def _kept_files(session: Session, stack: Stack, kept: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of the commit before; those that an edit added are read from the working directory."""
    wanted = set(stack.patches)
    new = {name for name in wanted if name not in kept}
    if new and session.directory is None:
        raise InvalidError(*(f"nobody knows where patch '{name}' is" for name in sorted(new)), hint="hdist commit FILE")
    fresh = _read_files(stack, session.directory) if new and session.directory else {}
    return {name: kept[name] if name in kept else fresh[name] for name in wanted}


def _record(
    session: Session, branch: str, tip: CommitId | None, resolved: Resolved, message: str, *, allow_empty: bool
) -> Recorded:
    """Make the commit and move the branch, if it is still at `tip`."""
    objects = session.store.objects
    entries = {
        STACK: Entry(b"x", Mode.FILE, objects.add_blob(resolved.text.encode())),
        LOCK: Entry(b"x", Mode.FILE, objects.add_blob(resolved.lock.encode())),
        **{path: Entry(b"x", Mode.FILE, objects.add_blob(data)) for path, data in resolved.files.items()},
        **{f"{SPECS}/{name}": Entry(b"x", Mode.DIRECTORY, id) for name, id in resolved.specs.items()},
    }
    tree = objects.add_nested(entries)
    name = names.short_name(branch)
    if tip is not None and not allow_empty and objects.commit(tip).tree == tree:
        raise NothingChangedError(
            f"nothing changed: '{name}' holds just that already", hint="--allow-empty records it again"
        )
    commit = objects.add_commit(
        tree,
        parents=(tip,) if tip else (),
        identity=session.store.author,
        time=session.store.now(),
        message=message,
    )
    subject = message.split("\n", 1)[0]
    session.store.refs.update(branch, commit, old=tip, reason=f"commit: {subject}")
    return Recorded(name, commit, tip, resolved)


def _where_it_was(session: Session, tip: CommitId) -> Session:
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


def _remember_directory(session: Session, commit: CommitId, directory: str) -> None:
    if "\n" not in directory:
        index.write(session.store, index.DIRECTORY, commit, f"{directory}\n")


def _base_path(session: Session, path: str, branch: str) -> str:
    digest = hashlib.sha256(f"{branch}\0{os.path.realpath(path)}".encode()).hexdigest()[:32]
    return session.store.inside("index", "files", digest)


def _remember_base(session: Session, path: str, branch: str, commit: CommitId) -> None:
    """Note which commit a file on disk was recorded as."""
    place = _base_path(session, path, branch)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    write_file(place, f"{commit}\n".encode(), durable=False)


def _check_base(session: Session, path: str, text: str, branch: str, tip: CommitId) -> None:
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
