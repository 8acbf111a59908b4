"""What several tests need."""

from __future__ import annotations

import io
import os
import pathlib
import zipfile
from collections.abc import Mapping, Sequence

from hashdist.environment.activation import scripts

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


def make_wheel(
    folder: pathlib.Path,
    name: str,
    files: Mapping[str, str],
    entry_points: str = "",
    *,
    version: str = "1.0",
    requires: str = "",
) -> None:
    """Write a wheel, as a tool of the trade would."""
    out = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if entry_points:
        contents[f"{info}/entry_points.txt"] = entry_points
    record = "".join(f"{path},,\n" for path in (*contents, f"{info}/RECORD"))
    with zipfile.ZipFile(out, "w") as made:
        for path, text in {**contents, f"{info}/RECORD": record}.items():
            made.writestr(path, text)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(out.getvalue())


def make_prefix(root: pathlib.Path, name: str, folders: Sequence[str]) -> str:
    """A directory with the scripts of a prefix."""
    place = root / name
    for folder in ("bin", *folders):
        (place / folder).mkdir(parents=True, exist_ok=True)
    for library in ("lib", "lib64"):
        if library in folders:
            (place / library / "libx.so").touch()
    for path, data in scripts(str(place), str(place)).items():
        (place / path).write_bytes(data)
    return str(place)
