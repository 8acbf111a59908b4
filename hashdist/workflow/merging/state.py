"""A merge that waits for choices: a commit of its own below ``refs/merging/``, which keeps both sides alive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hashdist.errors import ConflictError, DamagedError, NotFoundError
from hashdist.objects import canonical
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.refs.database import Transaction
from hashdist.stack.merging import Side
from hashdist.store.store import Store
from hashdist.workflow.branching import remember

Kind = Literal["merge", "cherry-pick", "revert"]
_FILE = "state.json"
_FORMAT = 1


class MergeInProgressError(ConflictError):
    """A profile into which a merge is not done."""

    code = "merge_in_progress"


class NoMergeError(NotFoundError):
    """There is no merge to go on with."""

    code = "no_merge"


@dataclass(frozen=True, slots=True)
class State:
    """What is being brought into a profile."""

    kind: Kind
    """By which command."""
    profile: str
    """Into which profile."""
    ours: CommitId
    """Its tip when it began."""
    theirs: CommitId
    """The other side."""
    base: CommitId | None
    """What both are compared with."""
    message: str
    """Of the commit to be."""
    source: CommitId | None = None
    """Of cherry-pick and revert: the commit whose change it is."""
    settled: Mapping[str, Side] = field(default_factory=dict)
    """What was chosen, by unit."""
    text: str | None = None
    """The stack file as it was edited."""
    todo: tuple[CommitId, ...] = ()
    """What comes after it, of the same kind."""

    def to_json(self) -> dict[str, Any]:
        """The state as it is stored."""
        return {
            "format": _FORMAT,
            "kind": self.kind,
            "profile": self.profile,
            "ours": self.ours,
            "theirs": self.theirs,
            "base": self.base,
            "message": self.message,
            "source": self.source,
            "settled": dict(self.settled),
            "text": self.text,
            "todo": list(self.todo),
        }

    @classmethod
    def from_json(cls, document: Any) -> State:
        """Read what `to_json` gave; raises `DamagedError`."""
        try:
            return cls(
                document["kind"],
                document["profile"],
                CommitId(document["ours"]),
                CommitId(document["theirs"]),
                CommitId(document["base"]) if document["base"] is not None else None,
                document["message"],
                CommitId(document["source"]) if document["source"] is not None else None,
                document["settled"],
                document["text"],
                tuple(map(CommitId, document["todo"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"the state of a merge cannot be read: {error}", hint="hdist merge --abort") from error


def state_ref(profile: str) -> str:
    """The ref of the merge into a profile."""
    return names.MERGING + profile


def read_state(store: Store, profile: str) -> State:
    """The merge into a profile that is not done; raises `NoMergeError`."""
    commit = store.refs.get(state_ref(profile))
    if commit is None:
        raise NoMergeError(f"nothing is being merged into '{profile}'", hint="hdist merge REV begins")
    entry = store.objects.find(store.objects.commit(commit).tree, _FILE)
    if entry is None:
        raise DamagedError("the state of a merge cannot be read", hint="hdist merge --abort")
    return State.from_json(canonical.loads(store.objects.blob(entry.id)))


def check_none(store: Store, profile: str) -> None:
    """Raise `MergeInProgressError` if a merge into the profile is not done."""
    commit = store.refs.get(state_ref(profile))
    if commit is not None:
        raise MergeInProgressError(
            f"a merge into '{profile}' is not done", hint="hdist merge --continue, or hdist merge --abort"
        )


def write_state(store: Store, state: State) -> None:
    """Store the state of a merge."""
    tree = store.objects.add_files({_FILE: canonical.dumps(state.to_json())})
    parents = dict.fromkeys([state.ours, state.theirs, *([state.base] if state.base else []), *state.todo])
    commit = store.objects.add_commit(
        tree,
        parents=tuple(parents),
        identity=store.author,
        time=store.now(),
        message=f"{state.kind} into {state.profile}, not done\n",
    )
    with store.refs.transaction(f"{state.kind}: {len(state.settled)} settled") as transaction:
        transaction.set(state_ref(state.profile), commit)


def end(store: Store, profile: str, transaction: Transaction) -> None:
    """Forget the merge into a profile, if there is one."""
    ref = state_ref(profile)
    commit = store.refs.get(ref)
    if commit is not None:
        remember(store, transaction, ref, commit)
