"""Do several things at a time that mostly wait, and stop at once when nobody waits for them any more."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

#: Seconds for what is cancelled to end, and to take away what it left.
_MOMENT = 2.5

Key = TypeVar("Key")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Key], Result], keys: Iterable[Key], *, count: int, cancel: Callable[[], None]
) -> dict[Key, Result]:
    """Call `work` on every key in up to `count` threads; raises what `work` raises.

    After an error, or an interruption, `cancel` is to make the others end, and they have a moment to do so. They are
    daemons: one that waits for a silent server does not hold up whoever was interrupted.
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

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(count, len(keys)))]
    found: dict[Key, Result] = {}
    try:
        for thread in threads:
            thread.start()
        for _ in keys:
            key, result, error = done.get()
            if error is not None:
                raise error  # noqa: TRY301 - the others end as after an interruption
            found[key] = result  # type: ignore[assignment]
    except BaseException:
        cancel()
        until = time.monotonic() + _MOMENT
        for thread in (one for one in threads if one.ident is not None):
            thread.join(max(0.0, until - time.monotonic()))
        raise
    return {key: found[key] for key in keys}
