"""Names of git objects: one type for each kind, 40 hexadecimal digits, never invalid.

They are strings so that they print, sort, join paths and enter JSON as they are, and so that a command
that only moves a ref need not load more than this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NewType

from hashdist.errors import InvalidError

if TYPE_CHECKING:
    from typing import Self

#: The 20 bytes of a name, as trees, packs and caches hold them: for code that handles names by the ten thousand.
RawId = NewType("RawId", bytes)
HEX_DIGITS = 40
_HEX = "0123456789abcdef"


class ObjectId(str):
    """The SHA-1 name of a git object. Raises `InvalidError` for anything but 40 lower-case hex digits."""

    __slots__ = ()

    def __new__(cls, text: str) -> ObjectId:
        """Check and take `text`."""
        if len(text) != HEX_DIGITS or text.strip(_HEX):
            raise InvalidError(f"not a {cls.__name__}: '{text}'", hint="ids are 40 hexadecimal digits")
        return super().__new__(cls, text)

    @classmethod
    def trusted(cls, text: str) -> Self:
        """Take what comes from a hash function, or is covered by a checksum, without a look at each digit."""
        return str.__new__(cls, text)

    @property
    def raw(self) -> RawId:
        """The 20 bytes that trees hold."""
        return RawId(bytes.fromhex(self))

    @classmethod
    def of(cls, raw: RawId) -> Self:
        """The name with these bytes."""
        return cls.trusted(raw.hex())


class BlobId(ObjectId):
    """Names the bytes of a file."""

    __slots__ = ()


class TreeId(ObjectId):
    """Names a directory."""

    __slots__ = ()


class SourceId(TreeId):
    """Names a tree of upstream files; ``swh:1:dir:<id>`` is the same thing's SWHID."""

    __slots__ = ()


class SpecId(TreeId):
    """Names the tree that determines an artifact."""

    __slots__ = ()


class CommitId(ObjectId):
    """Names a commit."""

    __slots__ = ()


def is_hex(text: str) -> bool:
    """Whether `text` could be (the beginning of) an object id."""
    return 0 < len(text) <= HEX_DIGITS and not text.strip(_HEX)
