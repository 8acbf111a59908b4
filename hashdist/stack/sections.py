"""A stack file as text cut into sections: a table's header, the comments right above it, and what stands below.

Cut by a scan that knows strings and comments, and not by a whole parser, which takes a second for 300 packages. What is
put together of sections is always parsed and compared afterwards, so that a cut in the wrong place does no harm.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""'
    r"|'''.*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|(?P<header>^[ \t]*\[[^\n\[].*?\][ \t]*(?:#[^\n]*)?$)"
    r"|#[^\n]*",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"[ \t]*#")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a stack file."""

    path: Path
    """The keys in its header; empty for what stands before the first."""
    text: str
    """All of its text."""


def sections(text: str) -> list[Section]:
    """Cut a stack file; the texts together are all of it. The first, which has no header, may be empty."""
    found: list[Section] = []
    path: Path = ()
    start = 0
    for position, header in _headers(text):
        begin = _with_comments(text, position, start)
        found.append(Section(path, text[start:begin]))
        path, start = header, begin
    found.append(Section(path, text[start:]))
    return found


def _headers(text: str) -> Iterator[tuple[int, Path]]:
    for match in _TOKEN.finditer(text):
        if match["header"] is not None:
            path = _path(match["header"])
            if path:
                yield match.start(), path


def _path(header: str) -> Path:
    try:
        table = tomllib.loads(header)
    except tomllib.TOMLDecodeError:
        return ()  # the end of a list of lists
    path = []
    while table:
        ((key, table),) = table.items()
        path.append(key)
    return tuple(path)


def _with_comments(text: str, position: int, floor: int) -> int:
    """Where the comments begin that stand right above a header."""
    while position > floor:
        above = text.rfind("\n", 0, position - 1) + 1
        if above < floor or not _COMMENT.match(text, above, position):
            break
        position = above
    return position


def text_of(parts: list[Section], path: Path) -> str | None:
    """The text of a table with its tables below, if it stands in one piece."""
    places = [index for index, part in enumerate(parts) if part.path[: len(path)] == path]
    if not places or places[-1] - places[0] >= len(places):
        return None
    return "".join(parts[index].text for index in places)


def replaced(parts: list[Section], path: Path, text: str) -> list[Section]:
    """The sections with another text in the place of a table and of those below it."""
    found: list[Section] = []
    done = False
    for part in parts:
        if part.path[: len(path)] != path:
            found.append(part)
        elif not done:
            found += [Section(one.path, one.text) for one in sections(text) if one.text]
            done = True
    return found


def inserted(parts: list[Section], after: Path | None, text: str) -> list[Section]:
    """The sections with a new one behind the table `after`, or at the end."""
    places = [index for index, part in enumerate(parts) if after is not None and part.path[: len(after)] == after]
    place = places[-1] + 1 if places else len(parts)
    new = [one for one in sections(text.strip("\n") + "\n") if one.text]
    before, behind = list(parts[:place]), list(parts[place:])
    if before and before[-1].text:
        last = before[-1]
        before[-1] = Section(last.path, last.text.rstrip("\n") + "\n\n")
    if behind and new:
        new[-1] = Section(new[-1].path, new[-1].text + "\n")
    return [*before, *new, *behind]


def joined(parts: list[Section]) -> str:
    """The text that sections make."""
    return "".join(part.text for part in parts)
