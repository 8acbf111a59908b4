"""``hdist update``: move pins to what upstream and the host have now."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.recorded import tell
from hashdist.workflow.commit import resolve_anew, update as record
from hashdist.workflow.pinning import Moving


@make(fetches=True)
@click.argument("packages", nargs=-1)
@click.option("--host", is_flag=True, help="Scan the host again instead of fetching sources again.")
@click.option("--resolve", is_flag=True, help="Move no pins: resolve a stack file anew that was merged as text.")
@click.option("-m", "--message", help="The commit's message.")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
def update(
    app: App, packages: tuple[str, ...], host: bool, resolve: bool, message: str | None, profile: str | None
) -> None:
    """Fetch the sources of PACKAGES (all of them when none is named) again, or scan the host, and record the pins."""
    if host and packages:
        raise click.UsageError("--host stands alone: host software belongs to the whole stack")
    if resolve:
        if host or packages or message:
            raise click.UsageError("--resolve stands alone")
        tell(app, resolve_anew(app.session, profile=profile))
        return
    moving = Moving(packages=frozenset(packages), all_sources=not packages and not host, host=host)
    what = "host" if host else ", ".join(packages) or "all sources"
    tell(app, record(app.session, moving, message=message or f"update {what}", profile=profile))


command = update
