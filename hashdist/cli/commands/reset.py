"""``hdist reset``: move a profile to another commit."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.workflow.branching import reset as move


@make(reads=True)
@click.argument("revision")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
def reset(app: App, revision: str, profile: str | None) -> None:
    """Move the profile to REVISION, as main~1 or main@{1}; nothing is checked out.

    What the profile had is in its reflog, and kept for gc's grace period.
    """
    done = move(app.store, revision, profile)
    if done.commit == done.before:
        app.say(f"{done.profile} is at {done.commit[:12]} already")
    else:
        app.say_done(f"{done.profile} is at {done.commit[:12]}, it was at {done.before[:12]}; not checked out")
    document = {"profile": done.profile, "before": done.before, "commit": done.commit}
    app.emit(document, lambda: iter([done.commit]))


command = reset
