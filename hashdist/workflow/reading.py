"""Read small text files that others wrote."""

from __future__ import annotations

import os

from hashdist.errors import InvalidError, NotFoundError

_LIMIT = 16 << 20


def read_bytes(path: str, what: str, *, limit: int = _LIMIT) -> bytes:
    """The bytes of a file of at most `limit`; raises `NotFoundError`, or `InvalidError` for what is none or larger."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise InvalidError(f"'{path}' is not a file, so no {what}")
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"no {what} '{path}'") from error
    if len(data) > limit:
        raise InvalidError(f"'{path}' is larger than {limit} bytes (limit: {what})")
    return data


def read_text(path: str, what: str) -> str:
    """The text of a file; raises likewise, and `InvalidError` for what is not UTF-8."""
    try:
        return read_bytes(path, what).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InvalidError(f"'{path}' is not UTF-8: {error.reason} at byte {error.start}") from error
