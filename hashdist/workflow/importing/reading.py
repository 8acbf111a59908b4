"""Read small text files that others wrote."""

from __future__ import annotations

import os

from hashdist.errors import InvalidError, NotFoundError

_LIMIT = 16 << 20


def read_bytes(path: str, what: str) -> bytes:
    """The bytes of a file; raises `NotFoundError`, or `InvalidError` for what is none or too large."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise InvalidError(f"'{path}' is not a file, so no {what}")
    try:
        with open(path, "rb") as file:
            data = file.read(_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"no {what} '{path}'") from error
    if len(data) > _LIMIT:
        raise InvalidError(f"'{path}' is larger than {_LIMIT} bytes (limit: {what})")
    return data


def read_text(path: str, what: str) -> str:
    """The text of a file; raises likewise, and `InvalidError` for what is not UTF-8."""
    try:
        return read_bytes(path, what).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InvalidError(f"'{path}' is not UTF-8: {error.reason} at byte {error.start}") from error
