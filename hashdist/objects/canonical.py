"""Canonical JSON: the one encoding of everything that is hashed as JSON.

UTF-8 without escapes beyond those JSON demands, keys sorted by code point, no space, no floats, a final
newline. Equal values have equal bytes, and `loads` takes nothing else. Golden vectors pin it.
"""

from __future__ import annotations

import json
from typing import TypeAlias

from hashdist.errors import InvalidError

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

#: Integers beyond this are not kept exactly by other readers of JSON.
INTEGER_LIMIT = 2**53
#: Values nested deeper than this are refused, on write and on read.
DEPTH_LIMIT = 64


class NotCanonicalError(InvalidError):
    """A value that has no canonical JSON, or bytes that are not it."""


def dumps(value: Json) -> bytes:
    """Encode `value`; raises `NotCanonicalError` for floats, odd keys, huge integers, lone surrogates."""
    _check(value, 0)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError as error:
        raise NotCanonicalError(f"text is not Unicode: {error.reason}") from error


def loads(data: bytes) -> Json:
    """Decode bytes that `dumps` made; raises `NotCanonicalError` for any others."""
    try:
        value: Json = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise NotCanonicalError(f"not JSON: {error}") from error
    if dumps(value) != data:
        raise NotCanonicalError("JSON is not in its canonical form")
    return value


def _check(value: object, depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise NotCanonicalError(f"values are nested more than {DEPTH_LIMIT} deep")
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, int):
        if abs(value) > INTEGER_LIMIT:
            raise NotCanonicalError(f"integer {value} is beyond 2^53")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotCanonicalError(f"key {key!r} is not text")
            _check(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item, depth + 1)
    else:
        raise NotCanonicalError(f"a {type(value).__name__} has no canonical JSON")


def dumps_indented(value: Json) -> bytes:
    """The same rules, indented by one space a level: for documents that people diff and nobody hashes as JSON."""
    dumps(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"


def loads_indented(data: bytes) -> Json:
    """Read JSON in any layout, by the same rules; raises `NotCanonicalError`."""
    try:
        value: Json = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise NotCanonicalError(f"not JSON: {error}") from error
    dumps(value)
    return value
