"""Files of settings, the user's and the system's, and what may stand in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hashdist.errors import InvalidError, NotFoundError
from hashdist.refs.names import check_ref_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hashdist.stack.packages import JailChoice

#: What a file of settings may say, by table.
_KINDS: dict[str, dict[str, type]] = {
    "sources": {
        "mirrors": list,
        "downloads": str,
        "require-hash": bool,
        "limits": dict,
        "minimum-rate": int,
        "parallel": int,
    },
    "host": {"class": str},
    "build": {"jail": str},
    "trust": {"signers": str, "sign": str},
}


def named_class(env: Mapping[str, str]) -> str | None:
    """What the site calls hosts like this one (HDIST_HOST_CLASS, ``host.class``); None if it has no name for them."""
    named = env.get("HDIST_HOST_CLASS") or settings_table(env, "host").get("class")
    return _host_class(named) if named else None


def _host_class(named: str) -> str:
    if "/" in named:
        raise InvalidError(f"bad host class '{named}': it has a '/' in it")
    return check_ref_name(named, what="host class")


def jail_choice(env: Mapping[str, str], option: str | None = None) -> tuple[JailChoice | None, JailChoice]:
    """How builds are jailed: as the command or HDIST_JAIL says whatever else does, and ``build.jail`` of the settings.

    Raises `InvalidError`.
    """
    chosen = option or env.get("HDIST_JAIL") or None
    default = settings_table(env, "build").get("jail") or "report"
    return _choice(chosen, "HDIST_JAIL") if chosen else None, _choice(default, "build.jail")


def _choice(text: str, what: str) -> JailChoice:
    choices: tuple[JailChoice, ...] = ("off", "report", "enforce")
    for one in choices:
        if text == one:
            return one
    raise InvalidError(f"{what} must be one of off, report, enforce, not '{text}'")


def settings_table(env: Mapping[str, str], name: str) -> dict[str, Any]:
    """A table of the files of settings, the user's before the system's."""
    table: dict[str, Any] = {}
    for path in settings_files(env):
        table |= _read(path).get(name, {})
    return table


def settings_files(env: Mapping[str, str]) -> list[str]:
    """Where settings are looked for, the strongest last."""
    own = env.get("XDG_CONFIG_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".config")
    return ["/etc/hashdist/config.toml", os.path.join(own, "hashdist", "config.toml")]


def trust_paths(env: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The file of those of whom one must have signed (``trust.signers``), and the key to sign with (``trust.sign``)."""
    table = settings_table(env, "trust")
    found = [table.get("signers"), table.get("sign")]
    signers, key = (os.path.abspath(os.path.expanduser(path)) if path else None for path in found)
    return signers, key


def all_settings(env: Mapping[str, str]) -> dict[str, Any]:
    """All settings that are set, the user's before the system's, by ``table.key``."""
    return {f"{table}.{key}": value for table in _KINDS for key, value in sorted(settings_table(env, table).items())}


def one_setting(env: Mapping[str, str], key: str) -> Any:
    """One setting; raises `NotFoundError` if it is not set, `InvalidError` if there is none of that name."""
    _check_key(key)
    table, _, name = key.partition(".")
    name, _, inner = name.partition(".")
    found = settings_table(env, table).get(name)
    found = found.get(inner) if inner and isinstance(found, dict) else found
    if found is None:
        raise NotFoundError(f"'{key}' is not set", hint=f"hdist config {key} VALUE")
    return found


def change(env: Mapping[str, str], key: str, value: str | None) -> str:
    """Set a key in the user's file, or with None forget it, keeping comments; return the file's path.

    Raises `InvalidError` for what may not stand there, and then nothing changed.
    """
    from hashdist.fsutil.atomic import write_file  # noqa: PLC0415 - only here
    from hashdist.stack.editing import unset_key  # noqa: PLC0415

    _check_key(key)
    path = os.path.realpath(settings_files(env)[-1])
    if value is not None and key.startswith("trust."):
        value = os.path.abspath(os.path.expanduser(value))  # whoever stands elsewhere later means the same
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        text = ""
    _checked(path, text.encode())
    if value is None:
        try:
            text = unset_key(text, key)
        except NotFoundError as error:
            raise NotFoundError(f"'{key}' is not set in {path}") from error
    else:
        text = _with(text, key, value)
    _check_values(_checked(path, text.encode()))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_file(path, text.encode())
    return path


def _with(text: str, key: str, value: str) -> str:
    """The text of a file of settings in which a key has a value, which is read as what the key takes."""
    import tomlkit  # noqa: PLC0415 - only here

    table, _, name = key.partition(".")
    name, _, inner = name.partition(".")
    kind = _KINDS[table][name]
    if (kind is dict) != bool(inner):
        whole = f"{table}.{name}{'.NAME' if kind is dict else ''}"
        raise InvalidError(f"no setting '{key}'", hint=f"hdist config {whole} VALUE")
    document: Any = tomlkit.parse(text)
    place = document.setdefault(table, tomlkit.table())
    if kind is dict:
        place.setdefault(name, tomlkit.table())[inner] = _value(int, value) if value.isdecimal() else value
    else:
        place[name] = _value(kind, value)
    return tomlkit.dumps(document)


def _value(kind: type, text: str) -> object:
    """What a text means where something of a kind is wanted; the text itself if it means nothing of that kind."""
    import tomllib  # noqa: PLC0415 - only here

    if kind is str:
        return text
    if kind is list and not text.startswith("["):
        return text.split()
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _check_values(document: dict[str, dict[str, Any]]) -> None:
    """Raise `InvalidError` for values of the right type that no command would take."""
    from hashdist.objects.importing import Limits  # noqa: PLC0415 - only here
    from hashdist.sources.declaration import url_fault  # noqa: PLC0415

    build, host, sources = (document.get(name, {}) for name in ("build", "host", "sources"))
    if "jail" in build:
        _choice(build["jail"], "build.jail")
    if "class" in host:
        _host_class(host["class"])
    Limits.parse([f"{name}={value}" for name, value in sources.get("limits", {}).items()])
    problems = [
        f"sources.{key}: must be more than 0" for key in ("parallel", "minimum-rate") if sources.get(key, 1) < 1
    ]
    problems += [
        f"sources.mirrors: {fault}" for one in sources.get("mirrors", []) if "://" in one and (fault := url_fault(one))
    ]
    if problems:
        raise InvalidError(*problems)


def _check_key(key: str) -> None:
    table, _, name = key.partition(".")
    if table not in _KINDS or name.partition(".")[0] not in _KINDS[table]:
        known = ", ".join(f"{one}.{name}" for one, names in _KINDS.items() for name in names)
        raise InvalidError(f"no setting '{key}'", hint=f"there are {known}")


def _read(path: str) -> dict[str, dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    return _checked(path, data)


def _checked(path: str, data: bytes) -> dict[str, dict[str, Any]]:
    """What a file of settings says; raises `InvalidError`."""
    import tomllib  # noqa: PLC0415 - most have no such file

    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path}: {error}") from error
    problems = []
    for name, table in document.items():
        if name not in _KINDS:
            problems.append(f"{path}: unknown table '{name}'")
        elif not isinstance(table, dict):
            problems.append(f"{path}: '{name}' must be a table")
        else:
            problems += [f"{path}: {name}.{fault}" for fault in _faults(table, _KINDS[name])]
    if problems:
        raise InvalidError(*problems)
    return document


def _faults(table: dict[str, Any], kinds: dict[str, type]) -> list[str]:
    found = []
    for name, value in table.items():
        if name not in kinds:
            found.append(f"{name}: unknown key: there are {', '.join(kinds)}")
        elif not isinstance(value, kinds[name]) or (kinds[name] is int and isinstance(value, bool)):
            found.append(f"{name}: must be of type {kinds[name].__name__}")
    mirrors = table.get("mirrors", [])
    if isinstance(mirrors, list) and not all(isinstance(mirror, str) for mirror in mirrors):
        found.append("mirrors: must be texts")
    return found
