"""``hdist jail``: run a command and tell, or hide, what it uses without having declared it."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile

import click

from hashdist.cli.app import App, command as make, here, writing
from hashdist.cli.commands.artifact import one_artifact
from hashdist.cli.identity import cache_path
from hashdist.cli.jailing import details, summary
from hashdist.cli.owner import be_ourselves_again
from hashdist.errors import HashdistError
from hashdist.preload.report import Report
from hashdist.preload.rules import Rules
from hashdist.preload.running import run
from hashdist.store.store import Store
from hashdist.workflow.declaring import allow_artifact, allow_host, declared
from hashdist.workflow.jailing import owners_of


class _Wrapper(click.Command):
    """All that follows the command's name is the command's."""

    allow_interspersed_args = False


@make(reads=True, runs=True, kind=_Wrapper)
@click.argument("arguments", nargs=-1, required=True, metavar="-- COMMAND [ARGUMENT]...", type=click.UNPROCESSED)
@click.option("--enforce", is_flag=True, help="Hide what is undeclared; without it nothing is changed, only told.")
@click.option("--allow", multiple=True, metavar="PATH", help="Let PATH and all below it be read; may be repeated.")
@click.option("--write", multiple=True, metavar="PATH", help="Let PATH and all below it be changed; may be repeated.")
@click.option("--artifact", "artifacts", multiple=True, metavar="NAME|ID", help="Let an artifact be used.")
@click.option("--host", "finders", multiple=True, metavar="FINDER", help="Let host software be used: dpkg:gcc.")
@click.option("--base/--no-base", default=True, help="Whether base@1, the usual tools, may be used (it may).")
@click.option("--landlock", is_flag=True, help="With --enforce: the kernel confines what cannot be preloaded.")
@click.option("--report", "file", metavar="FILE", help="Write the report to a new FILE, as JSON.")
def jail(
    app: App,
    arguments: tuple[str, ...],
    enforce: bool,
    allow: tuple[str, ...],
    write: tuple[str, ...],
    artifacts: tuple[str, ...],
    finders: tuple[str, ...],
    base: bool,
    landlock: bool,
    file: str | None,
) -> None:
    """Run COMMAND and tell which undeclared files it used; its exit code is handed on.

    It may read and change the directory it is run in, and TMPDIR. No store is needed.
    """
    if landlock and not enforce:
        raise click.UsageError("--landlock can only hide: it goes with --enforce")
    with writing(file) if file is not None else contextlib.nullcontext() as opened:
        rules = declared(allow, write, here(app.env), app.env)
        _allow_software(app, rules, (*(["base@1"] if base else []), *finders), artifacts)
        be_ourselves_again()
        done = run(
            arguments,
            rules,
            "enforce" if enforce else "report",
            env=app.env,
            directory=tempfile.gettempdir(),
            landlock=landlock,
        )
        report = done.report.owned(owners_of(app.env, _store(app))) if done.report.accesses else done.report
        _tell(app, report, file)
        if opened is not None:
            json.dump({"version": 1, **report.document()}, opened, indent=1)
            opened.write("\n")
    click.get_current_context().exit(done.status)


def _store(app: App) -> Store | None:
    """The store, if there is one: its files have owners too."""
    try:
        return app.store
    except (HashdistError, OSError):
        return None


def _allow_software(app: App, rules: Rules, finders: tuple[str, ...], artifacts: tuple[str, ...]) -> None:
    allow_host(rules, finders, app.env, cache=cache_path("jail", app.env), progress=app.progress)
    for name in artifacts:
        allow_artifact(rules, app.store, one_artifact(app, name))


def _tell(app: App, report: Report, file: str | None) -> None:
    """On stderr, as stdout is the command's."""
    if app.as_json:
        sys.stderr.write(json.dumps({"version": 1, **report.document()}) + "\n")
        return
    app.say(f"jail: {summary(report)}")
    for line in details(report):
        app.say(line)
    if report.undeclared:
        saved = f"hdist learn --report {file}" if file else "with --report FILE, then hdist learn --report FILE"
        app.say(f"jail: the lines that declare it: {saved}")


command = jail
