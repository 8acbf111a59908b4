"""What several tests need."""

from __future__ import annotations

import os

#: The environment the tests were started in, for those that reach a package index.
ORIGINAL_ENV = dict(os.environ)


def package(name: str, commands: str = "", **keys: str) -> str:
    """The text of a package that needs no compiler: it writes a file of its name, or runs `commands`."""
    version = keys.pop("version", '"1"')
    lines = [f"[packages.{name}]", f"version = {version}"]
    default = f"mkdir -p $PREFIX/share && echo {name} > $PREFIX/share/{name}"
    if "builder" not in keys:
        lines.append(f"commands = ['''{commands or default}''']")
    lines += [f"{key.replace('_', '-')} = {value}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"
