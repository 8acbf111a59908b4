"""``hdist explain``: why packages differ between two profiles, or an artifact from the one you have."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.changes import change_lines, changes_json
from hashdist.workflow import explaining
from hashdist.workflow.naming import find_spec
from hashdist.workflow.profile import find

_SHOWN = 8


@make(reads=True)
@click.argument("old", metavar="OLD|ARTIFACT")
@click.argument("new", required=False)
@click.argument("package", required=False)
@click.option("-a", "--all", "show_all", is_flag=True, help="Name all packages that merely follow.")
def explain(app: App, old: str, new: str | None, package: str | None, show_all: bool) -> None:
    """Tell why PACKAGE (any) has another hash in NEW (HEAD) than in OLD: what was changed by hand or by the host.

    With an ARTIFACT alone: why it is not the one that is checked out, or else that HEAD's profile names.
    """
    if ".." in old and package is None:
        old, package, (_, _, new) = old.partition("..")[0], new, old.partition("..")
    spec = find_spec(app.store, old) if new is None else None
    about: dict[str, str | None] = {}
    head: list[str] = []
    if spec is not None:
        mine, found = explaining.explain_artifact(app.store, spec)
        about = {"artifact": spec, "yours": mine}
        head = [f"{spec[:12]} is not yours, which is {mine[:12]}"] if mine is not None else []
        same = f"there is no other artifact of that name than {spec[:12]}"
    else:
        found = explaining.explain(app.store, find(app.store, old), find(app.store, new or None), package)
        same = f"{package or 'every package'} is the same in both"

    def lines() -> Iterator[str]:
        yield from head
        yield from change_lines(found.causes)
        yield from _followers(found, everything=show_all or package is not None or spec is not None)
        if not found.causes and not found.packages:
            yield same

    document = {
        **about,
        "causes": changes_json(found.causes),
        "packages": [{"name": one.change.name, "causes": list(one.causes)} for one in found.packages],
        "follow": sum(one.change.follows for one in found.packages),
    }
    app.emit(document, lines)


def _followers(found: explaining.Explanation, *, everything: bool) -> Iterator[str]:
    """What follows from what; then both in numbers."""
    shown = found.packages if everything or len(found.packages) <= _SHOWN else found.packages[: _SHOWN - 1]
    for one in shown:
        yield f"{one.change.name} {one.change.kind} because of {', '.join(one.causes) or 'what is not known here'}"
    if len(shown) < len(found.packages):
        yield f"and {len(found.packages) - len(shown)} more: --all names them"
    follow = sum(one.change.follows for one in found.packages)
    if found.causes or follow:
        count = len(found.causes)
        yield f"{count} {'cause' if count == 1 else 'causes'}, {follow} {'follows' if follow == 1 else 'follow'}"


command = explain
