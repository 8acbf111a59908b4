"""The smallest set of changes that fails: delta debugging, pure.

Source: A. Zeller, R. Hildebrandt, Simplifying and Isolating Failure-Inducing Input, IEEE TSE 28(2), 2002: ddmin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

Item = TypeVar("Item")
Verdict = Literal["good", "bad", "skip"]


def minimal(items: Sequence[Item], test: Callable[[tuple[Item, ...]], Verdict]) -> tuple[Item, ...]:
    """A part of `items` that is bad and of which no single one can be left out without it being bad no more.

    All of `items` are bad together, and none of them are good. `test` is asked for no set twice.
    """
    known: dict[tuple[int, ...], Verdict] = {}

    def is_bad(places: Sequence[int]) -> bool:
        key = tuple(places)
        if key not in known:
            known[key] = test(tuple(items[place] for place in key))
        return known[key] == "bad"

    places = list(range(len(items)))
    known[()], known[tuple(places)] = "good", "bad"
    parts = 2
    while len(places) > 1:
        size = -(-len(places) // parts)
        chunks = [places[start : start + size] for start in range(0, len(places), size)]
        rests = [[place for place in places if place not in chunk] for chunk in chunks]
        smaller = next((chunk for chunk in chunks if is_bad(chunk)), None)
        if smaller is not None:
            places, parts = smaller, 2
            continue
        smaller = next((rest for rest in rests if len(chunks) > 2 and is_bad(rest)), None)  # noqa: PLR2004 - of two: done
        if smaller is not None:
            places, parts = smaller, max(parts - 1, 2)
        elif parts >= len(places):
            break
        else:
            parts = min(len(places), parts * 2)
    return tuple(items[place] for place in places)
