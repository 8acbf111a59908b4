"""Read small text files that others wrote."""

from __future__ import annotations

from hashdist.errors import InvalidError, NotFoundError

_LIMIT = 16 << 20


def read_text(path: str, what: str) -> str:
    """The text of a file; raises `NotFoundError`, or `InvalidError` for what is none."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"no {what} '{path}'") from error
    except IsADirectoryError as error:
        raise InvalidError(f"'{path}' is a directory, not a {what}") from error
    if len(data) > _LIMIT:
        raise InvalidError(f"'{path}' is larger than {_LIMIT} bytes (limit: {what})")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InvalidError(f"'{path}' is not UTF-8: {error.reason} at byte {error.start}") from error
