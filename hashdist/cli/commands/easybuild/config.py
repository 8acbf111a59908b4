"""``hdist easybuild config``: print how EasyBuild is set up for this store."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.workflow.easybuild.setup import settings


@make(reads=True)
@click.option("--shell", "as_shell", is_flag=True, help="As variables for a shell, instead of a configuration file.")
def config(app: App, as_shell: bool) -> None:
    """Print the settings with which EasyBuild installs into this store, by hash.

    They are to be added to the site's configuration file. HDIST_EASYBUILD_SCHEME names the site's own module naming
    scheme, HDIST_EASYBUILD_HOST what of the host enters the hash, HDIST_EASYBUILD_JAIL is report, enforce or off.
    """
    found = settings(app.store)

    def lines() -> Iterator[str]:
        if as_shell:
            for name, value in found.items():
                yield f"export EASYBUILD_{name.upper().replace('-', '_')}={shlex.quote(value)}"
        else:
            yield "[config]"
            yield from (f"{name} = {value}" for name, value in found.items())

    app.emit({"settings": found}, lines)


command = config
