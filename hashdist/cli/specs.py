"""Specs as scripts write them: a JSON document, and files beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import click

from hashdist.errors import InvalidError
from hashdist.objects import canonical
from hashdist.objects.spec import FORMAT, Spec, from_json

from .app import App

#: The document, and the files that go with it.
document_argument = click.argument("file", type=click.File("rb"), metavar="FILE|-")
files_option = click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A script or patch of the spec; may be repeated.",
)


def spec_of(app: App, file: BinaryIO, files: Sequence[str]) -> Spec:
    """The spec whose build.json is a file, in any JSON layout; this format and this machine's platform may be left out.

    Raises `InvalidError`.
    """
    contents = {}
    for path in files:
        with open(path, "rb") as opened:
            contents[os.path.basename(path)] = opened.read()
    if len(contents) != len(files):
        raise InvalidError("two files of the spec have one name")
    document: Any = canonical.loads_indented(file.read())
    if isinstance(document, dict):
        here = app.session.platform
        platform = {"os": here.os, "arch": here.arch, "cpu": here.cpu}
        document = {"format": FORMAT, "platform": platform, **document}
    return from_json(document, files=contents)
