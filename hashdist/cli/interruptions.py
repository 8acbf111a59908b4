"""Signals that end a command as Ctrl-C does: what it was doing is undone on the way out."""

from __future__ import annotations

import signal
from typing import NoReturn


class Terminated(BaseException):
    """Somebody sent SIGTERM, or the terminal has gone: stop as for an interruption."""


def terminable() -> None:
    """From now on SIGTERM and SIGHUP raise `Terminated`."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)


def _terminate(number: int, frame: object) -> NoReturn:
    del number, frame
    raise Terminated
