"""How the jail's reports are told: a line, or a table by owner."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hashdist.preload.report import NOBODY, by_owner, whose

if TYPE_CHECKING:
    from hashdist.preload.report import Access, Report

#: How many paths of an owner are shown, and how many of nobody.
_SHOWN, _SHOWN_OF_NOBODY = 1, 8


def count(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def summary(report: Report) -> str:
    """One line about a report."""
    parts = []
    if report.undeclared:
        parts.append(f"used undeclared: {whose(report.undeclared)}")
    if report.hidden:
        parts.append(f"undeclared and hidden: {whose(report.hidden)}")
    if report.dropped:
        parts.append(f"{count(report.dropped, 'line')} more than the log has room for")
    if report.unseen:
        parts.append(f"not looked into: {count(len(report.unseen), 'program')}")
    return "; ".join(parts) or f"nothing undeclared was used by {count(report.processes, 'program')}"


def details(report: Report) -> Iterator[str]:
    """Lines about what is in a report, by owner."""
    for words, accesses in (("used", report.undeclared), ("hidden", report.hidden)):
        groups = by_owner(accesses)
        width = max((len(owner or NOBODY) for owner in groups), default=0)
        for owner, found in groups.items():
            shown = found[: _SHOWN if owner else _SHOWN_OF_NOBODY]
            more = f"  and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
            for position, access in enumerate(shown):
                last = more if position == len(shown) - 1 else ""
                yield f"  {words:6}  {(owner or NOBODY):{width}}  {access.path}  {_by(access)}{last}"
    yield from (f"  not looked into: {path}" for path in report.unseen)


def _by(access: Access) -> str:
    programs = [os.path.basename(program) for program in access.programs]
    return f"({'/'.join(access.uses)} by {', '.join(_cut(programs))})"


def _cut(names: Iterable[str]) -> list[str]:
    found = sorted(set(names))
    return [*found[:3], *(["…"] if len(found) > 3 else [])]  # noqa: PLR2004
