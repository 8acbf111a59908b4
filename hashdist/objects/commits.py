"""Commits: who recorded what, when and why; their bytes, as git has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hashdist.errors import DamagedError

from .ids import CommitId, TreeId


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a commit."""

    name: str
    """A person's name, without ``<``, ``>`` and line ends."""
    email: str
    """Their address, likewise."""

    def __str__(self) -> str:
        """Give ``Name <address>`` as git writes it."""
        clean = [part.translate({ord(c): None for c in "<>\n\0"}).strip() for part in (self.name, self.email)]
        return f"{clean[0] or 'unknown'} <{clean[1]}>"


#: Author of commits that must be the same in every store.
NOBODY = Identity("hashdist", "")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: a tree, what came before, and who recorded it when and why."""

    id: CommitId
    """Its own name."""
    tree: TreeId
    """What it holds."""
    parents: tuple[CommitId, ...]
    """What came before, first parent first."""
    author: str
    """``Name <address>`` of who made the change."""
    authored: int
    """When that was, in seconds since 1970, UTC."""
    time: int
    """When the commit was made, likewise."""
    message: str
    """The whole message, trailers included."""

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.split("\n", 1)[0]


def encode_commit(
    tree: TreeId,
    *,
    parents: Sequence[CommitId],
    identity: Identity,
    time: int,
    message: str,
    change_of: Commit | None = None,
) -> bytes:
    """The bytes of a commit; `time` is in seconds since 1970, the zone is UTC.

    `change_of` is the commit whose change it makes here: its author stays the author.
    """
    author = f"{identity} {time}" if change_of is None else f"{change_of.author} {change_of.authored}"
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += [f"author {author} +0000", f"committer {identity} {time} +0000", ""]
    return _with_message(lines, message)


def encode_tag(commit: CommitId, *, name: str, identity: Identity, time: int, message: str) -> bytes:
    """The bytes of a tag object of a commit."""
    lines = [f"object {commit}", "type commit", f"tag {name}", f"tagger {identity} {time} +0000", ""]
    return _with_message(lines, message)


def _with_message(lines: Sequence[str], message: str) -> bytes:
    return "\n".join([*lines, message.rstrip() + "\n"]).encode(errors="backslashreplace").replace(b"\0", b"")


def _field(line: str, name: str) -> str:
    """The value of a header of a commit, which must be of a name; raises `ValueError`."""
    key, _, value = line.partition(" ")
    if key != name:
        raise ValueError(f"'{key[:20]}' where '{name}' should be")
    return value


def parse_commit(id: CommitId, data: bytes) -> Commit:
    """Read the bytes of a commit; raises `DamagedError`."""
    head, _, message = data.decode("utf-8", errors="replace").partition("\n\n")
    lines = head.split("\n")
    # in git's order, and no further: a parent that stands elsewhere is none
    count = next((number for number, line in enumerate(lines[1:]) if not line.startswith("parent ")), 0)
    try:
        tree = TreeId(lines[0].removeprefix("tree "))
        parents = tuple(CommitId(line.removeprefix("parent ")) for line in lines[1 : count + 1])
        who, by = lines[count + 1 : count + 3]
        author, authored, _zone = _field(who, "author").rsplit(" ", 2)
        stamp = _field(by, "committer").rsplit(" ", 2)[1]
        return Commit(id, tree, parents, author, int(authored), int(stamp), message)
    except ValueError as error:
        raise DamagedError(f"commit {id} is malformed") from error
