"""``hdist hash-spec``: print the id of a spec."""

from __future__ import annotations

import os
from typing import BinaryIO

import click

from hashdist.cli.app import App, command as make
from hashdist.errors import InvalidError
from hashdist.objects import canonical
from hashdist.objects.spec import from_json


@make()
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A script or patch of the spec; may be repeated.",
)
@click.option(
    "--write",
    is_flag=True,
    help="Write the spec's objects too. They are not kept unless a profile or artifact uses them.",
)
def hash_spec(app: App, file: BinaryIO, files: tuple[str, ...], write: bool) -> None:
    """Print the id of the spec whose build.json is FILE (in any JSON layout), with the given files."""
    contents = {}
    for path in files:
        with open(path, "rb") as opened:
            contents[os.path.basename(path)] = opened.read()
    if len(contents) != len(files):
        raise InvalidError("two files of the spec have one name")
    spec = from_json(canonical.loads_indented(file.read()), files=contents)
    app.put(spec.write(app.store.objects) if write else spec.id)


command = hash_spec
