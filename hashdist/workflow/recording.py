"""Make a commit of a profile of what was resolved, and move the branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hashdist.errors import HashdistError
from hashdist.objects.commits import Commit
from hashdist.objects.ids import CommitId, TreeId
from hashdist.objects.tree import Entry, Mode
from hashdist.refs import names
from hashdist.refs.transaction import Transaction

from .pinning import Resolved
from .profile import LOCK, SPECS, STACK
from .session import Session


class NothingChangedError(HashdistError):
    """A commit that would record what is there already."""

    code = "nothing_changed"


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


def record(
    session: Session,
    branch: str,
    tip: CommitId | None,
    resolved: Resolved,
    message: str,
    *,
    kind: str = "commit",
    others: Sequence[CommitId] = (),
    change_of: Commit | None = None,
    allow_empty: bool = False,
    besides: Callable[[Transaction], None] = lambda _: None,
) -> Recorded:
    """Make the commit and move the branch, if it is still at `tip`.

    `kind` is the verb for the reflog; `others` are further parents, and `besides` what moves together with the branch.
    Raises `NothingChangedError` unless `allow_empty`, or there are others.
    """
    objects, refs = session.store.objects, session.store.refs
    tree = write_tree(session, resolved)
    name = names.short_name(branch)
    if tip is not None and not allow_empty and not others and objects.commit(tip).tree == tree:
        raise NothingChangedError(
            f"nothing changed: '{name}' holds just that already", hint="--allow-empty records it again"
        )
    parents = (*([tip] if tip else []), *others)
    commit = make_commit(session, resolved, message, parents=parents, change_of=change_of)
    subject = message.split("\n", 1)[0]
    with refs.transaction(f"{kind}: {subject}") as transaction:
        transaction.update(branch, commit, old=tip)
        besides(transaction)
    return Recorded(name, commit, tip, resolved)


def make_commit(
    session: Session, resolved: Resolved, message: str, *, parents: Sequence[CommitId], change_of: Commit | None = None
) -> CommitId:
    """Make a commit that no ref leads to yet."""
    return session.store.objects.add_commit(
        write_tree(session, resolved),
        parents=parents,
        identity=session.store.author,
        time=session.store.now(),
        message=message,
        change_of=change_of,
        signer=session.signer,
    )


def write_tree(session: Session, resolved: Resolved) -> TreeId:
    """Write what a commit of a profile holds."""
    objects = session.store.objects
    entries = {
        STACK: Entry(b"x", Mode.FILE, objects.add_blob(resolved.text.encode())),
        LOCK: Entry(b"x", Mode.FILE, objects.add_blob(resolved.lock.encode())),
        **{path: Entry(b"x", Mode.FILE, objects.add_blob(data)) for path, data in resolved.files.items()},
        **{f"{SPECS}/{name}": Entry(b"x", Mode.DIRECTORY, id) for name, id in resolved.specs.items()},
    }
    return objects.add_nested(entries)
