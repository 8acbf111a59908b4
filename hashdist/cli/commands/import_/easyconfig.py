"""``hdist import easyconfig``: easyconfigs of EasyBuild."""

from __future__ import annotations

import os

import click

from hashdist.cli.app import App, command as make, here
from hashdist.cli.importing import import_options
from hashdist.cli.recorded import tell
from hashdist.workflow.importing.easyconfig import import_easyconfigs


@make(creates=True, fetches=True)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@import_options
def easyconfig(app: App, files: tuple[str, ...], message: str | None, profile: str | None) -> None:
    """Have a profile hold the packages of easyconfigs, for hashdist to build; nothing in them is run.

    Those of plain easyblocks: ConfigureMake, CMakeMake, CMakeNinja, MesonNinja, PythonPackage, Tarball. The
    host's gcc compiles, whatever the toolchain. For others hdist easybuild config has EasyBuild build into this store.
    """
    paths = [os.path.join(here()[0], file) for file in files]
    names = ", ".join(os.path.basename(file) for file in files[:3]) + (" …" if len(files) > 3 else "")  # noqa: PLR2004
    recorded, done = import_easyconfigs(app.session, paths, message=message or f"import {names}", profile=profile)
    for one in done.packages:
        if one.toolchain != "system":
            app.say(f"{one.name}: built with the host's gcc, not with {one.toolchain}")
    if done.dropped:
        app.say(f"built without: {', '.join(done.dropped)}, of which there is neither a package nor a program here")
    if done.tools:
        app.say(f"of the host: {', '.join(done.tools)}")
    tell(app, recorded)


command = easyconfig
