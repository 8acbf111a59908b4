"""Where an artifact lies: a pattern such as ``{name}/{version}/{hash:12}``, fixed when a store is made."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hashdist.errors import InvalidError

from .artifact_id import ArtifactId

DEFAULT_PATTERN = "{name}/{version}/{hash:12}"
#: Fewer digits of the hash than this would clash in a large store.
HASH_DIGITS = 12
_FIELD = re.compile(r"\{(name|version|hash)(?::(\d+))?\}")
_LITERAL = re.compile(r"[A-Za-z0-9._+/-]*\Z")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")


@dataclass(frozen=True, slots=True)
class Layout:
    """A path pattern; raises `InvalidError` when it cannot tell artifacts apart or leads elsewhere."""

    pattern: str = DEFAULT_PATTERN
    """Fields ``{name}``, ``{version}``, ``{hash:N}`` with N from 12 to 40, between plain path characters."""

    def __post_init__(self) -> None:
        """Refuse what would not work."""
        digits = [int(length or 40) for field, length in _FIELD.findall(self.pattern) if field == "hash"]
        parts = _FIELD.sub("x", self.pattern).split("/")
        if not _LITERAL.match(_FIELD.sub("", self.pattern)) or any(part in {"", ".", ".."} for part in parts):
            raise InvalidError(f"bad path pattern '{self.pattern}'", hint=f"for example {DEFAULT_PATTERN}")
        if not digits or not all(HASH_DIGITS <= count <= 40 for count in digits):  # noqa: PLR2004 - all of SHA-1
            raise InvalidError(
                f"path pattern '{self.pattern}' must hold {{hash:{HASH_DIGITS}}} or longer",
                hint=f"for example {DEFAULT_PATTERN}",
            )

    def path(self, artifact: ArtifactId) -> str:
        """The relative path of an artifact; characters that search paths cannot have become ``_``."""

        def field(match: re.Match[str]) -> str:
            name, length = match.groups()
            if name == "hash":
                return artifact.spec[: int(length or 40)]
            return _UNSAFE.sub("_", artifact.name if name == "name" else artifact.version)

        return _FIELD.sub(field, self.pattern)

    @staticmethod
    def plain(text: str) -> str:
        """A name or version as it can stand in a path."""
        return _UNSAFE.sub("_", text)

    def hash_part(self, artifact: ArtifactId) -> str:
        """The longest run of hash digits in the path: what a reference to the artifact must contain."""
        lengths = [int(length or 40) for field, length in _FIELD.findall(self.pattern) if field == "hash"]
        return artifact.spec[: max(lengths)]

    def hash_in(self, path: str) -> str | None:
        """The longest run of hash digits in the relative path of an artifact; None if none has such a path."""
        match = re.fullmatch(_FIELD.sub(_field_pattern, re.sub(r"([.+])", r"\\\1", self.pattern)), path)
        return max(match.groups(), key=len) if match else None

    @property
    def depth(self) -> int:
        """How many directories deep artifacts lie."""
        return self.pattern.count("/") + 1


def _field_pattern(match: re.Match[str]) -> str:
    if match[1] == "hash":
        return f"([0-9a-f]{{{int(match[2] or 40)}}})"
    return "[A-Za-z0-9._+-]+"
