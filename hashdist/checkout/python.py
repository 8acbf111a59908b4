"""Python in a prefix: found by path alone, with the prefix as ``sys.prefix`` and no variable set.

A ``pyvenv.cfg`` beside ``bin`` does it, for Debian's Python as for others (PEP 405). Console scripts are copied
with the prefix's interpreter in their first line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from hashdist import process
from hashdist.errors import HashdistError

#: The kernel reads this much of a script's first line (BINPRM_BUF_SIZE of older kernels, less the end).
SHEBANG_LIMIT = 126
_PYTHON_SHEBANG = re.compile(rb"#!\s*(?:\S*/)?(?:python[0-9.]*|env\s+python[0-9.]*)\s*$")


class PrefixPythonError(HashdistError):
    """A prefix whose Python would not be the prefix's own."""

    code = "prefix_python"


def pyvenv_config(interpreter: str) -> str:
    """The text of ``pyvenv.cfg`` for a prefix that runs the Python at `interpreter`."""
    home = os.path.dirname(os.path.realpath(interpreter))
    return f"home = {home}\ninclude-system-site-packages = false\n"


def script_for(path: str, python: str) -> bytes | None:
    """The bytes of the script at `path` with `python` as its interpreter; None if it is no Python script."""
    if os.path.islink(path):
        return None
    with open(path, "rb") as file:
        if file.read(2) != b"#!":
            return None
        file.seek(0)
        first = file.readline(4096)
        if not _PYTHON_SHEBANG.match(first.rstrip(b"\r\n")):
            return None
        return shebang(python) + file.read()


def shebang(python: str) -> bytes:
    """A first line (or two) that runs a script under `python`, however long or spaced its path is."""
    if len(python) <= SHEBANG_LIMIT - 2 and " " not in python:
        return f"#!{python}\n".encode()
    # sh sees a command; Python sees a string that ends in the second line (as in pip's own scripts)
    return f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n".encode()


def check_prefix(prefix: str, *, env: Mapping[str, str]) -> None:
    """Run the prefix's Python and raise `PrefixPythonError` unless its ``sys.prefix`` is `prefix`.

    An incomplete prefix does not fail by itself: its Python becomes the base one, and pip changes that.
    """
    python = os.path.join(prefix, "bin", "python3")
    try:
        found = process.run([python, "-I", "-c", "import sys; print(sys.prefix)"], env=env, timeout=60).decode().strip()
    except (process.ProgramFailedError, process.ProgramMissingError) as error:
        raise PrefixPythonError(f"the prefix's Python does not run: {error}", hint="hdist update --host") from error
    if os.path.realpath(found) != os.path.realpath(prefix):
        raise PrefixPythonError(f"the prefix's Python has sys.prefix '{found}' instead of '{prefix}'")
