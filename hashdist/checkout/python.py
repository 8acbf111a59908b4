"""Python in a prefix: found by path alone, with the prefix as ``sys.prefix`` and no variable set.

A ``pyvenv.cfg`` beside ``bin`` does it, for Debian's Python as for others (PEP 405), and keeps the user's
site-packages off. A ``.pth`` file then says that the prefix is an installation, not an environment that one
installs into: pip and uv refuse by ``EXTERNALLY-MANAGED``. Console scripts are copied with the prefix's
interpreter in their first line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from hashdist import process

from .interpreter import Interpreter, PrefixPythonError

#: The kernel reads this much of a script's first line (BINPRM_BUF_SIZE of older kernels, less the end).
SHEBANG_LIMIT = 126
_OPTIONS = rb"((?:[ \t]+-[A-Za-z]+(?:[ \t]+[A-Za-z0-9:_.=]+)?)*)"
_SHEBANG = re.compile(rb"#![ \t]*(?:\S*/env[ \t]+(?:-S[ \t]*)?)?(?:\S*/)?(python[0-9.]*)" + _OPTIONS + rb"[ \t]*$")
#: What tools write where the path is too long or has a space: sh runs the second line, Python skips it.
_TRAMPOLINE = re.compile(
    rb"#!/bin/sh\r?\n'''exec' \"?[^\n]*?/(python[0-9.]*)\"?((?: -[^\"\n]*)?) \"\$0\" \"\$@\"\r?\n' '''\r?\n"
)
_HEAD = 4096
MARKER = "EXTERNALLY-MANAGED"
CONFIG = "pyvenv.cfg"
_MANAGED = """\
[externally-managed]
Error=This is a prefix of hashdist, which never changes.
 For an environment on top of it, that has all its packages and takes more:
     hdist venv DIR
 For a package in the profile itself:
     hdist add --pip NAME
"""
#: Run at each start. In the prefix itself: what is here is the base of further environments; whoever has asked for
#: paths already asks again. There and in environments on top of it: nobody writes bytecode into prefixes or artifacts,
#: whatever their rights.
_AT_START = """\
def start(prefix, roots, sys, os, external):
    if os.path.exists(sys.prefix + "/.hashdist.json"):
        sys.base_prefix, sys.base_exec_prefix = sys.prefix, sys.exec_prefix
        sys._base_executable = prefix + "/bin/" + os.path.basename(sys.executable)
        sys.modules.pop("sysconfig", None)
    write, whole = external.SourceFileLoader.set_data, external._write_atomic
    def ours(path):
        return os.path.realpath(os.path.dirname(os.path.dirname(path))).startswith(roots)
    def set_data(self, path, data, **more):
        if not ours(path):
            write(self, path, data, **more)
    def write_atomic(path, *more):
        if not ours(path):
            whole(path, *more)
    external.SourceFileLoader.set_data = set_data
    external._write_atomic = write_atomic
"""
#: It has to come first: others may ask for paths.
HOOK = "00-hashdist.pth"


def own_files(interpreter: Interpreter, prefix: str) -> dict[str, bytes]:
    """The files by which the Python at `prefix` finds itself: path to content."""
    home = os.path.dirname(interpreter.executable)
    stdlib = interpreter.inside(interpreter.stdlib)
    return {
        CONFIG: f"home = {home}\ninclude-system-site-packages = false\n".encode(),
        f"{interpreter.site_packages}/{HOOK}": _pth(prefix),
        f"{stdlib}/{MARKER}": _MANAGED.encode(),
    }


def _pth(prefix: str) -> bytes:
    store = os.path.dirname(os.path.dirname(prefix))
    roots = tuple(os.path.join(os.path.realpath(store), name, "") for name in ("artifacts", "prefixes"))
    modules = "sys, __import__('os'), __import__('_frozen_importlib_external')"
    start = f"{_AT_START}start({prefix!r}, {roots!r}, {modules})\n"
    return f"import sys; exec({start!r}, {{'sys': sys}})\n".encode()


def script_for(path: str, python: str, version: str) -> bytes | None:
    """The bytes of the script at `path` with `python` as its interpreter; None if it is no script of this version."""
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        if file.read(2) != b"#!":
            return None
        file.seek(0)
        head = file.read(_HEAD)
        first = head[: head.find(b"\n") + 1]
        found = _SHEBANG.match(first.rstrip(b"\r\n"))
        if found is None:
            found = _TRAMPOLINE.match(head)
            first = found[0] if found else b""
        if found is None or found[1].decode() not in {"python", "python3", f"python{version}"}:
            return None
        return shebang(python, found[2].decode().strip()) + head[len(first) :] + file.read()


def shebang(python: str, options: str = "") -> bytes:
    """A first line (or two) that runs a script under `python`, however long or spaced its path is.

    The path must be free of quotes, dollars and backslashes: both sh and Python read it.
    """
    words = f"{python} {options}".rstrip()
    # the kernel splits at the first blank only
    if len(os.fsencode(words)) <= SHEBANG_LIMIT - 2 and not re.search(r"\s", python) and len(options.split()) <= 1:
        return f"#!{words}\n".encode(errors="surrogateescape")
    # sh sees a command; Python sees a string that ends in the second line (as in pip's own scripts)
    more = f" {options}" if options else ""
    return f"#!/bin/sh\n'''exec' \"{python}\"{more} \"$0\" \"$@\"\n' '''\n".encode(errors="surrogateescape")


def check_prefix(prefix: str, *, env: Mapping[str, str]) -> None:
    """Run the prefix's Python and raise `PrefixPythonError` unless its ``sys.prefix`` is `prefix`.

    An incomplete prefix does not fail by itself: its Python becomes the base one, and pip changes that.
    """
    python = os.path.join(prefix, "bin", "python3")
    code = "import sys; print(sys.prefix, sys.base_prefix, sep='\\n')"
    try:
        found = process.run([python, "-I", "-c", code], env=env, timeout=60)
    except (process.ProgramFailedError, process.ProgramMissingError) as error:
        raise PrefixPythonError(f"the prefix's Python does not run: {error}", hint="hdist update --host") from error
    for name, value in zip(("sys.prefix", "sys.base_prefix"), os.fsdecode(found).splitlines(), strict=False):
        if os.path.realpath(value) != os.path.realpath(prefix):
            raise PrefixPythonError(f"the prefix's Python has {name} '{value}' instead of '{prefix}'")
