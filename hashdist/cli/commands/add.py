"""``hdist add``: add a package to the profile's stack file."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.recorded import tell
from hashdist.stack.editing import add_package
from hashdist.workflow.adding import add_to
from hashdist.workflow.commit import edit
from hashdist.workflow.profile import lock_of
from hashdist.workflow.resolving import Resolved, parse_requirements


@make(creates=True, fetches=True)
@click.argument("package", required=False, metavar="[NAME==VERSION]")
@click.option(
    "--pip", "requirements", multiple=True, metavar="REQUIREMENT", help="Python wheels, with all they need; repeat it."
)
@click.option("--pypi", metavar="PROJECT", help="From the package index; NAME itself when no source is given.")
@click.option("--url", help="From an archive.")
@click.option("--sha256", help="Of the archive at --url.")
@click.option("--path", "local", help="From a directory or file of this machine.")
@click.option("--builder", help="A preset; 'wheel' when neither this nor a command is given.")
@click.option("--run", "commands", multiple=True, help="A shell line instead of a preset; may be repeated.")
@click.option("--input", "inputs", multiple=True, help="What it is built with; may be repeated.")
@click.option("--requires", multiple=True, help="What it needs to run; may be repeated.")
@click.option("-m", "--message", help="The commit's message.")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
def add(
    app: App,
    package: str | None,
    requirements: tuple[str, ...],
    pypi: str | None,
    url: str | None,
    sha256: str | None,
    local: str | None,
    builder: str | None,
    commands: tuple[str, ...],
    inputs: tuple[str, ...],
    requires: tuple[str, ...],
    message: str | None,
    profile: str | None,
) -> None:
    """Add a package and record that: hdist add scipy==1.16.3 --requires python --requires numpy.

    With --pip as many as pip would install: hdist add --pip 'matplotlib==3.9'. A resolver chooses versions that go
    with what is there already; only wheels, and no code of theirs is run.
    """
    if requirements:
        if package or pypi or url or local or builder or commands or inputs or requires:
            raise click.UsageError("--pip goes with -m and -b alone")
        _add_wheels(app, requirements, message, profile)
        return
    if not package:
        raise click.UsageError("name what to add: NAME==VERSION, or --pip REQUIREMENT")
    name, equals, version = package.partition("==")
    if not equals or not version:
        raise click.UsageError(f"'{package}' names no version: write NAME==VERSION")
    if sum(value is not None for value in (pypi, url, local)) > 1:
        raise click.UsageError("--pypi, --url and --path exclude each other")
    if url:
        source = {"url": url, **({"sha256": sha256} if sha256 else {})}
    elif local:
        source = {"path": local}
    else:
        source = {"pypi": pypi or name}
    if not builder and not commands:
        builder = "wheel"
    fields = {
        "version": version,
        "source": source,
        "builder": builder,
        "commands": list(commands),
        "inputs": list(inputs),
        "requires": list(requires),
    }
    recorded = edit(
        app.session,
        lambda text: add_package(text, name, fields),
        message=message or f"add {name} {version}",
        profile=profile,
    )
    tell(app, recorded)


def _add_wheels(app: App, texts: tuple[str, ...], message: str | None, profile: str | None) -> None:
    wanted = parse_requirements(texts)
    added: list[Resolved] = []

    def change(text: str) -> str:
        text, found = add_to(app.session, text, lock_of(app.store, profile), wanted)
        added.extend(found)
        return text

    recorded = edit(app.session, change, message=message or f"add {', '.join(texts)}", profile=profile)
    for one in added:
        app.say(f"+ {one.name} {one.version}")
    tell(app, recorded)


command = add
