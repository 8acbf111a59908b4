"""A merge that waits, or commits that are taken one by one: a commit below ``refs/merging/``, which keeps all alive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hashdist.errors import ConflictError, DamagedError, HashdistError, NotFoundError
from hashdist.objects import canonical
from hashdist.objects.ids import CommitId
from hashdist.refs import names
from hashdist.refs.transaction import Transaction
from hashdist.stack.merging import Side
from hashdist.store.store import Store
from hashdist.workflow.branching import remember

Kind = Literal["merge", "cherry-pick", "revert"]
_KINDS = ("merge", "cherry-pick", "revert")
_SIDES = ("ours", "theirs")
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
    start: CommitId
    """Its tip when the command began."""
    ours: CommitId
    """Its tip now."""
    theirs: CommitId
    """The other side."""
    bases: tuple[CommitId, ...]
    """What both are compared with; several where histories crossed, none where they have nothing in common."""
    message: str
    """Of the commit to be."""
    source: CommitId | None = None
    """Of cherry-pick and revert: the commit whose change it is."""
    mainline: int | None = None
    """Of these: with which parent a merge is compared."""
    settled: Mapping[str, Side] = field(default_factory=dict)
    """What was chosen, by unit."""
    text: str | None = None
    """The stack file as it was edited."""
    todo: tuple[CommitId, ...] = ()
    """What comes after it, of the same kind."""
    waits: bool = False
    """Whether something had to be chosen."""

    def to_json(self) -> dict[str, Any]:
        """The state as it is stored."""
        return {
            "format": _FORMAT,
            "kind": self.kind,
            "profile": self.profile,
            "start": self.start,
            "ours": self.ours,
            "theirs": self.theirs,
            "bases": list(self.bases),
            "message": self.message,
            "source": self.source,
            "mainline": self.mainline,
            "settled": dict(self.settled),
            "text": self.text,
            "todo": list(self.todo),
            "waits": self.waits,
        }

    @classmethod
    def from_json(cls, document: Any) -> State:
        """Read what `to_json` gave; raises `ValueError`."""
        try:
            settled = dict(document["settled"])
            if document["format"] != _FORMAT or document["kind"] not in _KINDS or set(settled.values()) - set(_SIDES):
                raise ValueError("it is of another format")
            return cls(
                document["kind"],
                document["profile"],
                CommitId(document["start"]),
                CommitId(document["ours"]),
                CommitId(document["theirs"]),
                tuple(map(CommitId, document["bases"])),
                document["message"],
                CommitId(document["source"]) if document["source"] is not None else None,
                document["mainline"],
                settled,
                document["text"],
                tuple(map(CommitId, document["todo"])),
                bool(document["waits"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error


def state_ref(profile: str) -> str:
    """The ref of the merge into a profile."""
    return names.MERGING + profile


def read_state(store: Store, profile: str) -> State:
    """The merge into a profile that is not done; raises `NoMergeError`, or `DamagedError`."""
    commit = store.refs.get(state_ref(profile))
    if commit is None:
        raise NoMergeError(f"nothing is being merged into '{profile}'", hint="hdist merge REV begins")
    try:
        files = {entry.name: entry.id for entry in store.objects.tree(store.objects.commit(commit).tree)}
        data = store.objects.blob(files[_FILE.encode()]) if _FILE.encode() in files else b""
        return State.from_json(canonical.loads(data))
    except (HashdistError, ValueError) as error:
        raise DamagedError(
            f"the state of the merge into '{profile}' cannot be read: {error}", hint="hdist merge --abort gives it up"
        ) from error


def check_none(store: Store, profile: str) -> None:
    """Raise `MergeInProgressError` if a merge into the profile is not done."""
    if store.refs.value(state_ref(profile)) is not None:
        raise MergeInProgressError(
            f"a merge into '{profile}' is not done", hint="hdist merge --continue, or hdist merge --abort"
        )


def commit_state(store: Store, state: State) -> CommitId:
    """Write the state of a merge; a ref has to be given to it yet."""
    tree = store.objects.add_files({_FILE: canonical.dumps(state.to_json())})
    parents = dict.fromkeys([state.start, state.ours, state.theirs, *state.bases, *state.todo])
    return store.objects.add_commit(
        tree,
        parents=tuple(parents),
        identity=store.author,
        time=store.now(),
        message=f"{state.kind} into {state.profile}, not done\n",
    )


def write_state(store: Store, state: State) -> None:
    """Store the state of a merge."""
    commit = commit_state(store, state)
    with store.refs.transaction(f"{state.kind}: {len(state.settled)} chosen") as transaction:
        transaction.set(state_ref(state.profile), commit)


def end(store: Store, profile: str, transaction: Transaction) -> None:
    """Forget the merge into a profile, if there is one."""
    ref = state_ref(profile)
    commit = store.refs.get(ref)
    if commit is not None:
        remember(store, transaction, ref, commit)
