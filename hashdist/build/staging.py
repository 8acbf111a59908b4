"""Artifacts that others make: a directory at the path of a spec, for whatever builds into it, sealed when that is done.

Whoever builds is a process that goes on after the command that stages has ended. A file in ``roots/`` names it: gc
leaves alone what it uses, and nobody else gets the directory while it lives.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashdist.errors import BusyError, HashdistError, InvalidError, NotFoundError
from hashdist.fsutil.boot import ancestors
from hashdist.fsutil.holders import WORK
from hashdist.fsutil.locks import locked
from hashdist.fsutil.removal import discard
from hashdist.objects.ids import CommitId, SpecId
from hashdist.objects.spec import Spec, read_spec
from hashdist.store.roots import STAGE, begin_stage, end_stage, staged_by

from .job import find_inputs, hash_parts, make_place
from .sealing import Outcome, UnfitResultError, seal, take_over

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from hashdist.fsutil.locks import Hold
    from hashdist.store.store import Store


class NotStagedError(NotFoundError):
    """An artifact that nobody has begun to make."""

    code = "not_staged"


@dataclass(frozen=True, slots=True)
class Staged:
    """What staging came to."""

    path: str
    """Where the artifact lies, or is to be built."""
    sealed: bool
    """Whether it is there already."""


def stage(store: Store, spec: Spec, *, pid: int, keep: bool = False) -> Staged:
    """Write a spec and give the process `pid` an empty directory at its artifact's path.

    What somebody left there who is no more goes to the trash, unless it is to be kept. Raises `BusyError` while another
    process builds it, and `InvalidError` for a spec that hashdist itself builds, or when there is no such process.
    """
    if not spec.is_foreign:
        raise InvalidError(
            f"spec of '{spec.name}' has the runner {spec.runner}, so hashdist builds it",
            hint='give it a runner of your own, a name such as "make"',
        )
    with _held(store, spec):
        if spec.artifact in store.artifacts:
            return Staged(store.artifacts.path(spec.artifact), sealed=True)
        holder = staged_by(store, spec.id)
        if holder is not None and not (holder.is_here and holder.pid == pid):
            raise BusyError(f"'{spec.artifact}' is being made: {holder}", hint="wait for it to end")
        with store.lock(shared=True, purpose="stage"):
            spec.write(store.objects)
            store.sync_objects()
            path = store.artifacts.claim(spec.artifact)
            try:
                begin_stage(store, spec.id, spec.inputs.values(), pid=pid, purpose=f"{spec.runner} of {spec.name}")
            except ProcessLookupError as error:
                raise InvalidError(f"there is no process {pid}") from error
        if os.path.lexists(path) and not keep:
            discard(path, store.inside("trash"))
        if not os.path.isdir(path):
            make_place(path)
    return Staged(path, sealed=False)


def staged_at(store: Store, path: str) -> SpecId | None:
    """The spec whose artifact is being made in a directory."""
    for name in os.listdir(store.inside("roots")):
        if name.startswith(STAGE) and (id := SpecId(name[len(STAGE) :])) in store.objects:
            spec = read_spec(store.objects, id)
            if os.path.realpath(store.artifacts.own_path(spec.artifact)) == os.path.realpath(path):
                return id
    return None


def seal_staged(store: Store, spec: Spec, *, log: bytes, seconds: int, behind: Collection[SpecId] = ()) -> CommitId:
    """Make what lies at a spec's path its artifact; once it is, that is all that this does.

    `behind` are inputs that files refer to which its links lead to, outside of the store.

    To be called by the process that it was staged for, or by one that it started. Raises `BusyError` while that is
    another one that lives, `NotStagedError`, or `HashdistError` for what can be no artifact.
    """
    with _held(store, spec):
        _check_ours(store, spec)
        if spec.artifact in store.artifacts:
            end_stage(store, spec.id)
            return store.artifacts.commit_of_record(spec.id)
        path = store.artifacts.own_path(spec.artifact)
        if not os.path.isdir(path) or os.path.islink(path):
            raise NotStagedError(f"nothing at '{path}'", hint="hdist stage-artifact makes the directory to build into")
        take_over(path)
        inputs = find_inputs(store, spec)
        own = os.path.join(store.config.path, "artifacts") + os.sep
        elsewhere = {one.spec.id: one.path for one in inputs if not one.path.startswith(own)}
        outcome = Outcome(log, (), seconds)
        try:
            commit = seal(store, spec, path, outcome, closure=hash_parts(store, inputs), paths=elsewhere, behind=behind)
        except UnfitResultError as error:
            raise HashdistError(f"'{spec.name}' {error}") from error
        end_stage(store, spec.id)
    return commit


def abandon(store: Store, spec: Spec) -> None:
    """Take away what was staged and is not sealed; raises as `seal_staged` does."""
    with _held(store, spec):
        _check_ours(store, spec)
        path = store.artifacts.own_path(spec.artifact)
        if not store.artifacts.has_own(spec.artifact) and os.path.lexists(path):
            discard(path, store.inside("trash"))
        end_stage(store, spec.id)


def _check_ours(store: Store, spec: Spec) -> None:
    holder = staged_by(store, spec.id)
    if holder is not None and not (holder.is_here and holder.pid in ancestors()):
        raise BusyError(f"'{spec.artifact}' is being made: {holder}", hint="wait for it to end")


def _held(store: Store, spec: Spec) -> AbstractContextManager[Hold]:
    return locked(
        store.lock_path(f"spec-{spec.id}"),
        timeout=None,
        purpose=f"{spec.runner} of {spec.name}",
        lease=WORK,
        waiting=store.waiting,
    )
