"""Do several things at a time that mostly wait, and stop at once when nobody waits for them any more."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


def in_threads(work: Callable[[Key], Result], keys: Iterable[Key], *, count: int) -> dict[Key, Result]:
    """Call `work` on every key in up to `count` threads; raises what `work` raises.

    The threads are daemons: one that waits for a silent server does not hold up whoever was interrupted.
    """
    wanted: queue.SimpleQueue[Key] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Key, Result | None, BaseException | None]] = queue.SimpleQueue()
    keys = list(keys)
    for key in keys:
        wanted.put(key)

    def run() -> None:
        while True:
            try:
                key = wanted.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((key, work(key), None))
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
                done.put((key, None, error))

    for _ in range(min(count, len(keys))):
        threading.Thread(target=run, daemon=True).start()
    found: dict[Key, Result] = {}
    for _ in keys:
        key, result, error = done.get()
        if error is not None:
            raise error
        found[key] = result  # type: ignore[assignment]
    return {key: found[key] for key in keys}
