"""``hdist host check``: whether the host is still what it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.hosts import file_changes_json, package_changes_json, package_line
from hashdist.cli.quick import unchanged
from hashdist.hostscan.drift import Drift
from hashdist.workflow.hosts import Checked, check
from hashdist.workflow.profile import find

_KINDS = {"gone": "will not run", "differs": "a rebuild would differ", "same": "changed, a rebuild would be the same"}
_SHOWN = 8


@make(reads=True)
@click.argument("revision", required=False)
@click.option("--run-only", is_flag=True, help="Say no only if something will not run: for prologues of jobs.")
def command(app: App, revision: str | None, run_only: bool) -> None:
    """Compare the host with what REVISION of a profile was made with, or with all that was scanned.

    Nothing is recorded. Status 1 if something changed, or was never scanned on a host like this one.
    """
    checked = check(app.session, find(app.store, revision) if revision is not None else None)
    app.emit(_json(checked), lambda: _lines(checked, revision))
    serious = [drift for drift in checked.drifts if drift.kind == "gone"] if run_only else checked.drifts
    if serious or checked.broken or (checked.unknown and not run_only):
        click.get_current_context().exit(1)


def _lines(checked: Checked, revision: str | None) -> Iterator[str]:
    for broken in checked.broken:
        yield f"{broken.name}: will not run: {', '.join(f'{name} is gone' for name in broken.missing)}"
    for drift in checked.drifts:
        yield from _drift_lines(drift)
    if checked.unknown:
        yield f"never scanned on a host like this one: {', '.join(checked.unknown)}"
        yield f"to see what there is: hdist host scan {' '.join(checked.unknown)}"
    if checked.drifts or checked.broken:
        differs = any(drift.kind != "same" for drift in checked.drifts)
        yield f"to go on with what is there now: hdist {'update --host' if revision and differs else 'host scan'}"
    elif not checked.unknown:
        yield unchanged(checked.looked_at)


def _drift_lines(drift: Drift) -> Iterator[str]:
    version = (
        drift.old_version if drift.old_version == drift.new_version else f"{drift.old_version} → {drift.new_version}"
    )
    if drift.kind == "gone":
        yield f"{drift.name} {drift.old_version}: {_KINDS[drift.kind]}: {drift.reason}"
    else:
        yield f"{drift.name} {version}: {_KINDS[drift.kind]}"
    changes = [package_line(one) for one in drift.packages] + [f"{one.path} {one.kind}" for one in drift.files]
    yield from (f"    {change}" for change in changes[:_SHOWN])
    if len(changes) > _SHOWN:
        yield f"    and {len(changes) - _SHOWN} more: hdist host check --json"


def _json(checked: Checked) -> dict[str, Any]:
    return {
        "checked": checked.looked_at,
        "changed": bool(checked.drifts or checked.broken),
        "unknown": list(checked.unknown),
        "host": [
            {
                "name": drift.name,
                "kind": drift.kind,
                "words": _KINDS[drift.kind],
                "reason": drift.reason or None,
                "old_version": drift.old_version,
                "new_version": drift.new_version or None,
                "old_spec": drift.expected,
                "new_spec": drift.found,
                "packages": package_changes_json(drift.packages),
                "files": file_changes_json(drift.files),
            }
            for drift in checked.drifts
        ],
        "packages": [{"name": one.name, "missing": list(one.missing)} for one in checked.broken],
    }
