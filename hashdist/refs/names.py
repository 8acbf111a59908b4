"""Names of refs, and which of them keep things alive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from hashdist.errors import InvalidError

Id = TypeVar("Id")

HEADS = "refs/heads/"
TAGS = "refs/tags/"
HOSTS = "refs/hosts/"
CHECKOUTS = "refs/checkouts/"
PINS = "refs/pins/"
UNDO = "refs/undo/"
MERGING = "refs/merging/"
BISECT = "refs/bisect/"
SOURCES = "refs/sources/"
ARTIFACTS = "refs/artifacts/"
PROVENANCE = "refs/provenance/"
REMOTES = "refs/remotes/"

#: What keeps things alive; all others are indexes, kept only while reached.
ROOTS = (HEADS, TAGS, HOSTS, CHECKOUTS, PINS, UNDO, MERGING, BISECT)
#: The checkout that commands mean when none is named; its branch is the repository's own HEAD.
DEFAULT_CHECKOUT = "current"
_LIMIT = 255
#: Profiles and tags are shorter: what remembers a deleted one has a longer name.
_SHORT = 180
_FORBIDDEN = frozenset(" ~^:?*[\\\x7f") | frozenset(map(chr, range(32)))


def check_ref_name(name: str, *, what: str = "ref") -> str:
    """Return `name` if git takes it as (part of) a ref's name, by the rules of ``git check-ref-format``.

    Raises `InvalidError`.
    """
    fault = _fault(name)
    if fault:
        raise InvalidError(
            f"bad {what} name '{name[:60]}': {fault}", hint="use letters, digits and . _ + - with / between parts"
        )
    return name


def _fault(name: str) -> str | None:
    if not name:
        return "it is empty"
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "it is not UTF-8"
    if length > _LIMIT:
        return f"it is longer than {_LIMIT} bytes"
    if name.startswith("-"):
        return "it begins with '-'"
    if _FORBIDDEN & frozenset(name) or "@{" in name or ".." in name or name == "@":
        return "it has characters that git keeps for itself"
    for part in name.split("/"):
        if not part or part.startswith(".") or part.endswith((".", ".lock")):
            return "a part is empty, begins or ends with '.', or ends with '.lock'"
    return None


def below(prefix: str, refs: Mapping[str, Id]) -> dict[str, Id]:
    """Those of some refs that begin with `prefix`, without it."""
    return {name[len(prefix) :]: id for name, id in refs.items() if name.startswith(prefix)}


def check_profile_name(name: str) -> str:
    """Return `name` if it can be a profile's; raises `InvalidError`."""
    if name == "HEAD" or name.startswith("refs/"):
        raise InvalidError(f"bad profile name '{name}': git keeps it for itself")
    return check_short_name(name, what="profile")


def check_short_name(name: str, *, what: str) -> str:
    """Return `name` if it can be a profile's or a tag's last part; raises `InvalidError`."""
    if len(name.encode(errors="replace")) > _SHORT:
        raise InvalidError(f"bad {what} name '{name[:60]}…': it is longer than {_SHORT} bytes")
    return check_ref_name(name, what=what)


def is_ref_name(name: str) -> bool:
    """Whether a ref could have this name."""
    return _fault(name) is None


def is_undoable(name: str) -> bool:
    """Whether moves of a ref are part of operations that can be undone: not those of indexes and memories."""
    return name == "HEAD" or (name.startswith(ROOTS) and not name.startswith(UNDO))


def head_ref(checkout: str) -> str:
    """The ref that says which branch a checkout follows."""
    return "HEAD" if checkout == DEFAULT_CHECKOUT else f"{CHECKOUTS}{checkout}/HEAD"


def at_ref(checkout: str) -> str:
    """The ref that says which commit a checkout shows."""
    return f"{CHECKOUTS}{checkout}/at"


def short_name(ref: str) -> str:
    """What people call a ref: without ``refs/heads/``, ``refs/tags/`` or ``refs/``."""
    for prefix in (HEADS, TAGS, "refs/"):
        if ref.startswith(prefix):
            return ref[len(prefix) :]
    return ref
