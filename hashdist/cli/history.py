"""Commits in words, and drawn as a graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hashdist.fsutil.clock import time_text

if TYPE_CHECKING:
    from hashdist.objects.commits import Commit
    from hashdist.workflow.comparing import Change

_SHOWN = 4


def commit_lines(commit: Commit) -> Iterator[str]:
    """A commit as git shows it."""
    yield f"commit {commit.id}"
    if len(commit.parents) > 1:
        yield f"Merge:  {' '.join(parent[:12] for parent in commit.parents)}"
    yield from (f"Author: {commit.author}", f"Date:   {time_text(commit.authored)}", "")
    yield from (f"    {line}" for line in commit.message.rstrip("\n").split("\n"))
    yield ""


def commit_json(commit: Commit) -> dict[str, Any]:
    """The same for machines."""
    return {
        "commit": commit.id,
        "parents": list(commit.parents),
        "author": commit.author,
        "time": time_text(commit.authored),
        "message": commit.message,
    }


def stat_line(changes: Sequence[Change]) -> str:
    """What a commit changed, in one line."""
    own = [change for change in changes if not change.follows]
    words = [_word(change) for change in own[:_SHOWN]]
    if len(own) > _SHOWN:
        words.append(f"and {len(own) - _SHOWN} more")
    following = len(changes) - len(own)
    if following:
        words.append(f"{following} {'follows' if following == 1 else 'follow'}")
    return ", ".join(words) or "nothing but its words"


def _word(change: Change) -> str:
    if change.kind != "changed":
        return f"{'+' if change.kind == 'added' else '-'} {change.name} {change.details[0]}"
    first = change.details[0]
    return f"{change.name} {first.removeprefix('version ')}"
