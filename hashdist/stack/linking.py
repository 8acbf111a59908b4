"""Rules of linking: which files a prefix leaves out, takes from whom, copies, or links one by one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

RuleKind = Literal["exclude", "prefer", "copy", "link"]
RULE_KINDS: tuple[RuleKind, ...] = ("exclude", "prefer", "copy", "link")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
_LONG = 4096
#: Of so many, each in any depth, matching takes no time to speak of.
_MOST = 4


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; of those of a kind the first that fits counts."""

    kind: RuleKind
    """What is to be done with the files."""
    glob: str
    """Which, by path in the prefix: ``*`` and ``?`` stay within a name, ``**`` stands for any directories.

    What fits a directory holds for all below it.
    """
    package: str | None = None
    """Of which package alone; for ``prefer`` the one whose file is taken."""


def split_owner(text: str) -> tuple[str | None, str]:
    """A glob with the package that may stand before it: ``numpy:share/**``; what could be no package's name is glob."""
    owner, colon, glob = text.partition(":")
    return (owner, glob) if colon and _OWNER.match(owner) else (None, text)


def glob_fault(glob: str) -> str | None:
    """What is wrong with a glob; None if nothing is."""
    parts = glob.split("/")
    if not glob or len(glob) > _LONG or "\0" in glob:
        return 'must be a glob such as "share/doc/**"'
    if "" in parts or "." in parts or ".." in parts:
        return f"'{glob[:60]}' must be relative to the prefix, without '.', '..' or empty names"
    if any("**" in part.replace("[*]", "") and part != "**" for part in parts):
        return f"'{glob[:60]}': ** must stand alone between slashes"
    if parts.count("**") > _MOST:
        return f"'{glob[:60]}' has more than {_MOST} **"
    try:
        re.compile(translate(glob))
    except re.error as error:
        return f"'{glob[:60]}': {error.msg}"
    return None


def escape(path: str) -> str:
    """The glob that fits just this path; of bytes that are no text each fits ``?``."""
    special = "".join(f"[{char}]" if char in "*?[" else char for char in path)
    return re.sub("[\udc80-\udcff]", "?", special)


def translate(glob: str) -> str:
    """The regular expression of a glob: see `Rule.glob`. ``a/**`` fits all below ``a``, not ``a`` itself.

    >>> bool(re.match(translate("share/*.txt"), "share/a.txt")), bool(re.match(translate("**/*.la"), "lib/x/y.la"))
    (True, True)
    """
    parts: list[str] = []
    for part in glob.split("/"):
        if part != "**" or parts[-1:] != ["**"]:
            parts.append(part)
    found = ""
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if part == "**":
            found += ".+" if last else "(?:[^/]+/)*"
        else:
            found += _translate_name(part) + ("" if last else "/")
    return rf"(?s:{found}(?:/.*)?)\Z"


def _translate_name(name: str) -> str:
    found, position = "", 0
    while position < len(name):
        char = name[position]
        end = name.find("]", position + 2) if char == "[" else -1
        if char == "*":
            found += "[^/]*"
        elif char == "?":
            found += "[^/]"
        elif end > 0:
            inside = name[position + 1 : end]
            negated = inside[0] in "!^"
            body = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[1:] if negated else inside)
            found += f"[{'^/' if negated else ''}{body}]"
            position = end
        else:
            found += re.escape(char)
        position += 1
    return found
