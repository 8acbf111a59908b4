"""``hdist learn``: from what the jail saw to the lines of the stack file that are missing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import click
import tomlkit

from hashdist.cli.app import App, command as make
from hashdist.cli.recorded import tell
from hashdist.errors import InvalidError, NotFoundError
from hashdist.preload.report import Access, Report
from hashdist.stack.editing import declare
from hashdist.stack.file import parse_stack
from hashdist.workflow.commit import edit
from hashdist.workflow.learning import Learner, Lesson, learn_from_builds
from hashdist.workflow.profile import find, read_profile

_SHOWN = 5


@make(reads=True)
@click.argument("packages", nargs=-1, metavar="[PACKAGE]...")
@click.option("--report", "file", metavar="FILE", help="Learn from a report that hdist jail --report FILE wrote.")
@click.option("--fix", is_flag=True, help="Write the lines into the profile's stack file, and record that.")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
def learn(app: App, packages: tuple[str, ...], file: str | None, fix: bool, profile: str | None) -> None:
    """Print the [host] and inputs lines that are missing, from what builds of the profile used undeclared.

    With --report the lines are for PACKAGE, or for whatever the command was.
    """
    if file is not None:
        if len(packages) > 1 or (fix and not packages):
            raise click.UsageError("with --report name one package: hdist learn --report FILE --fix PACKAGE")
        lessons = _from_file(app, file, packages[0] if packages else None, profile)
    else:
        lessons = _from_builds(app, packages, profile)
    if fix and any(lesson.inputs for lesson in lessons.values()):
        host = {name: finder for lesson in lessons.values() for name, finder in lesson.host.items()}
        inputs = {name: lesson.inputs for name, lesson in lessons.items() if lesson.inputs}
        names = ", ".join(sorted({one for more in inputs.values() for one in more}))
        recorded = edit(
            app.session, lambda text: declare(text, host, inputs), message=f"declare {names}", profile=profile
        )
        tell(app, recorded)
    else:
        app.emit(_json(lessons), lambda: _lines(lessons))
        if not any(lesson.inputs for lesson in lessons.values()):
            app.say("nothing to declare")
        elif not fix:
            words = [*(["--report", file] if file else []), *(["-b", profile] if profile else []), *packages]
            missing = [] if packages or not file else ["PACKAGE"]
            app.say(f"{' '.join(['hdist learn --fix', *words, *missing])} writes these lines into the stack file")
    unexplained = list({one.path: one for lesson in lessons.values() for one in lesson.unexplained}.values())
    for access in unexplained[:_SHOWN]:
        app.say(f"nothing to declare covers {access.path} ({'/'.join(access.uses)}){_advice(access)}")
    if len(unexplained) > _SHOWN:
        app.say(f"and {len(unexplained) - _SHOWN} more: hdist learn --json lists them")


def _from_builds(app: App, packages: tuple[str, ...], profile: str | None) -> dict[str, Lesson]:
    lock = read_profile(app.store.objects, find(app.store, profile)).lock
    missing = [name for name in packages if name not in lock.packages]
    if missing:
        words = "\n".join(f"no package '{name}' in the profile" for name in missing)
        raise NotFoundError(words, hint="see: hdist list")
    learned = learn_from_builds(app.store, lock, packages or sorted(lock.packages), app.env, app.progress)
    for words in learned.unknown:
        app.say(f"nothing is known of {words}")
    return learned.lessons


def _from_file(app: App, file: str, package: str | None, profile: str | None) -> dict[str, Lesson]:
    try:
        with open(file, encoding="utf-8") as opened:
            report = Report.of_document(json.load(opened))
    except FileNotFoundError as error:
        raise NotFoundError(f"no report '{file}'", hint=f"hdist jail --report {file} -- COMMAND") from error
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"'{file}' is not a report: {error}", hint="hdist jail --report FILE writes one") from error
    if package is None:
        return {"": Learner(app.env, progress=app.progress).learn(report)}
    read = read_profile(app.store.objects, find(app.store, profile))
    stack = parse_stack(read.text)
    if package not in stack.packages:
        raise NotFoundError(f"no package '{package}' in the profile", hint="see: hdist list")
    learner = Learner(app.env, store=app.store, lock=read.lock, progress=app.progress)
    return {package: learner.learn(report, package=package, known=stack.expanded[package])}


def _lines(lessons: dict[str, Lesson]) -> Iterator[str]:
    host = {name: finder for lesson in lessons.values() for name, finder in lesson.host.items()}
    if host:
        yield "[host]"
        yield from (f"{_key(name)} = {tomlkit.item(finder).as_string()}" for name, finder in host.items())
    for name, lesson in lessons.items():
        if lesson.inputs:
            yield ""
            if name:
                yield f"[packages.{_key(name)}]"
            yield f"inputs = {json.dumps(lesson.inputs)}{'  # and those it has' if name else ''}"


def _key(name: str) -> str:
    return tomlkit.key(name).as_string()


def _json(lessons: dict[str, Lesson]) -> dict[str, Any]:
    return {
        "host": {name: finder for lesson in lessons.values() for name, finder in lesson.host.items()},
        "packages": [
            {
                "package": name or None,
                "inputs": lesson.inputs,
                "unexplained": [{"path": one.path, "uses": list(one.uses)} for one in lesson.unexplained],
            }
            for name, lesson in lessons.items()
        ],
    }


def _advice(access: Access) -> str:
    if access.uses == ("write",):
        return ": a build may write to its own directories only"
    if access.owner is not None:
        return f": it is {access.owner}'s"
    return ": no package owns it; make it a package, or load it from a module" if os.path.exists(access.path) else ""


command = learn
