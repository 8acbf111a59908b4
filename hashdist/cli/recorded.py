"""What is said after a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashdist.workflow.recording import Recorded

    from .app import App


def tell(app: App, recorded: Recorded) -> None:
    """Say what was recorded, how to use it, and how to undo it; the id goes to stdout, alone on its line."""
    where = f"{recorded.profile}@{recorded.commit[:12]}"
    following = "" if app.store.refs.symbolic("HEAD") == f"refs/heads/{recorded.profile}" else f" {recorded.profile}"
    app.say_done(f"recorded {where}; not checked out: hdist checkout --build{following}")
    app.put(recorded.commit)
