"""Record a stack on a profile: from a file, by an edit, or by moving pins. Each makes one commit."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping

from hashdist.errors import InvalidError, NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.remote.remotes import followed
from hashdist.stack.file import parse_stack
from hashdist.stack.lock import Lock
from hashdist.stack.packages import Stack
from hashdist.store.roots import in_use

from .origin import at_home, check_base, remember_base, remember_directory
from .pinning import Moving, Resolved, pin
from .profile import Profile, branch_of, known_pins, read_profile, read_written
from .recording import Recorded, record
from .session import Session

_FILE_LIMIT = 16 << 20


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
        check_base(session, path, text, branch, tip)
    session = dataclasses.replace(session, foreign=followed(session.store, names.short_name(branch)) is not None)
    with in_use(session.store, purpose="commit"):
        resolved = resolve_file(session, path, text, before=tip)
        recorded = record(session, branch, tip, resolved, message, allow_empty=allow_empty)
    remember_base(session, path, branch, recorded.commit)
    remember_directory(session, recorded.commit, os.path.dirname(os.path.abspath(path)))
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


def edit(
    session: Session,
    change: Callable[[str], str],
    *,
    message: str,
    profile: str | None = None,
    begin: bool = False,
    files: Mapping[str, bytes] | None = None,
    check: Callable[[Lock], None] = lambda _: None,
) -> Recorded:
    """Change the stack file of a profile as text, and record it.

    With `begin` a profile without commits begins with an empty file. `files` are patches that come in; `check` is
    called with the new lock, and nothing is recorded if it raises. Raises as `commit_file` does.
    """
    branch = branch_of(session.store, profile)
    tip = session.store.refs.get(branch)
    if tip is None and begin:
        text, kept, lock = "", {}, None
    else:
        branch, tip, found = _tip(session, profile)
        session = at_home(session, branch, tip)
        text, kept, lock = found.text, dict(found.files), found.lock
    text = change(text)
    stack = parse_stack(text)
    with in_use(session.store, purpose="commit"):
        known = _kept_files(session, stack, {**kept, **(files or {})})
        resolved = pin(session, text, stack, known, before=lock)
        check(resolved.lock)
        return record(session, branch, tip, resolved, message)


def update(session: Session, moving: Moving, *, message: str, profile: str | None = None) -> Recorded:
    """Move pins of a profile to what the outside world has now, and record that."""
    branch, tip, found = _tip(session, profile)
    session = at_home(session, branch, tip)
    stack = parse_stack(found.text)
    with in_use(session.store, purpose="commit"):
        resolved = pin(session, found.text, stack, found.files, before=found.lock, moving=moving)
        return record(session, branch, tip, resolved, message)


def resolve_anew(session: Session, *, profile: str | None = None) -> Recorded:
    """Make a commit whose specs and lock follow from the stack file of the tip, which somebody merged as text.

    Pins stay: those of the tip, or of its parents where its own lock cannot be read. Raises as `commit_file` does.
    """
    branch = branch_of(session.store, profile)
    tip = session.store.refs[branch]
    session = at_home(session, branch, tip)
    objects = session.store.objects
    text, files = read_written(objects, tip)
    stack = parse_stack(text)
    with in_use(session.store, purpose="resolve"):
        before = known_pins(objects, tip, stack)
        resolved = pin(
            session, text, stack, {name: files[name] for name in stack.patches if name in files}, before=before
        )
        return record(session, branch, tip, resolved, "resolve stack.toml anew", kind="resolve")


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
