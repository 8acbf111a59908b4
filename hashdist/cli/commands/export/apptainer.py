"""``hdist export apptainer``: a directory to make a container image from."""

from __future__ import annotations

import os

import click

from hashdist.cli.app import App, command as make, human_size
from hashdist.cli.exporting import export_arguments, place
from hashdist.workflow.export.containers import export_recipe
from hashdist.workflow.export.contents import HostFiles


@make(reads=True)
@export_arguments(host="unowned")
@click.option("--from", "image", metavar="IMAGE", help="Start from this image; else from one of this host's system.")
def apptainer(app: App, revision: str | None, output: str | None, host: HostFiles, image: str | None) -> None:
    """Make a directory with an Apptainer definition and an archive of the prefix with all that it needs.

    (cd DIR; apptainer build NAME.sif profile.def) makes the image. Packages of the host that are needed are
    installed in it; with --host all it starts from nothing and has their files.
    """
    folder = place(app, output, revision, "-apptainer")
    done = export_recipe(app.session, revision, folder, kind="apptainer", image=image, host=host)
    document = {"path": done.path, "file": done.file, "from": done.image, "size": done.size}
    app.emit(document, lambda: iter([done.file]))
    file = os.path.basename(done.file)
    app.say(f"from {done.image}, archive {human_size(done.size)}; next: cd {folder}; apptainer build NAME.sif {file}")


command = apptainer
