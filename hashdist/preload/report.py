"""What a command used that was not declared: by path, with the programs that did it, and whose it is."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hashdist.errors import InvalidError
from hashdist.objects.manifest import quote_name, unquote_name

from .log import Log
from .rules import Mode

FORMAT = 1
#: The letters of `enum use` in the C code, in words.
_USES = {
    "s": "look",
    "r": "read",
    "x": "execute",
    "l": "load",
    "t": "read",
    "w": "write",
    "a": "write",
    "c": "write",
    "m": "write",
    "e": "write",
    "k": "link",
}
_HIDDEN, _UNSEEN, _MADE = "D", "u", "m"

Owners = Callable[[Collection[str]], Mapping[str, str]]
"""Gives the owners of those of some paths that have one: ``dpkg:zlib1g-dev``, ``artifact:NAME/VERSION/ID``."""


@dataclass(frozen=True, slots=True)
class Access:
    """A path that was used without being declared."""

    path: str
    """It, in a canonical directory."""
    uses: tuple[str, ...]
    """What was done: 'look', 'read', 'execute', 'load', 'write', 'link'."""
    programs: tuple[str, ...]
    """Paths of the programs that did it."""
    hidden: bool
    """Whether it was kept from them."""
    owner: str | None = None
    """Whose it is."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run under the jail showed."""

    mode: Mode
    """'report': nothing was changed; 'enforce': what is undeclared was hidden."""
    accesses: tuple[Access, ...] = ()
    """What was used or tried, by path."""
    unseen: tuple[str, ...] = ()
    """Programs that were run and could not be looked into: linked statically, with set-id bits, of another machine."""
    made_unseen: tuple[str, ...] = ()
    """Those of them that the command may have made itself, so that they are nobody's declared software."""
    dropped: int = 0
    """How many accesses the log had no room for."""
    processes: int = 0
    """How many programs were looked at."""

    @property
    def undeclared(self) -> tuple[Access, ...]:
        """What was used and should have been declared."""
        return tuple(access for access in self.accesses if not access.hidden)

    @property
    def hidden(self) -> tuple[Access, ...]:
        """What was tried, and kept from the programs."""
        return tuple(access for access in self.accesses if access.hidden)

    @property
    def pure(self) -> bool:
        """Whether nothing was used but what is declared, as far as anybody can see.

        A program that is declared may be one of `unseen`: what it does is its package's business.
        """
        return not self.undeclared and not self.dropped and not self.made_unseen

    def owned(self, owners: Owners) -> Report:
        """The same, with whose everything is."""
        found = owners({access.path for access in self.accesses})
        accesses = (dataclasses.replace(access, owner=found.get(access.path)) for access in self.accesses)
        return dataclasses.replace(self, accesses=tuple(accesses))

    def document(self) -> dict[str, Any]:
        """The report for JSON; names that are not plain text are quoted in it as git quotes them."""
        return {
            "format": FORMAT,
            "mode": self.mode,
            "pure": self.pure,
            "accesses": [
                {
                    "path": _quoted(access.path),
                    "uses": list(access.uses),
                    "programs": [_quoted(program) for program in access.programs],
                    "hidden": access.hidden,
                    "owner": access.owner,
                }
                for access in self.accesses
            ],
            "unseen": [_quoted(program) for program in self.unseen],
            "made_unseen": [_quoted(program) for program in self.made_unseen],
            "dropped": self.dropped,
            "processes": self.processes,
        }

    @classmethod
    def of_document(cls, document: Any) -> Report:
        """Read what `document` gave; raises `InvalidError`."""
        try:
            if document["format"] != FORMAT or document["mode"] not in {"report", "enforce"}:
                raise InvalidError("not a report of this hdist's jail")
            accesses = tuple(
                Access(
                    _unquoted(one["path"]),
                    tuple(map(str, one["uses"])),
                    tuple(map(_unquoted, one["programs"])),
                    bool(one["hidden"]),
                    None if one["owner"] is None else str(one["owner"]),
                )
                for one in document["accesses"]
            )
            unseen, made = (tuple(map(_unquoted, document[name])) for name in ("unseen", "made_unseen"))
            return cls(document["mode"], accesses, unseen, made, int(document["dropped"]), int(document["processes"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidError(f"not a report of the jail: {error}") from error


def _quoted(path: str) -> str:
    return quote_name(os.fsencode(path))


def _unquoted(text: Any) -> str:
    return os.fsdecode(unquote_name(str(text)))


def report_of(log: Log, mode: Mode) -> Report:
    """Put the lines of a log together, by path."""
    uses: dict[str, dict[str, None]] = {}
    programs: dict[str, set[str]] = {}
    hidden: dict[str, bool] = {}
    unseen: set[str] = set()
    made: set[str] = set()
    for line in log.lines:
        if line.verdict in {_UNSEEN, _MADE}:
            unseen.add(line.path)
            made |= {line.path} if line.verdict == _MADE else set()
            continue
        uses.setdefault(line.path, {})[_USES.get(line.use, "use")] = None
        programs.setdefault(line.path, set()).add(line.program)
        hidden[line.path] = hidden.get(line.path, True) and line.verdict == _HIDDEN
    accesses = tuple(
        Access(path, tuple(sorted(uses[path])), tuple(sorted(programs[path])), hidden[path]) for path in sorted(uses)
    )
    return Report(mode, accesses, tuple(sorted(unseen)), tuple(sorted(made)), log.dropped, log.processes)


#: What is said where a path has no owner.
NOBODY = "nobody's"
#: How many owners a line names.
_NAMED = 4


def whose(accesses: Collection[Access]) -> str:
    """How many files these are, and whose: ``3 files of dpkg:zlib1g-dev``."""
    owners = [owner or NOBODY for owner in by_owner(accesses)]
    shown = ", ".join(owners[:_NAMED]) + (" …" if len(owners) > _NAMED else "")
    files = f"{len(accesses)} file{'' if len(accesses) == 1 else 's'}"
    return f"{files}, {NOBODY}" if owners == [NOBODY] else f"{files} of {shown}"


def by_owner(accesses: Iterable[Access]) -> dict[str | None, list[Access]]:
    """Accesses by whose they are; those that are nobody's last."""
    found: dict[str | None, list[Access]] = {}
    for access in sorted(accesses, key=lambda one: (one.owner is None, one.owner or "", one.path)):
        found.setdefault(access.owner, []).append(access)
    return found
