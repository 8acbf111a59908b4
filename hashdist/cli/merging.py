"""What ``merge``, ``cherry-pick`` and ``revert`` have in common: choices, ``--continue`` and ``--abort``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hashdist.stack.merging import Side
    from hashdist.workflow.merging.choosing import Waiting
    from hashdist.workflow.merging.verbs import Merged

    from .app import App


def going_on(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with which something that waits for choices goes on."""
    options = [
        click.option("--ours", multiple=True, metavar="NAME", help="Of what both changed take ours; a pattern works."),
        click.option("--theirs", multiple=True, metavar="NAME", help="Likewise, take theirs."),
        click.option("--edit", is_flag=True, help="Settle it in an editor."),
        click.option("--continue", "proceed", is_flag=True, help="Record it, now that all is chosen."),
        click.option("--abort", is_flag=True, help="Give it up: the profile stays as it was."),
        click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def taking_over(name: str, verb: str, doc: str) -> click.Command:
    """The command ``hdist cherry-pick`` or ``hdist revert``; `verb` is the library's, `doc` the help's first words."""
    from .app import command  # noqa: PLC0415 - loads what few commands here need

    def run(
        app: App,
        revisions: tuple[str, ...],
        mainline: int | None,
        ours: tuple[str, ...],
        theirs: tuple[str, ...],
        edit: bool,
        proceed: bool,
        abort: bool,
        profile: str | None,
    ) -> None:
        from hashdist.workflow.merging import verbs  # noqa: PLC0415 - see below

        choices = chosen(ours, theirs)
        if not revisions:
            go_on(app, choices, edit=edit, proceed=proceed, abort=abort, profile=profile)
            return
        if edit or proceed or abort:
            raise click.UsageError("these options do not go together")
        take = getattr(verbs, verb)
        tell(app, take(app.session, revisions, profile=profile, mainline=mainline, choices=choices))

    run.__name__ = verb
    run.__doc__ = f"""{doc}

    What the profile changed too, in its own way, is to be chosen: --ours NAME, --theirs NAME, or --edit, and then
    --continue.
    """
    words = click.option(
        "--mainline", type=click.IntRange(min=1), metavar="N", help="Of a merge: compare it with its Nth parent."
    )
    found = command(reads=True, fetches=True)(click.argument("revisions", nargs=-1)(words(going_on(run))))
    found.name = name
    return found


def chosen(ours: tuple[str, ...], theirs: tuple[str, ...]) -> dict[str, Side]:
    """The choices of a command line."""
    both = sorted(set(ours) & set(theirs))
    if both:
        raise click.UsageError(f"'{both[0]}' is both ours and theirs")
    found: dict[str, Side] = dict.fromkeys(ours, "ours")
    found.update(dict.fromkeys(theirs, "theirs"))
    return found


def go_on(
    app: App,
    choices: dict[str, Side],
    *,
    edit: bool,
    proceed: bool,
    abort: bool,
    profile: str | None,
    message: str | None = None,
) -> None:
    """Go on with what waits for choices, or give it up, or list what is to choose."""
    from hashdist.workflow.merging import choosing, verbs  # noqa: PLC0415 - each command loads what it uses

    if abort:
        done = verbs.abort(app.session, profile=profile)
        where = "is where it was" if not done.moved else "is back where it was before"
        app.emit({"profile": done.profile, "commit": done.commit}, lambda: iter(()))
        app.say_done(f"{done.kind} given up; {done.profile} {where}")
        return
    found = None
    if choices:
        found = choosing.settle(app.session, choices, profile=profile)
    if edit:
        found = choosing.edit_choices(app.session, _editor, profile=profile)
    if proceed:
        tell(app, verbs.proceed(app.session, profile=profile, message=message))
        return
    _list(app, found or choosing.waiting(app.session, profile))


def _editor(text: str) -> str:
    changed = click.edit(text, extension=".toml", require_save=True)
    if changed is None:
        raise click.Abort
    return changed


def _list(app: App, found: Waiting) -> None:
    from hashdist.workflow.merging.choosing import choice_lines  # noqa: PLC0415 - see above

    kind = found.state.kind

    def lines() -> Iterator[str]:
        yield from (line.strip() for line in choice_lines(found.choices))
        yield from [found.problem] if found.problem is not None else []

    rows = [
        {
            "name": str(choice.unit),
            "differences": [
                {"key": key, "ours": ours, "theirs": theirs, "before": before}
                for key, ours, theirs, before in choice.differences
            ],
        }
        for choice in found.choices
    ]
    document = {
        "kind": kind,
        "profile": found.state.profile,
        "settled": dict(found.state.settled),
        "choices": rows,
        "problem": found.problem,
    }
    app.emit(document, lines)
    head = app.store.refs.symbolic("HEAD")
    verb = f"hdist {kind}" + ("" if head == f"refs/heads/{found.state.profile}" else f" -b {found.state.profile}")
    if found.problem is not None:
        words = f"{verb} --edit mends it"
    elif found.choices:
        first = found.choices[0].unit
        words = f"{len(found.choices)} to choose: {verb} --ours {first}, or --theirs {first}"
    else:
        words = f"all is chosen: {verb} --continue"
    app.say_done(words)


def tell(app: App, done: Merged) -> None:
    """Say what became of the profile; its tip goes to stdout, alone on its line."""
    following = "" if app.store.refs.symbolic("HEAD") == f"refs/heads/{done.profile}" else f" {done.profile}"
    hint = f"not checked out: hdist checkout --build{following}"
    for commit in done.skipped:
        app.say(f"nothing of {commit[:12]} was left to take over: skipped")
    document = {"profile": done.profile, "commit": done.commit, "how": done.how, "skipped": list(done.skipped)}
    app.emit(document, lambda: iter([done.commit]))
    if done.how == "nothing":
        app.say(f"{done.profile} has all of it already")
    elif done.how == "fast-forward":
        app.say_done(f"{done.profile}@{done.commit[:12]}, fast-forward; {hint}")
    else:
        app.say_done(f"recorded {done.profile}@{done.commit[:12]}; {hint}")
