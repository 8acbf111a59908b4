"""How far a bisection is, and what it came to, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hashdist.cli.changes import change_lines, changes_json
from hashdist.cli.history import commit_lines

if TYPE_CHECKING:
    from hashdist.objects.ids import CommitId
    from hashdist.workflow.bisecting.marks import Progress
    from hashdist.workflow.bisecting.within import Blamed

    from .app import App


def tell(app: App, progress: Progress) -> None:
    """Say what is to be tried next, or what came out."""
    document = {"next": progress.next, "left": progress.left, "suspects": list(progress.suspects)}
    if progress.found is not None:
        _tell_found(app, progress.found, {})
        return
    app.emit({**document, "found": None}, lambda: iter(progress.suspects))
    if progress.suspects:
        app.say("only commits are left that cannot be told: the first bad one is one of these")
    elif progress.next is None:
        app.say("waiting for one bad and one good commit: hdist bisect bad REV; hdist bisect good REV")
    else:
        subject = app.store.objects.commit(progress.next).subject
        app.say(f"{progress.left} left; next is {progress.next[:12]} {subject}")
        app.say("try it: hdist build bisect/next; hdist run bisect/next -- COMMAND; then hdist bisect good, or bad")


def _tell_found(app: App, found: CommitId, besides: dict[str, Any]) -> None:
    from hashdist.workflow.comparing import compare  # noqa: PLC0415 - each command loads what it uses

    objects = app.store.objects
    commit = objects.commit(found)
    changes = compare(objects, commit.parents[0], found, refs=app.store.refs) if commit.parents else []

    def lines() -> Iterator[str]:
        yield f"{found} is the first bad commit"
        yield from commit_lines(commit)
        yield from change_lines(changes)

    document = {"next": None, "left": 1, "suspects": [], "found": found, "changes": changes_json(changes)}
    app.emit({**document, **besides}, lines)
    app.say("hdist bisect reset ends it")


def tell_guilty(app: App, progress: Progress, blamed: Blamed) -> None:
    """Say which commit and which of its packages are to blame."""
    assert progress.found is not None, "it was found before anybody was blamed"
    guilty = [str(unit) for unit in blamed.guilty]
    names = {"guilty": guilty, "changed": [str(unit) for unit in blamed.changed], "smallest": blamed.commit}
    _tell_found(app, progress.found, names)
    if not app.as_json:
        app.put(f"to blame: {', '.join(guilty)} ({len(guilty)} of {len(blamed.changed)} that it changed)")
