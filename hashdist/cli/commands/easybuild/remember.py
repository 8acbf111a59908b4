"""``hdist easybuild remember``: what an EasyBuild run was about."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.objects.ids import SpecId
from hashdist.workflow.easybuild.installed import remember as note


@make(reads=True)
@click.argument("specs", nargs=-1, metavar="SPEC...")
def remember(app: App, specs: tuple[str, ...]) -> None:
    """Note that an EasyBuild run was about these specs, for hdist commit --from-easybuild."""
    note(app.store, [SpecId(spec) for spec in specs])

    def lines() -> Iterator[str]:
        return iter(())

    app.emit({"remembered": list(specs)}, lines)


command = remember
