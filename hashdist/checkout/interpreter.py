"""The Python of a prefix: what it says of itself, asked once for each interpreter and remembered."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hashdist import process
from hashdist.errors import HashdistError
from hashdist.store import index

if TYPE_CHECKING:
    from hashdist.store.store import Store

#: A change of what is asked, or of how prefixes are checked, asks again.
_FORMAT = 1
#: So many outcomes of checks are remembered of an interpreter.
_REMEMBERED = 64
_QUESTION = """\
import json, sys, sysconfig
paths = sysconfig.get_paths()
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "full_version": "%d.%d.%d" % sys.version_info[:3],
    "base": sys.base_prefix,
    "stdlib": paths["stdlib"],
    "include": paths["include"],
}))
"""


class PrefixPythonError(HashdistError):
    """A prefix whose Python would not be the prefix's own."""

    code = "prefix_python"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that prefixes are made with."""

    executable: str
    """The program itself, behind all links."""
    version: str
    """Such as 3.11."""
    full_version: str
    """Such as 3.11.7."""
    base: str
    """Its own ``sys.prefix``."""
    stdlib: str
    """The directory of its standard library."""
    include: str
    """The directory of its headers, whether it is there or not."""

    def inside(self, path: str) -> str:
        """A directory of it, as it is called below ``sys.prefix``."""
        return os.path.relpath(path, self.base)

    @property
    def site_packages(self) -> str:
        """Where packages lie in a prefix."""
        return f"lib/python{self.version}/site-packages"


def ask(python: str, *, env: Mapping[str, str]) -> Interpreter:
    """Ask a Python; raises `PrefixPythonError` when it does not run."""
    executable = os.path.realpath(python)
    try:
        answer = json.loads(process.run([executable, "-I", "-S", "-c", _QUESTION], env=env, timeout=60))
    except (process.ProgramFailedError, process.ProgramMissingError, ValueError) as error:
        raise PrefixPythonError(f"the prefix's Python does not run: {error}", hint="hdist update --host") from error
    return Interpreter(executable, **answer)


class Known:
    """What is remembered of the interpreter of an artifact, as long as the program is the same."""

    def __init__(self, store: Store, artifact: str, python: str) -> None:
        self._store = store
        self._key = artifact.replace("/", "-")
        self._python = python

    def read(self) -> Interpreter | None:
        """What it said, if it was asked before; raises `PrefixPythonError` when it is gone."""
        try:
            return Interpreter(**self._document()["interpreter"])
        except (KeyError, TypeError):
            return None

    def is_good(self, started: str) -> bool:
        """Whether a prefix with it, and with these files that it runs when it starts, was checked before."""
        return started in self._checked()

    def write(self, interpreter: Interpreter, started: str) -> None:
        """Remember that such a prefix was checked."""
        checked = [*(one for one in self._checked() if one != started), started][-_REMEMBERED:]
        document = {"state": self._state(), "interpreter": asdict(interpreter), "checked": checked}
        index.write(self._store, index.PYTHON, self._key, json.dumps(document))

    def _checked(self) -> list[str]:
        found = self._document().get("checked")
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    def _document(self) -> dict[str, Any]:
        state = self._state()
        try:
            document = json.loads(index.read(self._store, index.PYTHON, self._key) or "{}")
        except ValueError:
            return {}
        return document if isinstance(document, dict) and document.get("state") == state else {}

    def _state(self) -> list[object]:
        executable = os.path.realpath(self._python)
        try:
            found = os.stat(executable)
        except OSError as error:
            raise PrefixPythonError(f"the Python '{executable}' is gone", hint="hdist update --host") from error
        return [_FORMAT, executable, found.st_size, found.st_mtime_ns, found.st_ino]
