"""``hdist status``: what is checked out, built and missing."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.checkout.switch import Checkout
from hashdist.cli.app import App, command as make
from hashdist.workflow.hosts import Checked, drift_words
from hashdist.workflow.status import status as look


@make(reads=True)
@click.option("--to", "place", metavar="PATH", help="Another checkout than the store's 'current'.")
def status(app: App, place: str | None) -> None:
    """Tell what is checked out, and what of the profile's tip is not built yet."""
    found = look(app.session, Checkout(app.store, place))

    def lines() -> Iterator[str]:
        yield f"profile   {found.profile or '(none)'}{f'@{found.tip[:12]}' if found.tip else ', no commits yet'}"
        if found.commit is None:
            yield "checkout  nothing yet: hdist checkout --build"
        else:
            behind = "" if found.commit == found.tip else ", behind its profile: hdist checkout"
            yield f"checkout  {found.checkout} at {found.commit[:12]}{behind}"
            yield f"prefix    {found.prefix or '(the link is gone: hdist checkout)'}"
        yield f"built     {found.total - len(found.missing)} of {found.total}"
        if found.missing:
            yield f"missing   {', '.join(found.missing)}: hdist build"
        if found.merging:
            yield "merging   a merge is not done: hdist merge"
        if found.stale:
            yield "stale     specs are older than stack.toml, it was merged as text: hdist update --resolve"
        yield from _host_lines(found.host)

    document = {
        "checkout": found.checkout,
        "profile": found.profile,
        "tip": found.tip,
        "commit": found.commit,
        "prefix": found.prefix,
        "total": found.total,
        "missing": list(found.missing),
        "merging": found.merging,
        "stale": found.stale,
        "host": [{"name": one.name, "kind": one.kind} for one in found.host.drifts] if found.host else [],
        "broken": [{"name": one.name, "missing": list(one.missing)} for one in found.host.broken] if found.host else [],
    }
    app.emit(document, lines)


def _host_lines(checked: Checked | None) -> Iterator[str]:
    """What of the host is not as it was; what was built before stays usable."""
    if checked is None:
        return
    for broken in checked.broken:
        yield f"broken    {broken.name} will not run: {', '.join(broken.missing)} gone"
    serious = [drift for drift in checked.drifts if drift.kind != "same"]
    for drift in serious:
        yield f"host      {drift_words(drift, than='it was committed with')}"
    if serious:
        yield "          to build with what is there now: hdist update --host; see hdist host check"


command = status
