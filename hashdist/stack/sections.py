"""A stack file as text cut into parts: tables of packages, and the single entries of all other tables.

A part is a header or an entry with the comments right above it and what belongs to it. It is cut by a scan that knows
strings, lists and comments, and not by a whole parser, which takes a second for 300 packages. What is put together of
parts is always parsed and compared afterwards, so that a cut in the wrong place does no harm.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""'
    r"|'''.*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|(?P<header>^[ \t]*\[[^\n\[].*?\][ \t]*(?:#[^\n]*)?\r?$)"
    r"|#[^\n]*"
    r"|(?P<open>[\[{])|(?P<close>[\]}])"
    r"|(?P<end>\n)",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"[ \t]*#")
_KEY = re.compile(r"""[ \t]*((?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+|[ \t]*\.[ \t]*)+)[ \t]*=""")
#: Tables whose entries belong together and are not cut.
_WHOLE = "packages"
_NAMED = 2

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a stack file."""

    path: Path
    """The keys of the table or entry; empty for what stands before all of them."""
    text: str
    """All of its text."""
    header: bool = False
    """Whether it is a table's header, with no entry in it but those of a package."""


def sections(text: str) -> list[Section]:
    """Cut a stack file; the texts together are all of it."""
    found: list[Section] = []
    path: Path = ()
    start, header = 0, False
    for position, next_path, is_header in _beginnings(text):
        begin = _with_comments(text, position, start)
        if begin > start or header or path:
            found.append(Section(path, text[start:begin], header))
        path, start, header = next_path, begin, is_header
    found.append(Section(path, text[start:], header))
    return found


def _beginnings(text: str) -> Iterator[tuple[int, Path, bool]]:
    """Where headers and entries begin, with their keys."""
    table: Path = ()
    depth = 0
    ends = [0]
    for match in _TOKEN.finditer(text):
        if match["header"] is not None and depth == 0:
            path = _path(match["header"].strip())
            if path:
                yield from _entries(text, ends, table)
                table, ends = path, []
                yield match.start(), path, True
        elif match["open"]:
            depth += 1
        elif match["close"]:
            depth = max(0, depth - 1)
        elif match["end"] and depth == 0:
            ends.append(match.end())
    yield from _entries(text, ends, table)


def _entries(text: str, lines: Sequence[int], table: Path) -> Iterator[tuple[int, Path, bool]]:
    """The entries among lines that begin outside of strings and lists; none of a package, which is whole."""
    if table[:1] == (_WHOLE,) and len(table) >= _NAMED:
        return
    for start in lines:
        match = _KEY.match(text, start)
        if match is not None:
            path = _path(f"[{match[1].strip()}]")
            if path:
                yield start, (*table, *path), False


def _path(header: str) -> Path:
    try:
        table: object = tomllib.loads(header)
    except tomllib.TOMLDecodeError:
        return ()  # the end of a list of lists
    path = []
    while isinstance(table, dict) and len(table) == 1:
        ((key, table),) = table.items()
        path.append(key)
    return tuple(path)


def _with_comments(text: str, position: int, floor: int) -> int:
    """Where the comments begin that stand right above something."""
    while position > floor:
        above = text.rfind("\n", 0, position - 1) + 1
        if above < floor or not _COMMENT.match(text, above, position):
            break
        position = above
    return position


def text_of(parts: Sequence[Section], path: Path) -> str | None:
    """The text of a table with its tables below, or of an entry, if it stands in one piece."""
    places = [index for index, part in enumerate(parts) if part.path[: len(path)] == path]
    if not places or places[-1] - places[0] >= len(places):
        return None
    return "".join(parts[index].text for index in places)


def replaced(parts: Sequence[Section], path: Path, text: str) -> list[Section]:
    """The parts with another text in the place of a table or an entry."""
    found: list[Section] = []
    done = False
    for part in parts:
        if part.path[: len(path)] != path:
            found.append(part)
        elif not done:
            found.append(Section(path, text, part.header))
            done = True
    return [part for part in found if part.text or not part.path]


def inserted(parts: Sequence[Section], path: Path, after: Path | None, text: str, header: str) -> list[Section]:
    """The parts with a new one: behind the one at `after`, at the end of its table, or at the end of all.

    `header` stands before it where there is no such table yet.
    """
    alone = text.lstrip().startswith(("[", "#")) and len(path) == _NAMED and path[0] == _WHOLE
    places = [index for index, part in enumerate(parts) if after is not None and part.path[: len(after)] == after]
    if not places and not alone:
        places = [index for index, part in enumerate(parts) if part.path[:-1] == path[:-1] or part.path == path[:-1]]
    place = places[-1] + 1 if places else len(parts)
    before, behind = list(parts[:place]), list(parts[place:])
    gap = ""
    if before and before[-1].text:
        last = before[-1]
        body = last.text.rstrip("\n")
        gap = last.text[len(body) + 1 :]
        before[-1] = Section(last.path, f"{body}\n", last.header)
    body = text.strip("\n") + "\n"
    if alone or not places:
        body = f"{'' if alone else header}{body}"
        if before and before[-1].text.strip():
            body = "\n" + body
        if not gap and behind:
            gap = "\n"
    return [*before, Section(path, body + (gap if behind else ""), alone), *behind]


def joined(parts: Sequence[Section]) -> str:
    """The text that parts make."""
    return "".join(part.text for part in parts)
