"""Go on within the first bad commit: which of the packages it changed are to blame, and no more than those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hashdist.errors import InvalidError
from hashdist.objects.ids import CommitId
from hashdist.stack.file import StackError, parse_stack
from hashdist.stack.lock import Lock
from hashdist.stack.merging_text import merge_text
from hashdist.stack.units import FILES, HOST, PACKAGES, Unit, units
from hashdist.store.roots import in_use
from hashdist.workflow.origin import where_it_was
from hashdist.workflow.pinning import pin
from hashdist.workflow.profile import Profile, read_profile
from hashdist.workflow.recording import make_commit
from hashdist.workflow.session import Session

from .minimizing import Verdict, minimal
from .running import try_commit


@dataclass(frozen=True, slots=True)
class Blamed:
    """What of a commit is to blame."""

    changed: tuple[Unit, ...]
    """All that it changed."""
    guilty: tuple[Unit, ...]
    """The smallest set of that with which it is bad."""
    commit: CommitId
    """The commit before it with that set, and nothing else: as it was tried; no ref holds it."""


def blame_packages(
    session: Session, bad: CommitId, command: Sequence[str], *, told: Callable[[str], None] = lambda _: None
) -> Blamed:
    """Find the smallest set of a bad commit's changes with which its first parent is bad too.

    Raises `InvalidError` for a commit without a parent, and what `try_commit` raises.
    """
    objects = session.store.objects
    parents = objects.commit(bad).parents
    if not parents:
        raise InvalidError(f"{bad[:12]} is the first commit: there is nothing before it to compare it with")
    mixer = _Mixer(session, parents[0], read_profile(objects, parents[0]), bad, read_profile(objects, bad))
    changed = mixer.changed()

    def test(chosen: tuple[Unit, ...]) -> Verdict:
        told(f"trying {', '.join(map(str, chosen))} alone")
        commit = mixer.commit_with(chosen)
        verdict: Verdict = "skip" if commit is None else try_commit(session, commit, command, told=told)
        told(f"{', '.join(map(str, chosen))}: {verdict}")
        return verdict

    with in_use(session.store, purpose="bisect"):
        guilty = minimal(changed, test)
        commit = mixer.commit_with(guilty) or bad
    return Blamed(tuple(changed), guilty, commit)


class _Mixer:
    """Makes commits with some of the changes between two."""

    def __init__(self, session: Session, old_id: CommitId, old: Profile, new_id: CommitId, new: Profile) -> None:
        self._session = where_it_was(session, new_id)
        self._old_id, self._new_id = old_id, new_id
        self._old, self._new = old, new
        self._before, self._after = units(old.text), units(new.text)

    def changed(self) -> list[Unit]:
        """What differs: units of the stack file, pins, and files."""
        found = [
            unit
            for unit in dict.fromkeys([*self._after, *self._before])
            if self._before.get(unit) != self._after.get(unit) or _pins(self._old, unit) != _pins(self._new, unit)
        ]
        base = [Unit(HOST, name) for name in self._new.lock.host if Unit(HOST, name) not in self._after]
        found += [unit for unit in base if _pins(self._old, unit) != _pins(self._new, unit)]
        both = self._old.files.keys() & self._new.files.keys()
        return found + [Unit(FILES, path) for path in sorted(both) if self._old.files[path] != self._new.files[path]]

    def commit_with(self, chosen: Sequence[Unit]) -> CommitId | None:
        """The old commit with some of the changes; None if that is no stack."""
        wanted: dict[Unit, Any] = {}
        for unit in dict.fromkeys([*self._before, *self._after]):
            side = self._after if unit in chosen else self._before
            if unit in side:
                wanted[unit] = side[unit]
        text = merge_text(self._old.text, self._old.text, self._new.text, wanted)
        try:
            stack = parse_stack(text)
        except StackError:
            return None
        files = {**self._new.files, **self._old.files}
        files |= {unit.name: self._new.files[unit.name] for unit in chosen if unit.section == FILES}
        resolved = pin(
            self._session, text, stack, {path: files[path] for path in stack.patches}, before=self._lock(chosen)
        )
        words = f"{self._old_id[:12]} with {', '.join(map(str, chosen))} of {self._new_id[:12]}"
        return make_commit(self._session, resolved, words, parents=(self._old_id,))

    def _lock(self, chosen: Sequence[Unit]) -> Lock:
        """The old pins, with those of what was chosen."""
        old, new = self._old.lock, self._new.lock
        sources, host = dict(old.sources), dict(old.host)
        for unit in chosen:
            if unit.section == PACKAGES and unit.name in new.sources:
                sources[unit.name] = new.sources[unit.name]
            if unit.section == HOST and unit.name in new.host:
                host[unit.name] = new.host[unit.name]
        for name, pin_ in new.host.items():  # what a preset brings that is chosen
            host.setdefault(name, pin_)
        return Lock(old.stack, sources, host, {}, old.native_cpu or new.native_cpu)


def _pins(profile: Profile, unit: Unit) -> object:
    if unit.section == PACKAGES:
        return profile.lock.sources.get(unit.name)
    return profile.lock.host.get(unit.name) if unit.section == HOST else None
