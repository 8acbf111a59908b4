"""``hdist pin``: keep something whatever becomes of profiles."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.workflow import keeping


@make(reads=True)
@click.argument("what", required=False, metavar="[ARTIFACT|SOURCE|REVISION]")
@click.option("--as", "name", metavar="NAME", help="What the pin is called.")
@click.option("-d", "--delete", is_flag=True, help="Take the pin of that name away.")
def pin(app: App, what: str | None, name: str | None, delete: bool) -> None:
    """List pins; or keep an artifact, a source or a commit from gc; or take a pin away.

    What is pinned stays with all it was made from, whatever becomes of the profiles that name it.
    """
    if what is None:
        if delete:
            raise click.UsageError("name the pin to take away")
        found = keeping.pins(app.store)

        def lines() -> Iterator[str]:
            yield from (f"{one} {commit[:12]}" for one, commit in found.items())

        app.emit({"pins": [{"name": one, "commit": commit} for one, commit in found.items()]}, lines)
    elif delete:
        was = keeping.unpin(app.store, what)
        app.say_done(f"took the pin {what} away, which held {was[:12]}")
    else:
        made, _ = keeping.pin(app.store, what, name)
        app.say_done(f"pinned as {made}")


command = pin
