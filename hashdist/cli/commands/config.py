"""``hdist config``: look at settings and change them."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli import configuration
from hashdist.cli.app import App, command as make


@make(reads=True)
@click.argument("key", required=False, metavar="[TABLE.KEY]")
@click.argument("value", required=False)
@click.option("--unset", is_flag=True, help="Forget KEY in the user's file.")
def config(app: App, key: str | None, value: str | None, unset: bool) -> None:
    """List settings; or print the one of KEY; or set it in the user's file: hdist config trust.signers ~/signers.

    VALUE is read as what KEY takes: text, true or false, a number, a list of words.
    """
    if unset and (key is None or value is not None):
        raise click.UsageError("--unset takes a KEY and no VALUE")
    if key is None:
        rows = configuration.all_settings(app.env)

        def lines() -> Iterator[str]:
            yield from (f"{name} = {shown}" for name, shown in rows.items())

        app.emit({"settings": rows}, lines)
    elif unset or value is not None:
        path = configuration.change(app.env, key, None if unset else value)
        app.say(f"{'unset' if unset else 'set'} {key} in {path}")
    else:
        found = configuration.one_setting(app.env, key)
        app.emit({"key": key, "value": found}, lambda: iter([str(found)]))


command = config
