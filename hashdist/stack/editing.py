"""Change a stack file as text, keeping its comments and order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from hashdist.errors import InvalidError, NotFoundError

_BARE_NEWLINE = re.compile(r"(?<!\r)\n")


def set_key(text: str, key: str, value: str) -> str:
    """The text with the dotted `key` set to `value`; tables on the way are made.

    true, false, and what begins like a TOML string, list or table is taken as TOML, all else as text. Raises
    `InvalidError`.
    """
    document = tomlkit.parse(text)
    *parents, last = _split(key)
    table: Any = document
    for depth, name in enumerate(parents):
        if name not in table and depth > 1:
            _append(table, {name: tomlkit.inline_table()})
        elif name not in table:
            table[name] = tomlkit.table() if not _inline(table) else tomlkit.inline_table()
        table = table[name]
        if not isinstance(table, dict):
            raise InvalidError(f"'{name}' in '{key}' is not a table")
    if last in table:
        table[last] = _value(value)
    else:
        _append(table, {last: _value(value)})
    return tomlkit.dumps(document)


def unset_key(text: str, key: str) -> str:
    """The text without the dotted `key`; raises `NotFoundError` if it is not set."""
    document = tomlkit.parse(text)
    *parents, last = _split(key)
    table: Any = document
    for name in parents:
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict) or last not in table:
        raise NotFoundError(f"'{key}' is not set in the stack file")
    del table[last]
    return tomlkit.dumps(document)


def add_package(text: str, name: str, fields: dict[str, Any]) -> str:
    """The text with a new package at its end; raises `InvalidError` if there is one of that name."""
    document = tomlkit.parse(text)
    packages: Any = document.get("packages", {})
    if name in packages:
        raise InvalidError(f"there is a package '{name}' already", hint=f"hdist set packages.{name}.KEY=VALUE")
    lines = [f"[packages.{tomlkit.key(name).as_string()}]"]
    for key, value in fields.items():
        if value in (None, [], ()):
            continue
        item = tomlkit.item(value)
        if isinstance(value, dict):
            item = tomlkit.inline_table()
            item.update(value)
        lines.append(f"{key} = {item.as_string()}")
    return text.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"


def put_package(text: str, name: str, fields: Mapping[str, Any]) -> str:
    """The text with a package as it is to be: a new one at the end, or one of that name with these keys.

    Other keys of one that is there stay, and so do comments.
    """
    document = tomlkit.parse(text)
    packages: Any = document.get("packages", {})
    if name not in packages:
        return add_package(text, name, dict(fields))
    table = packages[name]
    for key, value in fields.items():
        if value in (None, [], ()):
            table.pop(key, None)
            continue
        item = tomlkit.item(value)
        if isinstance(value, dict):
            item = tomlkit.inline_table()
            item.update(value)
        table[key] = item
    return tomlkit.dumps(document)


def declare(text: str, host: Mapping[str, str], inputs: Mapping[str, Sequence[str]]) -> str:
    """The text with more host entries (name to finder), and more inputs of packages; what is there already stays.

    Raises `NotFoundError` for a package that is not there.
    """
    document = tomlkit.parse(text)
    packages: Any = document.get("packages", {})
    for name, more in inputs.items():
        if name not in packages:
            raise NotFoundError(f"no package '{name}' in the stack file", hint="see: hdist list")
        if "inputs" not in packages[name]:
            _append(packages[name], {"inputs": tomlkit.array()})
        known = packages[name]["inputs"]
        known.extend(one for one in more if one not in known)
    new = {name: finder for name, finder in host.items() if name not in document.get("host", {})}
    if "host" in document:
        _append(document["host"], new)
    found = tomlkit.dumps(document)
    if new and "host" not in document:
        lines = (f"{tomlkit.key(name).as_string()} = {tomlkit.item(find).as_string()}\n" for name, find in new.items())
        found = f"{found.rstrip()}\n\n[host]\n{''.join(lines)}"
    return _BARE_NEWLINE.sub("\r\n", found) if "\r\n" in text else found


def _append(table: Any, values: Mapping[str, Any]) -> None:
    """Put values at the end of a table, before the comments and blank lines that belong to what follows it."""
    body = table.value.body if isinstance(table, tomlkit.items.Table) else []
    tail = []
    while values and len(body) > 1 and body[-1][0] is None:
        tail.append(body.pop())
    for name, value in values.items():
        table[name] = value
    body.extend(reversed(tail))


def remove_package(text: str, name: str) -> str:
    """The text without a package; raises `NotFoundError` if there is none of that name."""
    document = tomlkit.parse(text)
    packages: Any = document.get("packages", {})
    if name not in packages:
        raise NotFoundError(f"no package '{name}' in the stack file", hint="see: hdist list")
    del packages[name]
    return tomlkit.dumps(document)


def _inline(table: Any) -> bool:
    return isinstance(table, tomlkit.items.InlineTable)


def _split(key: str) -> list[str]:
    """The parts of a dotted key; quotes protect dots, as in TOML."""
    try:
        parsed: Any = tomlkit.parse(f"{key} = 0")
    except TOMLKitError as error:
        raise InvalidError(f"bad key '{key}'", hint="for example packages.lz4.env.CFLAGS") from error
    parts = []
    while isinstance(parsed, dict):
        ((name, parsed),) = parsed.items()
        parts.append(name)
    return parts


def _value(text: str) -> Any:
    if text in {"true", "false"} or text.startswith(("[", "{", '"', "'")):
        try:
            return tomlkit.value(text)
        except TOMLKitError as error:
            raise InvalidError(f"bad value '{text}': {error}") from error
    return text
