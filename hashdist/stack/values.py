"""Read values of a parsed TOML document by their types, and collect what is wrong with them instead of stopping."""

from __future__ import annotations

from typing import Any

from hashdist.errors import InvalidError

from .positions import KeyPath


class ValueReader:
    """Collects problems while it reads."""

    def __init__(self) -> None:
        self.problems: list[tuple[KeyPath, str]] = []
        """Where something is wrong, and what."""

    def _fault(self, path: KeyPath, fault: str) -> None:
        self.problems.append((path, fault))

    def _check(self, path: KeyPath, check: Any, value: str) -> None:
        try:
            check(value)
        except InvalidError as error:
            self._fault(path, error.problems[0])

    def _known(self, path: KeyPath, table: dict[str, Any], known: set[str]) -> None:
        for key in table:
            if key not in known:
                self._fault((*path, key), f"unknown key (known: {', '.join(sorted(known))})")

    def _table(self, path: KeyPath, table: dict[str, Any], key: str) -> dict[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            self._fault((*path, key), "must be a table")
            return {}
        return value

    def _text(self, path: KeyPath, table: dict[str, Any], key: str) -> str | None:
        value = table.get(key)
        if value is not None and (not isinstance(value, str) or "\0" in value):
            self._fault((*path, key), "must be text")
            return None
        return value

    def _texts(self, path: KeyPath, table: dict[str, Any], key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
            self._fault((*path, key), "must be a list of texts")
            return ()
        return tuple(value)

    def _flag(self, path: KeyPath, table: dict[str, Any], key: str, *, default: bool) -> bool:
        value = table.get(key, default)
        if not isinstance(value, bool):
            self._fault((*path, key), "must be true or false")
            return default
        return value
