"""``hdist env``: print what puts prefixes into an environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.shells import FAMILIES, changes, sourcing, without_paths
from hashdist.environment.loading import load, unload
from hashdist.environment.variables import directories
from hashdist.workflow.prefixes import Named, find_prefix


@make(reads=True)
@click.argument("names", nargs=-1, metavar="[PROFILE|REVISION|PREFIX]...")
@click.option("--shell", type=click.Choice(list(FAMILIES)), default="sh", help="For which shell; sh does for bash too.")
@click.option("--path", "only_path", is_flag=True, help="Print the paths of the prefixes and nothing else.")
@click.option("--label", is_flag=True, help="Print NAME PREFIX, as they are loaded, and nothing else.")
@click.option("--unload", "gone", metavar="PREFIX", help="Take a loaded prefix out instead, though it may be gone.")
def env(app: App, names: tuple[str, ...], shell: str, only_path: bool, label: bool, gone: str | None) -> None:
    """Print the lines that load prefixes into a shell: eval "$(hdist env main)". Without a name what is checked out.

    They name the prefixes themselves, which never change, and set neither LD_LIBRARY_PATH nor PYTHONPATH.
    """
    if gone is not None and not gone.startswith("/"):
        raise click.UsageError("--unload needs the path of a prefix")
    if gone is not None:
        after = unload(app.env, gone)
        lines_of = [*changes(app.env, after, shell), *without_paths(gone, shell)]
        app.emit({"variables": _changed(app.env, after)}, lambda: iter(lines_of))
        return
    found = [find_prefix(app.session, name) for name in names or (None,)]
    if label:
        app.emit({"prefixes": [_document(one) for one in found]}, lambda: (f"{one.name} {one.path}" for one in found))
        return
    if only_path:
        app.emit({"prefixes": [one.path for one in found]}, lambda: (one.path for one in found))
        return
    after = dict(app.env)
    for one in found:
        after = load(after, one.name, one.path)

    def lines() -> Iterator[str]:
        for one in found:
            yield sourcing(one.name, one.path, shell)

    document = {"prefixes": [_document(one) for one in found], "variables": _changed(app.env, after)}
    app.emit(document, lines)


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    return {name: after.get(name) for name in sorted({*before, *after}) if before.get(name) != after.get(name)}


def _document(one: Named) -> dict[str, object]:
    prepend = {variable.name: folders for variable, folders in directories(one.path) if variable.shells == "all"}
    return {"name": one.name, "path": one.path, "commit": one.commit, "prepend": prepend}


command = env
