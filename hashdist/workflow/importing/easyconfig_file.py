"""What easyconfigs are written in: Python that is read and never run, with EasyBuild's templates and constants.

See https://docs.easybuild.io/version-specific/easyconfig-templates/ .
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from typing import Any

from hashdist.errors import InvalidError

_EXTENSIONS = "tar.gz tar.xz tar.bz2 tgz txz tbz2 tb2 gtgz zip tar xz tar.Z".split()
_NAMES = {"SOURCE": "%(name)s-%(version)s", "SOURCELOWER": "%(namelower)s-%(version)s", "VERSION": "%(version)s"}
_NAMES["V_VERSION"] = "v%(version)s"
_WHEELS = {"SOURCE": "%(name)s-%(version)s", "SOURCELOWER": "%(namelower)s-%(version)s"}
_TAGS = {"WHL": "py2.py3-none-any", "PY2_WHL": "py2-none-any", "PY3_WHL": "py3-none-any"}
_MOST = 1 << 20
_XORG = "https://xorg.freedesktop.org/archive/individual/{}/"
#: What stands for the package index that pip is configured with.
PYPI = "pypi:"
#: Constants by name: texts, with templates in them.
CONSTANTS: dict[str, str] = {
    "APACHE_SOURCE": "https://archive.apache.org/dist/%(namelower)s",
    "BITBUCKET_SOURCE": "https://bitbucket.org/%(bitbucket_account)s/%(namelower)s/get",
    "BITBUCKET_DOWNLOADS": "https://bitbucket.org/%(bitbucket_account)s/%(namelower)s/downloads",
    "CRAN_SOURCE": "https://cran.r-project.org/src/contrib",
    "FTPGNOME_SOURCE": "https://ftp.gnome.org/pub/GNOME/sources/%(namelower)s/%(version_major_minor)s",
    "GITHUB_SOURCE": "https://github.com/%(github_account)s/%(name)s/archive",
    "GITHUB_LOWER_SOURCE": "https://github.com/%(github_account)s/%(namelower)s/archive",
    "GITHUB_RELEASE": "https://github.com/%(github_account)s/%(name)s/releases/download/v%(version)s",
    "GITHUB_LOWER_RELEASE": "https://github.com/%(github_account)s/%(namelower)s/releases/download/v%(version)s",
    "GNU_FTP_SOURCE": "https://ftp.gnu.org/gnu/%(namelower)s",
    "GNU_SAVANNAH_SOURCE": "https://download-mirror.savannah.gnu.org/releases/%(namelower)s",
    "GNU_SOURCE": "https://ftpmirror.gnu.org/gnu/%(namelower)s",
    "LAUNCHPAD_SOURCE": "https://launchpad.net/%(namelower)s/%(version_major_minor)s.x/%(version)s/+download/",
    "PYPI_SOURCE": PYPI,
    "PYPI_LOWER_SOURCE": PYPI,
    "R_SOURCE": "https://cran.r-project.org/src/base/R-%(version_major)s",
    "SOURCEFORGE_SOURCE": "https://download.sourceforge.net/%(namelower)s",
    **{
        f"XORG_{part.upper()}_SOURCE": f"https://xorg.freedesktop.org/archive/individual/{part}/"
        for part in ("data", "lib", "proto", "util", "xcb")
    },
    **{
        f"{kind}_{extension.replace('.', '_').upper()}": f"{name}.{extension}"
        for kind, name in _NAMES.items()
        for extension in _EXTENSIONS
    },
    "SHLIB_EXT": "so",
    "SYSTEM": "system",
    "EXTERNAL_MODULE": "EXTERNAL_MODULE",
    "OS_TYPE": "Linux",
    "GOOGLECODE_SOURCE": "http://%(namelower)s.googlecode.com/files",
    **{f"{kind}_{word}": f"{name}-{tag}.whl" for kind, name in _WHEELS.items() for word, tag in _TAGS.items()},
}
_TEMPLATE = re.compile(r"%\((\w+)\)s")


def read_assignments(text: str, path: str, *, ignored: Collection[str] = ()) -> dict[str, Any]:
    """The values that an easyconfig assigns, without running it.

    What cannot be read of names that are `ignored` is left out; raises `InvalidError` for all else that is not data.
    """
    try:
        module = ast.parse(text, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidError(f"{path}: not an easyconfig: {error}") from error
    values: dict[str, Any] = {}
    problems = []
    for statement in module.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a text that is a comment
        try:
            _assign(statement, values)
        except (_UnreadableError, TypeError, RecursionError) as error:
            targets = getattr(statement, "targets", [])
            if not targets or any(getattr(one, "id", None) not in ignored for one in targets):
                problems.append(f"{path}:{statement.lineno}: {error}")
    if problems:
        raise InvalidError(*problems, hint="let EasyBuild build it, on this store: hdist easybuild config")
    return values


class _UnreadableError(Exception):
    """Something that would have to be run."""


def _assign(statement: ast.stmt, values: dict[str, Any]) -> None:
    if isinstance(statement, ast.Assign) and all(isinstance(one, ast.Name) for one in statement.targets):
        value = _value(statement.value, values)
        for target in statement.targets:
            assert isinstance(target, ast.Name), "seen above"
            values[target.id] = value
    elif isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        name = statement.target.id
        if not isinstance(statement.op, ast.Add) or name not in values:
            raise _UnreadableError(f"'{name}' is changed in a way that would have to be run")
        values[name] = _add(values[name], _value(statement.value, values))
    else:
        raise _UnreadableError("this would have to be run: only plain values are read")


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        if node.id in values:
            return values[node.id]
        if node.id in CONSTANTS:
            return CONSTANTS[node.id]
        raise _UnreadableError(f"'{node.id}' is not known")
    if isinstance(node, (ast.List, ast.Tuple)):
        found = [_value(one, values) for one in node.elts]
        return found if isinstance(node, ast.List) else tuple(found)
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [_value(one, values) for one in node.keys if one is not None]
        return dict(zip(keys, [_value(one, values) for one in node.values], strict=True))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _add(_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _format(_value(node.left, values), _value(node.right, values))
    raise _UnreadableError("this would have to be run: only plain values are read")


def _add(left: Any, right: Any) -> Any:
    for kind in (str, list, tuple):
        if isinstance(left, kind) and isinstance(right, kind) and len(left) + len(right) < _MOST:
            return left + right  # type: ignore[operator] # of one kind
    raise _UnreadableError("a sum that would have to be computed")


def _format(text: Any, values: Any) -> Any:
    given = values if isinstance(values, tuple) else (values,)
    if (
        not isinstance(text, str)
        or text.count("%s") != len(given)
        or not all(isinstance(one, (str, int)) for one in given)
    ):
        raise _UnreadableError("a text that would have to be computed")
    first, *rest = text.split("%s")
    return first + "".join(f"{one}{part}" for one, part in zip(given, rest, strict=True))


def templates(values: Mapping[str, Any]) -> dict[str, str]:
    """What templates mean in an easyconfig."""
    name, version = str(values["name"]), str(values["version"])
    parts = version.split(".")
    found = {
        "name": name,
        "namelower": name.lower(),
        "nameletter": name[0],
        "nameletterlower": name[0].lower(),
        "version": version,
        "version_major": parts[0],
        "version_major_minor": ".".join(parts[:2]),
        "versionsuffix": str(values.get("versionsuffix", "")),
        "versionprefix": str(values.get("versionprefix", "")),
        "installdir": "$PREFIX",
        "parallel": "$HDIST_JOBS",
        "github_account": str(values.get("github_account", name.lower())),
        "bitbucket_account": str(values.get("bitbucket_account", name.lower())),
    }
    found |= dict(zip(("version_minor", "version_patch"), parts[1:3], strict=False))
    if len(parts) > 1:
        found["version_minor_patch"] = ".".join(parts[1:3])
    return found


def filled(value: Any, known: Mapping[str, str]) -> Any:
    """A value with templates filled in, wherever they stand in it; raises `InvalidError` for one that is not known."""
    if isinstance(value, str):
        return _TEMPLATE.sub(lambda match: _known(match[1], known), value).replace("%%", "%")
    if isinstance(value, (list, tuple)):
        return type(value)(filled(one, known) for one in value)
    if isinstance(value, dict):
        return {filled(key, known): filled(one, known) for key, one in value.items()}
    return value


def _known(name: str, known: Mapping[str, str]) -> str:
    if name not in known:
        raise InvalidError(f"the template %({name})s is not known")
    return known[name]
