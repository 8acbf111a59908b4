"""``hdist export tar``: a prefix with its closure as an archive."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make, human_size
from hashdist.cli.exporting import export_arguments, place
from hashdist.workflow.export.archive import export_tar
from hashdist.workflow.export.contents import HostFiles


@make(reads=True)
@export_arguments(host="unowned")
def tar(app: App, revision: str | None, output: str | None, host: HostFiles) -> None:
    """Write the prefix of a profile with all that it needs into an archive; unpacked at / elsewhere it runs there.

    Its name's ending says how it is compressed: .tar.zst, .tar.gz or .tar. Without --host all it wants a system like
    this one, with the packages that --json lists.
    """
    done = export_tar(app.session, revision, place(app, output, revision, ".tar.zst"), host=host)
    packages = [] if host == "all" else done.closure.packages
    document = {
        "path": done.path,
        "size": done.size,
        "files": done.files,
        "root": done.root,
        "commit": done.closure.commit,
        "prefix": done.closure.prefix,
        "link": done.closure.link,
        "packages": [{"manager": one.manager, "name": one.name, "version": one.version} for one in packages],
    }
    app.emit(document, lambda: iter([done.path]))
    count = f"; it needs {len(packages)} packages of the system: --json lists them" if packages else ""
    app.say(f"{human_size(done.size)}, {done.files} files{count}")
    app.say(f"elsewhere: tar -C / -xf {click.format_filename(done.path, shorten=True)}; then {done.closure.link}/bin")


command = tar
