"""Reflogs: what a ref was before, who moved it when and why."""

from __future__ import annotations

from dataclasses import dataclass

from hashdist.errors import DamagedError
from hashdist.objects.ids import CommitId


@dataclass(frozen=True, slots=True)
class ReflogEntry:
    """One move of a ref."""

    old: CommitId | None
    """Where it was; None when it was made."""
    new: CommitId
    """Where it went."""
    who: str
    """``Name <address>``."""
    time: int
    """Seconds since 1970, UTC."""
    reason: str
    """Which command, and why."""

    @classmethod
    def parse(cls, line: str) -> ReflogEntry:
        """Read a line of git's ``logs/`` files; raises `DamagedError`."""
        head, _, reason = line.partition("\t")
        try:
            ids, stamp = head.rsplit(" ", 2)[0], head.rsplit(" ", 2)[1]
            old, new, who = ids.split(" ", 2)
            return cls(CommitId(old) if old.strip("0") else None, CommitId(new), who, int(stamp), reason)
        except (ValueError, IndexError) as error:
            raise DamagedError(f"bad line in a reflog: '{line[:80]}'") from error


def parse_reflog(path: str) -> tuple[ReflogEntry, ...]:
    """Read a reflog, newest first; none where there is no file. An unfinished last line (a crash) does not count."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
            text = file.read()
    except FileNotFoundError:
        return ()
    complete = text[: text.rfind("\n") + 1]
    return tuple(ReflogEntry.parse(line) for line in reversed(complete.split("\n")[:-1]))
