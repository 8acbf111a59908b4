"""Who brought each line of a stack file, when and why: git's own blame."""

from __future__ import annotations

from dataclasses import dataclass

from hashdist import process
from hashdist.errors import NotFoundError
from hashdist.objects.ids import CommitId
from hashdist.stack.sections import sections
from hashdist.stack.units import PACKAGES
from hashdist.store.store import Store

from .profile import STACK, read_profile


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a stack file."""

    number: int
    """Counted from one."""
    text: str
    """Itself, without its end."""
    commit: CommitId
    """The commit that brought it."""
    author: str
    """``Name <address>``."""
    time: int
    """When, in seconds since 1970."""
    subject: str
    """Why: the first line of the commit's message."""


def blame(store: Store, commit: CommitId, package: str | None = None) -> list[Line]:
    """The lines of a commit's stack file, or those of one package of it; raises `NotFoundError`."""
    profile = read_profile(store.objects, commit)
    wanted = _lines_of(profile.text, package) if package is not None else range(1, profile.text.count("\n") + 2)
    command = ["git", "blame", "--porcelain", "--root", commit, "--", STACK]
    output = process.run(command, env=store.git_env()).decode(errors="replace")
    return [line for line in _parse(output) if line.number in wanted]


def _lines_of(text: str, package: str) -> set[int]:
    """The numbers of a package's lines."""
    found: set[int] = set()
    number = 1
    for part in sections(text):
        count = part.text.count("\n")
        if part.path[:2] == (PACKAGES, package):
            found |= set(range(number, number + max(1, count)))
        number += count
    if not found:
        raise NotFoundError(f"no table of a package '{package}' in the stack file", hint="see: hdist list")
    return found


def _parse(output: str) -> list[Line]:
    """Read ``git blame --porcelain``: a commit's facts stand at its first line only."""
    facts: dict[str, dict[str, str]] = {}
    found = []
    head: list[str] = []
    for line in output.split("\n")[:-1]:
        if not head:
            head = line.split(" ")
            facts.setdefault(head[0], {})
        elif line.startswith("\t"):
            about = facts[head[0]]
            who = f"{about['author']} {about['author-mail']}"
            number, time = int(head[2]), int(about["author-time"])
            found.append(Line(number, line[1:], CommitId(head[0]), who, time, about["summary"]))
            head = []
        else:
            key, _, value = line.partition(" ")
            facts[head[0]][key] = value
    return found
