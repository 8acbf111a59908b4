"""``hdist modulefile``: modulefiles for Environment Modules and Lmod."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.commands.artifact import one_artifact
from hashdist.environment.modulefile import Module, modulefile as text_of
from hashdist.refs import names
from hashdist.workflow.modules import add_tree, artifact_module, forget_tree, profile_module, write_module
from hashdist.workflow.prefixes import find_prefix


@make()
@click.argument("revision", required=False, metavar="[PROFILE|REVISION|PREFIX]")
@click.option("--artifact", metavar="NAME|ID", help="Of an artifact alone instead of a prefix.")
@click.option("--tree", metavar="DIR", help="Write into this tree instead of printing.")
@click.option("--hidden", is_flag=True, help="With --tree: avail does not show it, load takes it.")
@click.option("--family", metavar="NAME", help="Only one module of a family is loaded at a time.")
@click.option("--forget", metavar="DIR", help="Keep a tree up to date no longer.")
def modulefile(
    app: App,
    revision: str | None,
    artifact: str | None,
    tree: str | None,
    hidden: bool,
    family: str | None,
    forget: str | None,
) -> None:
    """Print a modulefile, in Tcl, which both Environment Modules and Lmod read; without REVISION of the checkout.

    With --tree and nothing else all profiles go into DIR, and each checkout brings it up to date: module use DIR.
    """
    if sum(value is not None for value in (revision, artifact, forget)) > 1:
        raise click.UsageError("REVISION, --artifact and --forget exclude each other")
    if hidden and tree is None:
        raise click.UsageError("--hidden needs --tree DIR")
    session = app.session
    if forget is not None:
        forget_tree(session, forget)
        return
    if tree is not None and revision is None and artifact is None and not hidden and family is None:
        for path in add_tree(session, tree):
            app.put(path)
        app.say(f"kept up to date by hdist checkout; in a shell: module use {tree}")
        return
    module: Module
    if artifact is not None:
        module = artifact_module(session, one_artifact(app, artifact), family=family)
    else:
        found = find_prefix(session, revision)
        if tree is not None and session.store.refs.get(names.HEADS + found.name) is None:
            raise click.UsageError("a tree has modules of profiles: name one")
        module = profile_module(session, found, family=family)
    if tree is None:
        app.put(text_of(module).rstrip("\n"))
    else:
        app.put(write_module(tree, module, hidden=hidden))


command = modulefile
