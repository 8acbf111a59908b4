"""Progress for a person: tqdm bars on a terminal, notes as lines on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashdist.progress import Task


class _Nothing:
    def advance(self, amount: int = 1) -> None:
        pass

    def tell(self, words: str) -> None:
        pass

    def expect(self, total: int | None) -> None:
        pass


class _Bar:
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def advance(self, amount: int = 1) -> None:
        self._bar.update(amount)

    def tell(self, words: str) -> None:
        self._bar.set_postfix_str(words[:60])

    def expect(self, total: int | None) -> None:
        self._bar.total = total
        self._bar.refresh()


class Bars:
    """A `hashdist.progress.Progress` that writes to stderr."""

    def __init__(self, *, bars: bool) -> None:
        self._bars = bars

    @contextlib.contextmanager
    def task(self, label: str, total: int | None, unit: str) -> Iterator[Task]:
        """Show a bar that goes away when the task ends; bytes that take less than half a second show none."""
        if not self._bars:
            yield _Nothing()
            return
        from tqdm import tqdm  # noqa: PLC0415 - only terminals need it

        scaled = unit == "B"
        with tqdm(
            desc=label[:30],
            total=total,
            unit=unit if scaled else f" {unit}",
            unit_scale=scaled,
            unit_divisor=1024,
            delay=0.5 if scaled else 0,
            leave=False,
            file=sys.stderr,
        ) as bar:
            yield _Bar(bar)

    def note(self, message: str) -> None:
        """Print a line, above the bars."""
        if self._bars:
            from tqdm import tqdm  # noqa: PLC0415 - see above

            tqdm.write(message, file=sys.stderr)
        else:
            sys.stderr.write(f"{message}\n")
