"""``hdist hash-spec``: print the id of a spec."""

from __future__ import annotations

from typing import BinaryIO

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.specs import document_argument, files_option, spec_of


@make()
@document_argument
@files_option
@click.option(
    "--write",
    is_flag=True,
    help="Write the spec's objects too. They are not kept unless a profile or artifact uses them.",
)
def hash_spec(app: App, file: BinaryIO, files: tuple[str, ...], write: bool) -> None:
    """Print the id of the spec whose build.json is FILE (in any JSON layout), with the given files.

    What it does not say of format and platform is this hdist's and this machine's.
    """
    spec = spec_of(app, file, files)
    app.put(spec.write(app.store.objects) if write else spec.id)


command = hash_spec
