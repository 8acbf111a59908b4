"""Spans of time as people write them."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

import click

_SPAN = re.compile(r"(\d{1,12})\s*(s|min|h|d|w|months?|y|seconds?|minutes?|hours?|days?|weeks?|years?)?\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


class Span(click.ParamType[float]):
    """A span in seconds: ``3600``, ``36h``, ``14d``, ``3 months``; with `moments` also ``now``, ``never``, a date."""

    name = "span"

    def __init__(self, *, moments: bool = False) -> None:
        self._moments = moments

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if not isinstance(value, str):
            return float(value)
        text = value.strip().lower()
        if self._moments and text in {"now", "never"}:
            return 0 if text == "now" else math.inf
        match = _SPAN.match(text)
        if match:
            unit = match[2] or "s"
            return int(match[1]) * (30 * 86400 if unit.startswith("month") else _SECONDS[unit[0]])
        if self._moments:
            try:
                day = dt.date.fromisoformat(text)
            except ValueError:
                day = None
            if day is not None:
                return max(0, (dt.datetime.now(dt.UTC).date() - day).days * 86400)
        examples = "3600, 36h, 14d, 2w" + (", now, never, 2030-01-31" if self._moments else "")
        return self.fail(f"'{value}' is no span of time such as {examples}", param, ctx)
