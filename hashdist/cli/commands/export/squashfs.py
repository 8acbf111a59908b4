"""``hdist export squashfs``: a prefix with its closure as an image to mount."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make, human_size
from hashdist.cli.exporting import export_arguments, place
from hashdist.workflow.export.archive import export_squashfs
from hashdist.workflow.export.contents import HostFiles


@make(reads=True)
@export_arguments(host="none")
def squashfs(app: App, revision: str | None, output: str | None, host: HostFiles) -> None:
    """Write the prefix of a profile with all that it needs into a squashfs image, one file on a network file system.

    Mounted where this says, it runs. With --host all it is a whole root file system, as Apptainer runs it.
    """
    done = export_squashfs(app.session, revision, place(app, output, revision, ".squashfs"), host=host)
    document = {
        "path": done.path,
        "size": done.size,
        "files": done.files,
        "root": done.root,
        "commit": done.closure.commit,
        "prefix": done.closure.prefix,
        "link": done.closure.link,
    }
    app.emit(document, lambda: iter([done.path]))
    name = click.format_filename(done.path, shorten=True)
    where = f"squashfuse {name} {done.root}" if done.root != "/" else f"apptainer exec {name} {done.closure.link}/bin/…"
    app.say(f"{human_size(done.size)}, {done.files} files; elsewhere: {where}")


command = squashfs
