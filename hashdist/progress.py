"""What the library tells while it works: tasks with a total, and notes said aloud.

The library never prints; a caller that wants to show something passes its own `Progress`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Task(Protocol):
    """One piece of work that advances towards its total."""

    def advance(self, amount: int = 1) -> None:
        """`amount` more units are done."""

    def tell(self, words: str) -> None:
        """What is being done just now."""

    def expect(self, total: int | None) -> None:
        """The total is known only now."""


class Progress(Protocol):
    """Receives what may be shown to a person."""

    def task(self, label: str, total: int | None, unit: str) -> AbstractContextManager[Task]:
        """Start a task of `total` units (None: unknown); ``unit`` is 'B' for bytes, else a noun."""

    def note(self, message: str) -> None:
        """Say one line aloud: a pin made on first use, a lock that is waited for."""


class _Silent:
    def advance(self, amount: int = 1) -> None:
        pass

    def tell(self, words: str) -> None:
        pass

    def expect(self, total: int | None) -> None:
        pass

    def task(self, label: str, total: int | None, unit: str) -> AbstractContextManager[Task]:
        del label, total, unit
        return nullcontext(self)

    def note(self, message: str) -> None:
        pass


SILENT: Progress = _Silent()
