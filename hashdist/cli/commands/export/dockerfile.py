"""``hdist export dockerfile``: a directory to make a container image from."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make, human_size
from hashdist.cli.exporting import export_arguments, place
from hashdist.workflow.export.containers import export_recipe
from hashdist.workflow.export.contents import HostFiles


@make(reads=True)
@export_arguments(host="unowned")
@click.option("--from", "image", metavar="IMAGE", help="Start from this image; else from one of this host's system.")
def dockerfile(app: App, revision: str | None, output: str | None, host: HostFiles, image: str | None) -> None:
    """Make a directory with a Dockerfile and an archive of the prefix with all that it needs.

    docker build -t NAME DIR, or podman or buildah makes the image. Packages of the host that are needed are
    installed in it; with --host all it starts from nothing and has their files.
    """
    folder = place(app, output, revision, "-dockerfile")
    done = export_recipe(app.session, revision, folder, kind="dockerfile", image=image, host=host)
    document = {"path": done.path, "file": done.file, "from": done.image, "size": done.size}
    app.emit(document, lambda: iter([done.file]))
    app.say(f"from {done.image}, archive {human_size(done.size)}; next: docker build -t NAME {folder}")


command = dockerfile
