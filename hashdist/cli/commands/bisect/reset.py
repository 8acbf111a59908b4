"""``hdist bisect reset``: end it."""

from __future__ import annotations

from hashdist.cli.app import App, command as make
from hashdist.workflow.bisecting.marks import reset as end


@make()
def reset(app: App) -> None:
    """End a bisection: what was good and bad is forgotten. Checkouts are where they were all the time."""
    end(app.session)
    app.say_done("the bisection is over")


command = reset
